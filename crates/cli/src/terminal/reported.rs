use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bezoar_core::Task;

/// A task that says how far it is, now and then and at its end.
pub(super) struct Reported {
    label: String,
    total: u64,
    done: AtomicU64,
    /// Steps that were done before.
    resumed: AtomicU64,
    start: Instant,
    said: Mutex<Instant>,
    remark: Mutex<String>,
    interval: Duration,
    say: fn(&State<'_>),
}

/// How far a task is.
pub(super) struct State<'a> {
    pub(super) label: &'a str,
    pub(super) done: u64,
    pub(super) total: u64,
    /// Seconds since it began.
    pub(super) seconds: f64,
    /// Seconds that the rest takes at the rate of this session; none where nothing tells.
    pub(super) left: Option<f64>,
    pub(super) remark: String,
    pub(super) is_over: bool,
}

impl Reported {
    /// A task that begins now, and calls `say` at most once an `interval`.
    pub(super) fn new(label: &str, total: u64, interval: Duration, say: fn(&State<'_>)) -> Self {
        let start = Instant::now();
        let [done, resumed] = [0, 0].map(AtomicU64::new);
        Self { label: label.to_owned(), total, done, resumed, start, said: Mutex::new(start), remark: Mutex::default(), interval, say }
    }

    fn state(&self, seconds: f64, is_over: bool) -> State<'_> {
        let done = self.done.load(Ordering::Relaxed);
        let just_done = done.saturating_sub(self.resumed.load(Ordering::Relaxed));
        let left = match self.total.saturating_sub(done) {
            0 => Some(0.0),
            rest => (just_done > 0).then(|| seconds / just_done as f64 * rest as f64),
        };
        let remark = self.remark.lock().map(|remark| remark.clone()).unwrap_or_default();
        State { label: &self.label, done, total: self.total, seconds, left, remark, is_over }
    }
}

impl Task for Reported {
    fn advance(&self, steps: u64) {
        self.done.fetch_add(steps, Ordering::Relaxed);
        if let Ok(mut said) = self.said.try_lock()
            && said.elapsed() >= self.interval
        {
            *said = Instant::now();
            (self.say)(&self.state(self.start.elapsed().as_secs_f64(), false));
        }
    }

    fn resume(&self, steps: u64) {
        self.done.fetch_add(steps, Ordering::Relaxed);
        self.resumed.fetch_add(steps, Ordering::Relaxed);
    }

    fn remark(&self, text: &str) {
        if let Ok(mut remark) = self.remark.lock() {
            text.clone_into(&mut remark);
        }
    }
}

impl Drop for Reported {
    fn drop(&mut self) {
        (self.say)(&self.state(self.start.elapsed().as_secs_f64(), true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_reckoned_by_what_this_session_did() {
        let task = Reported::new("cells", 100, Duration::from_hours(1), |_| {});
        let left = || task.state(10.0, false).left;
        task.resume(40);
        assert_eq!((task.state(10.0, false).done, left()), (40, None));
        task.advance(20);
        assert_eq!((task.state(10.0, false).done, left()), (60, Some(20.0)));
        task.resume(40);
        assert_eq!(left(), Some(0.0));
    }
}
