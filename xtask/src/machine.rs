use std::fs;

/// The processor, as far as the system tells.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = facts.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map(|(_, model)| model.trim());
    let wide = if facts.contains("avx512f") { " with AVX-512" } else { "" };
    format!("{cores} cores of {}{wide}", model.unwrap_or("an unnamed processor"))
}
