//! What a stage costs: wall time and peak memory.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What a stage cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time in seconds.
    pub seconds: f64,
    /// The most memory that the process held during the stage, in bytes; none where the system does not tell.
    pub peak_bytes: Option<u64>,
}

/// Measures from its start to its stop.
pub(crate) struct Meter {
    start: Instant,
}

impl Meter {
    pub(crate) fn start() -> Self {
        // Linux resets the high-water mark of resident memory when told so; elsewhere there is no such file.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { start: Instant::now() }
    }

    pub(crate) fn stop(self) -> Cost {
        Cost { seconds: self.start.elapsed().as_secs_f64(), peak_bytes: peak_bytes() }
    }
}

fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
