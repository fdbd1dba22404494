use std::time::Duration;

use bezoar_core::{Progress, Task};

use super::reported::{Reported, State};
use super::tell;

/// A line for each task, and now and then one on the way.
pub(super) struct Lines;

/// How often a long task says how far it is.
const INTERVAL: Duration = Duration::from_secs(10);

impl Progress for Lines {
    fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        Box::new(Reported::new(label, total, INTERVAL, say))
    }

    fn note(&self, message: &str) {
        tell(&format!("note: {message}"));
    }
}

fn say(State { label, done, total, seconds, left, remark, .. }: &State<'_>) {
    let rest = match left {
        _ if done >= total => format!(" in {seconds:.1} s"),
        Some(left) => format!(", {left:.0} s to go"),
        None => String::new(),
    };
    let separator = if remark.is_empty() { "" } else { "  " };
    tell(&format!("{label}: {done}/{total}{rest}{separator}{remark}"));
}
