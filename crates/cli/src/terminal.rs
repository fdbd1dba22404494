//! What the user sees: results on stdout, everything else on stderr. The only place that prints.

#![expect(clippy::print_stderr, reason = "this is the one module that talks to the user")]

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bezoar_core::{Error, Progress, Task};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

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
    pub(crate) fn progress(&self) -> std::sync::Arc<dyn Progress> {
        if self.interactive { std::sync::Arc::new(Bars(MultiProgress::new())) } else { std::sync::Arc::new(Lines) }
    }
}

struct Bars(MultiProgress);

impl Progress for Bars {
    fn task(&self, label: &str, total: u64) -> Box<dyn Task> {
        let style = ProgressStyle::with_template("{prefix:24} {wide_bar:.cyan/dim} {pos}/{len} {per_sec:>10} ETA {eta:>4}  {msg}");
        let bar = self.0.add(ProgressBar::new(total).with_prefix(label.to_owned()));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Box::new(Bar(bar))
    }

    fn note(&self, message: &str) {
        let _ = self.0.println(format!("note: {message}"));
    }
}

struct Bar(ProgressBar);

impl Task for Bar {
    fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    fn remark(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
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
    start: Instant,
    said: Mutex<Instant>,
    remark: Mutex<String>,
}

impl Line {
    fn say(&self, done: u64) {
        let seconds = self.start.elapsed().as_secs_f64();
        let left = seconds / done.max(1) as f64 * self.total.saturating_sub(done) as f64;
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
