//! What the user sees: results on stdout, everything else on stderr. The only place that prints.

#![expect(clippy::print_stderr, reason = "this is the one module that talks to the user")]

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bezoar_core::{Error, Progress, Task};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// The user's terminal, or the file or pipe in its place.
pub(crate) struct Terminal {
    interactive: bool,
    color: bool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let interactive = std::io::stderr().is_terminal();
        Self { interactive, color: interactive && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Whether results may be coloured.
    pub(crate) fn colors_results(&self) -> bool {
        self.color && std::io::stdout().is_terminal()
    }

    /// A result. A reader that has gone away, as with `| head`, is no error.
    #[expect(clippy::unused_self, reason = "only who holds the terminal may print")]
    pub(crate) fn result(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
    }

    /// An error, with how to mend it.
    pub(crate) fn error(&self, error: &Error) {
        match error {
            Error::Config(mistakes) => eprintln!("{}", mistakes.render(self.color)),
            Error::Cancelled => eprintln!("{error}"),
            _ => {
                let (red, end) = if self.color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
                eprintln!("{red}error{end}: {error}");
            }
        }
        if let Some(help) = error.help() {
            eprintln!("help: {help}");
        }
    }

    /// Progress bars on a terminal, plain lines without one.
    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        if self.interactive { Arc::new(Bars(MultiProgress::new())) } else { Arc::new(Lines) }
    }
}

struct Bars(MultiProgress);

impl Progress for Bars {
    fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        let resumed = Arc::new(AtomicU64::new(0));
        let bar = self.0.add(ProgressBar::new(total).with_prefix(label.to_owned()).with_style(style(&resumed)));
        bar.enable_steady_tick(Duration::from_millis(250));
        Box::new(Bar { bar, resumed })
    }

    fn note(&self, message: &str) {
        self.0.suspend(|| eprintln!("note: {message}"));
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
        self.bar.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

struct Lines;

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

#[cfg(test)]
mod tests {
    use std::io;

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
