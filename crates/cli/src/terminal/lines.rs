use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bezoar_core::{Progress, Task};

/// A line for each task, and now and then one on the way.
pub(super) struct Lines;

/// How often a long task says how far it is.
const INTERVAL: Duration = Duration::from_secs(10);

impl Progress for Lines {
    fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        let now = Instant::now();
        Box::new(Line {
            label: label.to_owned(),
            total,
            done: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            start: now,
            said: Mutex::new(now),
            remark: Mutex::default(),
        })
    }

    fn note(&self, message: &str) {
        eprintln!("note: {message}");
    }
}

struct Line {
    label: String,
    total: u64,
    done: AtomicU64,
    resumed: AtomicU64,
    start: Instant,
    said: Mutex<Instant>,
    remark: Mutex<String>,
}

impl Line {
    fn say(&self, done: u64) {
        let seconds = self.start.elapsed().as_secs_f64();
        let just_done = done.saturating_sub(self.resumed.load(Ordering::Relaxed)).max(1);
        let left = seconds / just_done as f64 * self.total.saturating_sub(done) as f64;
        let remark = self.remark.lock().map(|remark| remark.clone()).unwrap_or_default();
        let rest = if done < self.total { format!(", {left:.0} s to go") } else { format!(" in {seconds:.1} s") };
        let separator = if remark.is_empty() { "" } else { "  " };
        eprintln!("{}: {done}/{}{rest}{separator}{remark}", self.label, self.total);
    }
}

impl Task for Line {
    fn advance(&self, steps: u64) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        if let Ok(mut said) = self.said.try_lock()
            && said.elapsed() >= INTERVAL
        {
            *said = Instant::now();
            self.say(done);
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

impl Drop for Line {
    fn drop(&mut self) {
        self.say(self.done.load(Ordering::Relaxed));
    }
}
