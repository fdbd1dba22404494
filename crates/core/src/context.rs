use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What every stage gets beside its inputs: a seeded random stream of its own, the device, progress and cancellation.
#[derive(Clone)]
pub struct Context {
    seed: u64,
    stage: String,
    device: Device,
    progress: Arc<dyn Progress>,
    cancel: Cancel,
}

impl Context {
    /// The context of a whole run.
    pub fn new(seed: u64, device: Device, progress: Arc<dyn Progress>, cancel: Cancel) -> Self {
        Self { seed, stage: String::new(), device, progress, cancel }
    }

    /// A context for tests and small tools: CPU, silent, never cancelled.
    pub fn quiet(seed: u64) -> Self {
        Self::new(seed, Device::Cpu, Arc::new(Silent), Cancel::default())
    }

    /// The context of another run with the same progress and cancellation.
    #[must_use]
    pub fn of_run(&self, seed: u64, device: Device) -> Self {
        Self { seed, stage: String::new(), device, ..self.clone() }
    }

    /// The context of a stage or a part of it; its random streams are its own.
    #[must_use]
    pub fn stage(&self, name: &str) -> Self {
        Self { stage: format!("{}/{name}", self.stage), ..self.clone() }
    }

    /// The random stream called `name` in this stage. The same seed, stage and name give the same stream.
    pub fn rng(&self, name: &str) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(self.stage.as_bytes());
        hash.update([0]);
        hash.update(name.as_bytes());
        ChaCha8Rng::from_seed(hash.finalize().into())
    }

    /// Where tensors live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Announces a piece of work of `total` steps.
    pub fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        self.progress.task(label, total)
    }

    /// Tells the user something that does not stop the run.
    pub fn note(&self, message: &str) {
        self.progress.note(message);
    }

    /// Stops here if the user asked for it. Call it between batches.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once the run is cancelled.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Where tensors live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The best that this build and machine have: CUDA, then Metal, then the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU by number.
    Cuda(usize),
    /// An Apple GPU by number.
    Metal(usize),
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

impl std::str::FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| digits.parse().map_err(|_| format!("{digits:?} is no device number"));
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            Some(("cuda", digits)) => Ok(Self::Cuda(number(digits)?)),
            Some(("metal", digits)) => Ok(Self::Metal(number(digits)?)),
            _ => Err(format!("{text:?} is no device: say auto, cpu, cuda:0 or metal:0")),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Device {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(auto|cpu|cuda:[0-9]+|metal:[0-9]+)$", "description": "auto, cpu, cuda:0 or metal:0" })
    }
}

/// A switch that stops a run at the next safe place.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the run to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who shows progress. Libraries report through it and never print.
pub trait Progress: Send + Sync {
    /// A piece of work of `total` steps begins; it ends when the task is dropped.
    fn task(&self, label: &str, total: u64) -> Box<dyn Task>;

    /// Something the user should know that does not stop the run.
    fn note(&self, message: &str);
}

/// A piece of work that is under way.
pub trait Task: Send + Sync {
    /// So many more steps are done.
    fn advance(&self, steps: u64);

    /// So many steps were done before the task began: they say how far it is, not how fast.
    fn resume(&self, steps: u64) {
        self.advance(steps);
    }

    /// A short remark on the state, such as the loss.
    fn remark(&self, text: &str);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn task(&self, _: &str, _: u64) -> Box<dyn Task> {
        Box::new(Self)
    }

    fn note(&self, _: &str) {}
}

impl Task for Silent {
    fn advance(&self, _: u64) {}

    fn remark(&self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_differ_by_seed_stage_and_name_alone() {
        let draw = |seed, stage, name| Context::quiet(seed).stage(stage).rng(name).next_u64();
        assert_eq!(draw(1, "a", "b"), draw(1, "a", "b"));
        assert_ne!(draw(1, "a", "b"), draw(2, "a", "b"));
        assert_ne!(draw(1, "a", "b"), draw(1, "c", "b"));
        assert_ne!(draw(1, "a", "b"), draw(1, "a", "c"));
    }

    #[test]
    fn devices_read_back_as_they_print() {
        for device in [Device::Auto, Device::Cpu, Device::Cuda(1), Device::Metal(0)] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert!("cuda".parse::<Device>().is_err());
    }
}
