//! Cross-entropy, the loss that classifiers are trained with.

use bezoar_core::{Error, Result};
use candle_core::{DType, Device, Tensor};

use crate::AtPlace;

/// What a batch of scores is worth.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The mean of `-ln softmax(scores)[label]` over the batch.
    pub mean: f64,
    /// Images whose highest score is that of their label.
    pub correct: usize,
    /// The gradient of the mean to the scores.
    pub gradient: Tensor,
}

/// Cross-entropy of scores `[N, classes]` against a label a row.
///
/// # Errors
/// When there is not one label a row, or a label is no class.
pub fn cross_entropy(scores: &Tensor, labels: &[u32]) -> Result<Loss> {
    let (n, classes) = scores.dims2().at("scores")?;
    if n != labels.len() || n == 0 || labels.iter().any(|&label| label as usize >= classes) {
        return Err(Error::request(format!("{} labels, the largest {:?}, for scores {n}x{classes}", labels.len(), labels.iter().max())));
    }
    let mut values: Vec<f64> =
        scores.to_device(&Device::Cpu).and_then(|host| host.to_dtype(DType::F64)?.flatten_all()?.to_vec1()).at("scores")?;
    let (mut sum, mut correct) = (0.0, 0);
    for (row, &label) in values.chunks_exact_mut(classes).zip(labels) {
        let label = label as usize;
        let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        correct += usize::from(row.iter().position(|&score| score >= highest) == Some(label));
        let log_sum = highest + row.iter().map(|score| (score - highest).exp()).sum::<f64>().ln();
        sum += log_sum - row[label];
        for score in row.iter_mut() {
            *score = (*score - log_sum).exp() / n as f64;
        }
        row[label] -= 1.0 / n as f64;
    }
    let gradient = Tensor::from_vec(values, (n, classes), &Device::Cpu);
    let gradient = gradient.and_then(|gradient| gradient.to_dtype(scores.dtype())?.to_device(scores.device())).at("scores")?;
    Ok(Loss { mean: sum / n as f64, correct, gradient })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_gradient, random};

    #[test]
    fn the_gradient_equals_finite_differences() {
        let scores = (random(1, &[6, 5]) * 3.0).unwrap();
        let labels = [0, 4, 2, 2, 1, 3];
        let loss = |scores: &Tensor| cross_entropy(scores, &labels).unwrap();
        check_gradient(&scores, &loss(&scores).gradient, |scores| loss(scores).mean);
    }

    #[test]
    fn equal_scores_cost_the_logarithm_of_the_classes_and_great_ones_do_not_overflow() {
        let equal = Tensor::zeros((2, 8), DType::F32, &Device::Cpu).unwrap();
        assert!((cross_entropy(&equal, &[0, 7]).unwrap().mean - 8f64.ln()).abs() < 1e-12);
        let great = Tensor::new(&[[1e4f32, -1e4]], &Device::Cpu).unwrap();
        let loss = cross_entropy(&great, &[1]).unwrap();
        assert!((loss.mean - 2e4).abs() < 1e-6 && loss.correct == 0);
        assert!(cross_entropy(&equal, &[8, 0]).is_err() && cross_entropy(&equal, &[0]).is_err());
    }
}
