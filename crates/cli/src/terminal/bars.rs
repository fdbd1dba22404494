use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bezoar_core::{Progress, Task, printable};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::tell;

/// A bar for each task under way.
pub(super) struct Bars(MultiProgress);

impl Bars {
    pub(super) fn new() -> Self {
        Self(MultiProgress::new())
    }
}

impl Progress for Bars {
    fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        let resumed = Arc::new(AtomicU64::new(0));
        let bar = self.0.add(ProgressBar::new(total).with_prefix(printable(label)).with_style(style(&resumed)));
        bar.enable_steady_tick(Duration::from_millis(250));
        Box::new(Bar { bar, resumed })
    }

    fn note(&self, message: &str) {
        self.0.suspend(|| tell(&format!("note: {message}")));
    }
}

/// One line that fits into 80 columns. Its rate is that of this session, which began after `resumed` steps.
fn style(resumed: &Arc<AtomicU64>) -> ProgressStyle {
    let resumed = resumed.clone();
    let figures = move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let (done, total) = (state.pos(), state.len().unwrap_or_default());
        let just_done = done.saturating_sub(resumed.load(Ordering::Relaxed));
        let rate = just_done as f64 / state.elapsed().as_secs_f64().max(1e-3);
        let _ = write!(out, "{}/{}  {}/s", amount(done), amount(total), short(rate));
        if just_done > 0 {
            let left = Duration::from_secs_f64((total.saturating_sub(done) as f64 / rate).min(1e9));
            let _ = write!(out, "  ETA {:#}", HumanDuration(left));
        }
    };
    let style = ProgressStyle::with_template("{prefix} {wide_bar:.cyan/dim} {figures}  {msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("figures", figures)
}

/// A count: exact, or in short where that would be long.
fn amount(count: u64) -> String {
    if count < 100_000 { count.to_string() } else { short(count as f64) }
}

/// Two or three digits of a number: `0.4`, `13`, `1.6k`, `263M`.
fn short(value: f64) -> String {
    let (unit, name) = match value {
        999_500_000.0.. => (1e9, "G"),
        999_500.0.. => (1e6, "M"),
        999.5.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let value = value / unit;
    if value < 9.95 { format!("{value:.1}{name}") } else { format!("{value:.0}{name}") }
}

struct Bar {
    bar: ProgressBar,
    /// Steps that were done before.
    resumed: Arc<AtomicU64>,
}

impl Task for Bar {
    fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    fn resume(&self, steps: u64) {
        self.resumed.fetch_add(steps, Ordering::Relaxed);
        self.bar.inc(steps);
    }

    fn remark(&self, text: &str) {
        self.bar.set_message(printable(text));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal of 80 columns that remembers the line written last.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.42, 9.94, 9.96, 12.940_673, 999.4, 999.6, 1_600.0, 356_347.27, 8_133_406.0, 2.63e8, 1e10].map(short);
        assert_eq!(texts, ["0.0", "0.4", "9.9", "10", "13", "999", "1.0k", "1.6k", "356k", "8.1M", "263M", "10G"]);
        assert_eq!([0, 99_999, 100_000, 276_294_756].map(amount), ["0", "99999", "100k", "276M"]);
    }

    #[test]
    fn a_resumed_bar_fits_and_counts_only_what_this_session_did() {
        for (label, remark) in [("downloading GTSRB_Final_Training_Images.zip", ""), ("training", "epoch 100, loss 0.123")] {
            let screen = Screen::default();
            let bars = Bars(MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone()))));
            let task = bars.task(label, 276_294_756);
            task.resume(200_000_000);
            task.advance(1_000);
            task.remark(remark);
            std::thread::sleep(Duration::from_millis(600));
            let text = screen.0.lock().unwrap().clone();
            assert!(text.trim_end().chars().count() <= 80 && text.contains("200M/276M") && text.contains(remark), "{text}");
            let rate = text.split_whitespace().find(|word| word.ends_with("k/s"));
            assert!(rate.is_some_and(|rate| rate.len() <= 6), "{text}");
        }
    }
}
