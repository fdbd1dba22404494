use std::ops::AddAssign;

use bezoar_nn::ops::{self, Stabilizer};
use bezoar_nn::{Array, Op};
use candle_core::{DType, Result, Tensor};
use serde::Serialize;

use crate::Rule;
use crate::rule::Outputs;
use crate::step::{PreparedShare, Seen, Step};

/// What became of the relevance that arrived at a layer, summed over all its outputs and over images.
///
/// `arrived = handed_on + bias + epsilon + lost`, but for rounding; only a derivative, under the rules of gradients, keeps no balance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
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
    #[serde(flatten)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
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
        let (shares, stabilizer) = match self {
            Self::Shares { shares, stabilizer } => (shares, stabilizer),
            Self::Proportional { stabilizer, .. } => return proportional(seen, relevance, *stabilizer),
            // A constant keeps what it gets, as a bias does.
            _ if seen.inputs.is_empty() => return Ok(Absorbed { bias: total(relevance)?, ..Absorbed::default() }),
            // So does a margin.
            Self::Gradient { .. } if matches!(seen.network.graph().node(seen.id).op, Op::Pad { .. }) => {
                let inside = seen.network.pull_back(seen.id, seen.inputs, seen.output, relevance)?;
                return Ok(Absorbed { bias: total(relevance)? - total(&inside[0])?, ..Absorbed::default() });
            }
            _ => return Ok(Absorbed::default()),
        };
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

/// What a layer without changed weights hands on to nobody.
fn proportional(seen: &Seen<'_>, relevance: &Array, stabilizer: Stabilizer) -> Result<Absorbed> {
    let share = ops::stabilized_ratio(relevance, seen.output, stabilizer)?;
    let node = seen.network.graph().node(seen.id);
    let bias = match node.op {
        Op::LayerNorm { .. } => seen.network.parameter(seen.id, "bias").map(host).transpose()?.unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut all = Absorbed::default();
    let places = values(relevance)?.into_iter().zip(values(seen.output)?).zip(values(&share)?);
    for (place, ((relevance, output), share)) in places.enumerate() {
        if output == 0.0 {
            all.lost += relevance;
            continue;
        }
        all.epsilon += relevance - share * output;
        all.bias += bias.get(place % bias.len().max(1)).map_or(0.0, |bias| bias * share);
    }
    if let Op::Softmax { .. } = node.op {
        // Its output is no sum of what its inputs contribute: what they have no part in counts as constant.
        let derivative = seen.network.pull_back(seen.id, seen.inputs, seen.output, &share)?;
        all.bias = total(relevance)? - total(&ops::product(seen.inputs[0], &derivative[0])?)? - all.epsilon - all.lost;
    }
    Ok(all)
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
