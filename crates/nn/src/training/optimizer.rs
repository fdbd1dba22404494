//! How gradients change parameters.

use std::sync::Arc;

use bezoar_core::{Error, Kind, Plugin, Result, register};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Array;
use crate::ops::{Number, Rule, update};

/// One parameter's share of a training step.
pub struct Change<'a> {
    /// The parameter.
    pub parameter: &'a Tensor,
    /// The gradient of the loss to it.
    pub gradient: &'a Array,
    /// What the optimizer keeps about it, one tensor of its shape a slot; zeros at first.
    pub slots: &'a [Tensor],
    /// The rate of this step.
    pub rate: f64,
    /// The number of this step, from 1.
    pub step: u64,
}

/// Changes parameters so that the loss falls.
pub trait Optimizer: Send + Sync {
    /// The rate, before a schedule changes it.
    fn rate(&self) -> f64;

    /// The names of what it keeps about each parameter.
    fn slots(&self) -> &'static [&'static str];

    /// Changes the values of the parameter and of the slots.
    fn update(&self, change: &Change<'_>) -> candle_core::Result<()>;
}

impl Kind for dyn Optimizer {
    const NAME: &'static str = "optimizer";
    const SUMMARY: &'static str = "changes parameters along their gradients";
}

/// Stochastic gradient descent with momentum.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Sgd {
    /// Step size.
    #[schemars(range(min = 0.0))]
    pub rate: f64,
    /// Share of the last step's direction that is kept.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
    /// Whether the gradient is followed beyond the momentum (Nesterov).
    pub nesterov: bool,
    /// Share of each parameter that is added to its gradient.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { rate: 0.01, momentum: 0.9, nesterov: false, weight_decay: 0.0 }
    }
}

register!(Sgd);

impl Plugin for Sgd {
    type Kind = dyn Optimizer;
    const NAME: &'static str = "sgd";

    fn example() -> Self {
        Self { rate: 0.05, momentum: 0.9, nesterov: true, weight_decay: 5e-4 }
    }

    fn build(self) -> Result<Arc<dyn Optimizer>> {
        Ok(Arc::new(self))
    }
}

impl Optimizer for Sgd {
    fn rate(&self) -> f64 {
        self.rate
    }

    fn slots(&self) -> &'static [&'static str] {
        &["momentum"]
    }

    fn update(&self, change: &Change<'_>) -> candle_core::Result<()> {
        struct Descent<'a>(&'a Sgd, f64);
        impl Rule<1> for Descent<'_> {
            fn apply<V: Number>(&self, parameter: V, gradient: V, [momentum]: [V; 1]) -> (V, [V; 1]) {
                let &Self(Sgd { momentum: kept, nesterov, weight_decay, .. }, rate) = self;
                let gradient = gradient.plus(parameter.clone().times(*weight_decay));
                let momentum = momentum.times(*kept).plus(gradient.clone());
                let direction = if *nesterov { gradient.plus(momentum.clone().times(*kept)) } else { momentum.clone() };
                (parameter.plus(direction.times(-rate)), [momentum])
            }
        }
        update(change.parameter, change.gradient, change.slots, &Descent(self, change.rate))
    }
}

/// A mean that keeps all of what was has never begun.
fn check_betas(betas: [f64; 2]) -> Result<()> {
    match betas.iter().find(|beta| **beta >= 1.0) {
        Some(beta) => Err(Error::request(format!("`betas` are below 1, not {beta}"))),
        None => Ok(()),
    }
}

/// Adam: steps of a size that the gradient's history sets for each value.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Adam {
    /// Step size.
    #[schemars(range(min = 0.0))]
    pub rate: f64,
    /// Share of the running means of the gradient and of its square that is kept, below 1.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub eps: f64,
    /// Share of each parameter that is added to its gradient.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { rate: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

register!(Adam);

impl Plugin for Adam {
    type Kind = dyn Optimizer;
    const NAME: &'static str = "adam";
    const PAPER: Option<&'static str> = Some("arXiv 1412.6980");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Optimizer>> {
        check_betas(self.betas)?;
        Ok(Arc::new(self))
    }
}

impl Optimizer for Adam {
    fn rate(&self) -> f64 {
        self.rate
    }

    fn slots(&self) -> &'static [&'static str] {
        MOMENTS
    }

    fn update(&self, change: &Change<'_>) -> candle_core::Result<()> {
        let &Self { betas, eps, weight_decay, .. } = self;
        update(change.parameter, change.gradient, change.slots, &Moments::new(change, betas, eps, weight_decay, 0.0))
    }
}

/// AdamW: Adam with weight decay apart from the gradient.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamW {
    /// Step size.
    #[schemars(range(min = 0.0))]
    pub rate: f64,
    /// Share of the running means of the gradient and of its square that is kept, below 1.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub betas: [f64; 2],
    /// Added to the root of the mean square.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub eps: f64,
    /// Share of each parameter that a step of size 1 takes away.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam { rate, betas, eps, .. } = Adam::default();
        Self { rate, betas, eps, weight_decay: 0.01 }
    }
}

register!(AdamW);

impl Plugin for AdamW {
    type Kind = dyn Optimizer;
    const NAME: &'static str = "adam-w";
    const PAPER: Option<&'static str> = Some("arXiv 1711.05101");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Optimizer>> {
        check_betas(self.betas)?;
        Ok(Arc::new(self))
    }
}

impl Optimizer for AdamW {
    fn rate(&self) -> f64 {
        self.rate
    }

    fn slots(&self) -> &'static [&'static str] {
        MOMENTS
    }

    fn update(&self, change: &Change<'_>) -> candle_core::Result<()> {
        let &Self { betas, eps, weight_decay, .. } = self;
        update(change.parameter, change.gradient, change.slots, &Moments::new(change, betas, eps, 0.0, weight_decay))
    }
}

const MOMENTS: &[&str] = &["mean", "square"];

/// The step that Adam and AdamW share, with all that is the same for each value worked out.
struct Moments {
    keep: [f64; 2],
    /// Added to the gradient, in parts of the parameter.
    pull: f64,
    /// What remains of the parameter.
    remains: f64,
    /// The rate, corrected for the mean's start at zero.
    rate: f64,
    /// What the root of the mean square is divided by: the correction for its start at zero.
    root: f64,
    eps: f64,
}

impl Moments {
    fn new(change: &Change<'_>, keep: [f64; 2], eps: f64, pull: f64, decay: f64) -> Self {
        let [mean, square] = keep.map(|keep| 1.0 - keep.powf(change.step as f64));
        Self { keep, pull, remains: 1.0 - change.rate * decay, rate: change.rate / mean, root: square.sqrt(), eps }
    }
}

impl Rule<2> for Moments {
    fn apply<V: Number>(&self, parameter: V, gradient: V, [mean, square]: [V; 2]) -> (V, [V; 2]) {
        let [keep_mean, keep_square] = self.keep;
        let gradient = gradient.plus(parameter.clone().times(self.pull));
        let mean = mean.times(keep_mean).plus(gradient.clone().times(1.0 - keep_mean));
        let square = square.times(keep_square).plus(gradient.clone().mul(gradient).times(1.0 - keep_square));
        let size = square.clone().sqrt().times(1.0 / self.root).offset(self.eps);
        (parameter.times(self.remains).plus(mean.clone().div(size).times(-self.rate)), [mean, square])
    }
}
