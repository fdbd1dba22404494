//! Rates, from when how much was done.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bezoar_core::{Progress, Task};

/// Notes when steps of a task are done.
#[derive(Clone)]
pub(crate) struct Pace {
    start: Instant,
    /// Seconds since the start, and the steps done since the mark before.
    marks: Arc<Mutex<Vec<(f64, u64)>>>,
}

impl Pace {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), marks: Arc::default() }
    }

    /// Steps a second: the median over stretches of about `least` steps, of which the first is a warm-up.
    pub(crate) fn rate(&self, least: usize) -> Option<f64> {
        median(rates(&self.marks.lock().unwrap_or_else(PoisonError::into_inner), least as u64))
    }
}

impl Progress for Pace {
    fn task(&self, _: &str, _: u64) -> Box<dyn Task> {
        Box::new(self.clone())
    }

    fn note(&self, _: &str) {}
}

impl Task for Pace {
    fn advance(&self, steps: u64) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).push((self.start.elapsed().as_secs_f64(), steps));
    }

    fn remark(&self, _: &str) {}
}

/// Steps a second in each stretch but the first. Every `least` steps a stretch ends, at the next mark.
fn rates(marks: &[(f64, u64)], least: u64) -> Vec<f64> {
    let (mut rates, mut last, mut done) = (Vec::new(), None, 0);
    for &(now, steps) in marks {
        done += steps;
        if done / least > last.map_or(0, |(_, before)| before / least) {
            rates.extend(last.map(|(then, before)| (done - before) as f64 / (now - then)));
            last = Some((now, done));
        }
    }
    rates
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[values.len() / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_whole_stretches_after_the_first() {
        let marks = [(9.0, 0), (10.0, 3), (12.0, 3), (13.0, 3), (14.0, 3), (15.0, 3), (17.0, 1)];
        assert_eq!(rates(&marks, 5), [6.0 / 2.0, 3.0 / 1.0]);
        assert_eq!(rates(&marks, 3), [1.5, 3.0, 3.0, 3.0]);
        assert_eq!(rates(&marks[..2], 3), [0.0; 0]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![5.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_task_leaves_marks() {
        let pace = Pace::start();
        let task = pace.task("work", 3);
        for _ in 0..3 {
            task.advance(1);
        }
        assert!(pace.rate(1).is_some_and(|rate| rate > 0.0));
    }
}
