use bezoar_clustering::{Finding, Scan, principal_components};
use bezoar_core::{Context, Detector, Error, Features, ImageSet, Input, Origin, Part, Representation, Result, Suspect, Verdict};

use crate::SpectralSignatures;

impl Detector for SpectralSignatures {
    fn representations(&self) -> Vec<Part<dyn Representation>> {
        vec![self.represent.clone()]
    }

    fn check(&self, images: &ImageSet) -> Result<()> {
        self.scan().check(images)
    }

    fn detect(&self, cx: &Context, suspect: &Suspect<'_>) -> Result<Verdict> {
        let [source] = suspect.features else {
            return Err(Error::request(format!("this detector reads one representation and was given {}", suspect.features.len())));
        };
        let mut verdict = self.scan().run(cx, suspect.images, source.as_ref(), |_, class| self.examine(&class.features))?;
        verdict.inputs.insert(0, Input { name: "share".to_owned(), value: self.share.to_string(), origin: Origin::Given });
        Ok(verdict)
    }
}

impl SpectralSignatures {
    fn scan(&self) -> Scan<'_> {
        Scan { statistic: "share of variance along the first direction", min_rows: 2, suspects: self.suspects.as_deref(), level: None }
    }

    fn examine(&self, features: &Features) -> Result<Finding> {
        let (scores, statistic) = signature(features)?;
        let rows = scores.len();
        let accused = ((self.multiplier * self.share * rows as f64).round() as usize).min(rows);
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut flagged = vec![false; rows];
        for &row in &order[..accused] {
            flagged[row] = true;
        }
        let reason = format!("the {accused} highest scores of {rows}: {} times the given share of {}", self.multiplier, self.share);
        Ok(Finding { scores, flagged, clusters: Vec::new(), statistic, p_value: None, reason })
    }
}

/// The squared projection of each centred row on the first principal direction, divided by the mean over the rows, and the
/// share of the rows' variance along it; zeros and none where rows do not vary.
fn signature(features: &Features) -> Result<(Vec<f64>, Option<f64>)> {
    let found = principal_components(features, 1)?;
    let Some(&variance) = found.variances.first() else {
        return Ok((vec![0.0; features.len()], None));
    };
    let squares: Vec<f64> = found.coordinates.iter().map(|coordinate| coordinate * coordinate).collect();
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    Ok((squares.iter().map(|square| square / mean).collect(), Some(variance / found.total_variance)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn features(width: usize, values: &[f32]) -> Features {
        Features::new(vec![width], values.to_vec()).unwrap()
    }

    #[test]
    fn the_direction_of_the_outliers_is_found() {
        let mut values: Vec<f32> = (0..40).flat_map(|i| [(i % 5) as f32 * 0.1, (i % 7) as f32 * 0.1, 0.0]).collect();
        for row in 0..4 {
            values[row * 3 + 2] = 5.0;
        }
        let (scores, share) = signature(&features(3, &values)).unwrap();
        let lowest_poison = scores[..4].iter().copied().fold(f64::INFINITY, f64::min);
        assert!(scores[4..].iter().all(|&clean| clean < lowest_poison / 10.0));
        assert!(share.unwrap() > 0.9);
        assert!((scores.iter().sum::<f64>() / 40.0 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn rows_that_do_not_vary_have_no_signature() {
        assert_eq!(signature(&features(2, &[3.0; 8])).unwrap(), (vec![0.0; 4], None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Ports that project without centring score the mean of the class along with the image.
        #[test]
        fn the_mean_of_the_class_plays_no_part(values in proptest::collection::vec(-1.0..1.0_f32, 20 * 3), offset in -50.0..50.0_f32) {
            let moved: Vec<f32> = values.iter().map(|value| value + offset).collect();
            let (before, after) = (signature(&features(3, &values)).unwrap().0, signature(&features(3, &moved)).unwrap().0);
            // Two directions of nearly equal variance may swap under rounding.
            prop_assume!(principal_components(&features(3, &values), 2).unwrap().variances.windows(2).all(|pair| pair[1] < 0.95 * pair[0]));
            for (x, y) in before.iter().zip(&after) {
                prop_assert!((x - y).abs() < 1e-2, "{x} and {y}");
            }
        }
    }
}
