//! What a stage costs: wall time and peak memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What a stage cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time in seconds. Of a stage that was stopped and went on, that of all tries, as far as they left something.
    pub seconds: f64,
    /// The most memory that the process held during the stage, in bytes; none where the system does not tell.
    pub peak_bytes: Option<u64>,
}

impl Cost {
    /// With what went before.
    pub(crate) fn after(self, seconds: f64) -> Self {
        Self { seconds: self.seconds + seconds, ..self }
    }
}

/// Measures from its start to its stop. Meters may run beside and within each other.
pub(crate) struct Meter {
    number: u64,
    start: Instant,
}

/// The most memory that was seen by each meter that runs. The system has one high-water mark, and each start resets it for all.
static RUNNING: Mutex<BTreeMap<u64, Option<u64>>> = Mutex::new(BTreeMap::new());

impl Meter {
    pub(crate) fn start() -> Self {
        let mut running = running();
        raise(&mut running);
        // Linux resets the high-water mark of resident memory when told so; elsewhere there is no such file.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let number = running.last_key_value().map_or(0, |(last, _)| last + 1);
        running.insert(number, None);
        Self { number, start: Instant::now() }
    }

    pub(crate) fn stop(self) -> Cost {
        let mut running = running();
        raise(&mut running);
        Cost { seconds: self.start.elapsed().as_secs_f64(), peak_bytes: running.get(&self.number).copied().flatten() }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        running().remove(&self.number);
    }
}

fn running() -> MutexGuard<'static, BTreeMap<u64, Option<u64>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the high-water mark to all.
fn raise(running: &mut BTreeMap<u64, Option<u64>>) {
    let mark = peak_bytes();
    for seen in running.values_mut() {
        *seen = mark.max(*seen);
    }
}

fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_meter_sees_what_was_held_before_another_started() {
        let size = 256 << 20;
        let outer = Meter::start();
        drop(std::hint::black_box(vec![1_u8; size]));
        let inner = Meter::start().stop();
        let outer = outer.stop();
        assert!(outer.peak_bytes.unwrap() > size as u64, "{outer:?}");
        assert!(inner.peak_bytes < outer.peak_bytes, "{inner:?} {outer:?}");
    }
}
