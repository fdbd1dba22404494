//! The machine: in words for reports, since times mean little without it, and what it has to give.

use std::env::consts::{ARCH, OS};
use std::thread::available_parallelism;

/// Processor, threads and system: `Intel(R) Xeon(R) Platinum 8481C, 8 threads, linux x86_64`.
pub(crate) fn describe() -> String {
    let threads = cores();
    let processor = processor().unwrap_or_else(|| "unknown processor".to_owned());
    format!("{processor}, {threads} thread{}, {OS} {ARCH}", if threads == 1 { "" } else { "s" })
}

/// Cores that this process may use, or threads where they run two.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Bytes that the system could give; none where it does not tell.
pub(crate) fn available_memory() -> Option<u64> {
    let facts = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = facts.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The processor's name; none where the system does not tell.
fn processor() -> Option<String> {
    name(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn name(cpuinfo: &str) -> Option<String> {
    let (_, name) = cpuinfo.lines().find(|line| line.starts_with("model name"))?.split_once(':')?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_where_the_system_tells() {
        assert_eq!(name("processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\n"), Some("Some CPU @ 2.00GHz".to_owned()));
        assert_eq!(name("processor\t: 0\nBogoMIPS\t: 243.75\n"), None);
        assert!(describe().contains("thread"));
    }
}
