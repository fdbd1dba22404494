use std::ops::AddAssign;

use bezoar_nn::ops;
use candle_core::{DType, Result, Tensor};

use crate::Rule;
use crate::rule::Outputs;
use crate::step::{PreparedShare, Seen, Step};
use bezoar_nn::Array;

/// What became of the relevance that arrived at a layer, summed over all its outputs and over images.
///
/// `arrived = handed_on + bias + epsilon + lost`, but for rounding; only a derivative, under the rules of gradients, keeps no balance.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The layer's name.
    pub layer: String,
    /// How it hands relevance on.
    pub rule: Rule,
    /// Relevance of its outputs.
    pub arrived: f64,
    /// Relevance that its inputs got from it.
    pub handed_on: f64,
    /// What else became of it.
    pub absorbed: Absorbed,
}

impl Balance {
    /// Adds that of the same layer for other images.
    pub fn add(&mut self, other: &Self) {
        self.arrived += other.arrived;
        self.handed_on += other.handed_on;
        self.absorbed += other.absorbed;
    }
}

/// Relevance that no input got.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Absorbed {
    /// The biases' shares.
    pub bias: f64,
    /// What the stabiliser took away from denominators that are not 0.
    pub epsilon: f64,
    /// Of outputs whose denominator is 0: nothing spoke for them.
    pub lost: f64,
}

impl AddAssign for Absorbed {
    fn add_assign(&mut self, other: Self) {
        self.bias += other.bias;
        self.epsilon += other.epsilon;
        self.lost += other.lost;
    }
}

impl Step {
    /// The relevance that the step hands on to nobody.
    pub(crate) fn absorbed(&self, seen: &Seen<'_>, relevance: &Array) -> Result<Absorbed> {
        let Self::Shares { shares, stabilizer } = self else { return Ok(Absorbed::default()) };
        let mut all = Absorbed::default();
        for share in shares {
            let (own, denominator) = (share.own(seen, relevance)?, share.denominator(seen)?);
            let ratio = values(&ops::stabilized_ratio(&own, &denominator, *stabilizer)?)?;
            all += share.absorbed(&values(&own)?, &values(&denominator)?, &ratio, seen.output.dims())?;
        }
        if shares.iter().any(|share| share.of != Outputs::All) {
            let (outputs, relevance) = (values(seen.output)?, values(relevance)?);
            all.lost += outputs.iter().zip(relevance).filter(|(output, _)| **output == 0.0).map(|(_, relevance)| relevance).sum::<f64>();
        }
        Ok(all)
    }
}

impl PreparedShare {
    fn absorbed(&self, own: &[f64], denominator: &[f64], ratio: &[f64], dims: &[usize]) -> Result<Absorbed> {
        let biases = self.terms.iter().filter_map(|term| Some((term, term.bias.as_ref()?)));
        let biases = biases.map(|(term, bias)| Ok((term.sign(), term.alike(dims), host(bias)?))).collect::<Result<Vec<_>>>()?;
        let mut all = Absorbed::default();
        for (place, ((own, denominator), ratio)) in own.iter().zip(denominator).zip(ratio).enumerate() {
            if *denominator == 0.0 {
                all.lost += own;
                continue;
            }
            all.epsilon += own - ratio * denominator;
            all.bias += biases.iter().map(|(sign, alike, bias)| sign * bias[place / alike % bias.len()] * ratio).sum::<f64>();
        }
        Ok(all)
    }
}

fn values(array: &Array) -> Result<Vec<f64>> {
    host(&array.to_tensor()?)
}

fn host(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

/// The sum of all values.
pub(crate) fn total(array: &Array) -> Result<f64> {
    Ok(values(array)?.iter().sum())
}
