//! How the rate changes over a training.

use std::f64::consts::PI;
use std::sync::Arc;

use bezoar_core::{Kind, Plugin, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a training has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Epochs finished.
    pub epoch: usize,
    /// Batches done, of all batches of all epochs: 0 at the first, just below 1 at the last.
    pub share: f64,
}

/// Multiplies the optimizer's rate.
pub trait Schedule: Send + Sync {
    /// The factor for the batch that comes next.
    fn factor(&self, moment: Moment) -> f64;
}

impl Kind for dyn Schedule {
    const NAME: &'static str = "schedule";
    const SUMMARY: &'static str = "changes the rate in the course of training";
}

/// The same rate all the time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Constant {}

register!(Constant);

impl Plugin for Constant {
    type Kind = dyn Schedule;
    const NAME: &'static str = "constant";

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Schedule>> {
        Ok(Arc::new(self))
    }
}

impl Schedule for Constant {
    fn factor(&self, _: Moment) -> f64 {
        1.0
    }
}

/// Multiplies the rate with a factor after every so many epochs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Step {
    /// Epochs from one change to the next.
    #[schemars(range(min = 1))]
    pub every: usize,
    /// What the rate is multiplied with.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub factor: f64,
}

impl Default for Step {
    fn default() -> Self {
        Self { every: 10, factor: 0.1 }
    }
}

register!(Step);

impl Plugin for Step {
    type Kind = dyn Schedule;
    const NAME: &'static str = "step";

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Schedule>> {
        Ok(Arc::new(self))
    }
}

impl Schedule for Step {
    fn factor(&self, Moment { epoch, .. }: Moment) -> f64 {
        self.factor.powi((epoch / self.every) as i32)
    }
}

/// Half a cosine from the full rate down to almost nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cosine {}

register!(Cosine);

impl Plugin for Cosine {
    type Kind = dyn Schedule;
    const NAME: &'static str = "cosine";
    const PAPER: Option<&'static str> = Some("arXiv 1608.03983");

    fn example() -> Self {
        Self {}
    }

    fn build(self) -> Result<Arc<dyn Schedule>> {
        Ok(Arc::new(self))
    }
}

impl Schedule for Cosine {
    fn factor(&self, Moment { share, .. }: Moment) -> f64 {
        anneal(1.0, 0.0, share)
    }
}

/// Warms the rate up to its full value and cools it down to far below its start, each along half a cosine.
///
/// The optimizer's rate is the highest. Momentum stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OneCycle {
    /// Share of the training in which the rate rises.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// The highest rate over the first.
    #[schemars(range(min = 1.0))]
    pub start_divisor: f64,
    /// The first rate over the last.
    #[schemars(range(min = 1.0))]
    pub end_divisor: f64,
}

impl Default for OneCycle {
    fn default() -> Self {
        Self { warmup: 0.3, start_divisor: 25.0, end_divisor: 1e4 }
    }
}

register!(OneCycle);

impl Plugin for OneCycle {
    type Kind = dyn Schedule;
    const NAME: &'static str = "one-cycle";
    const PAPER: Option<&'static str> = Some("arXiv 1708.07120");

    fn example() -> Self {
        Self::default()
    }

    fn build(self) -> Result<Arc<dyn Schedule>> {
        Ok(Arc::new(self))
    }
}

impl Schedule for OneCycle {
    fn factor(&self, Moment { share, .. }: Moment) -> f64 {
        let start = 1.0 / self.start_divisor;
        if share < self.warmup {
            anneal(start, 1.0, share / self.warmup)
        } else {
            anneal(1.0, start / self.end_divisor, (share - self.warmup) / (1.0 - self.warmup))
        }
    }
}

/// Half a cosine between two values.
fn anneal(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * f64::midpoint(1.0, (PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_pass_through_their_corners() {
        let at = |schedule: &dyn Schedule, epoch, share| schedule.factor(Moment { epoch, share });
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(at(&Constant {}, 7, 0.7), 1.0);
        let step = Step { every: 3, factor: 0.5 };
        for (epoch, factor) in [(0, 1.0), (2, 1.0), (3, 0.5), (8, 0.25)] {
            close(at(&step, epoch, 0.0), factor);
        }
        for (share, factor) in [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)] {
            close(at(&Cosine {}, 0, share), factor);
        }
        let cycle = OneCycle::default();
        for (share, factor) in [(0.0, 0.04), (0.15, 0.52), (0.3, 1.0), (1.0, 0.04e-4)] {
            close(at(&cycle, 0, share), factor);
        }
        close(at(&OneCycle { warmup: 0.0, ..cycle }, 0, 0.0), 1.0);
    }
}
