//! What the user sees: results on stdout, everything else on stderr; or all of it as lines of JSON on stdout. The only place that prints.
//! Texts may come from data: nothing in them steers the terminal.

#![expect(clippy::print_stderr, reason = "this is the one module that talks to the user")]

mod bars;
mod events;
mod lines;
mod once;
mod reported;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use bezoar_core::{Cancel, Context, Device, Error, Progress, Silent, printable};
use serde_json::{Value, json};

use bars::Bars;
use events::Events;
use lines::Lines;
use once::Once;

/// How much is said, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Results, progress and notes, for people.
    Full,
    /// Results and errors alone.
    Quiet,
    /// Everything, for programs.
    JsonLines,
}

/// The user's terminal, or the file or pipe in its place.
pub(crate) struct Terminal {
    manner: Manner,
    interactive: bool,
    color: bool,
}

impl Terminal {
    pub(crate) fn new(manner: Manner) -> Self {
        let interactive = std::io::stderr().is_terminal();
        let color = interactive && manner != Manner::JsonLines && std::env::var_os("NO_COLOR").is_none();
        Self { manner, interactive, color }
    }

    /// Whether results may be coloured.
    pub(crate) fn colors_results(&self) -> bool {
        self.color && std::io::stdout().is_terminal()
    }

    /// Whether there is somebody who could answer a question.
    pub(crate) fn answers(&self) -> bool {
        self.manner == Manner::Full && self.interactive && std::io::stdin().is_terminal()
    }

    /// Asks for a line.
    #[expect(clippy::unused_self, reason = "only who holds the terminal may print")]
    pub(crate) fn ask(&self, question: &str) -> Result<String, Error> {
        let mut answer = String::new();
        eprint!("{} ", printable(question));
        std::io::stdin().read_line(&mut answer).map_err(Error::request)?;
        Ok(answer.trim().to_owned())
    }

    /// A result. A reader that has gone away, as with `| head`, is no error.
    pub(crate) fn result(&self, text: &str) {
        self.outcome(text, || json!({ "text": text }));
    }

    /// A result in words for people, and as a mapping for programs.
    pub(crate) fn outcome(&self, text: &str, fields: impl FnOnce() -> Value) {
        if self.manner == Manner::JsonLines {
            events::say("result", fields());
        } else {
            let _ = writeln!(std::io::stdout().lock(), "{}", safe(text.trim_end_matches('\n'), self.colors_results()));
        }
    }

    /// An error, with how to mend it.
    pub(crate) fn error(&self, error: &Error) {
        if self.manner == Manner::JsonLines {
            events::say("error", json!({ "message": error.to_string(), "help": error.help() }));
            return;
        }
        match error {
            Error::Config(mistakes) => eprintln!("{}", mistakes.render(self.color)),
            Error::Cancelled => tell(&error.to_string()),
            _ => {
                let (red, end) = if self.color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
                eprint!("{red}error{end}: ");
                tell(&error.to_string());
            }
        }
        if let Some(help) = error.help() {
            tell(&format!("help: {help}"));
        }
    }

    /// A context whose progress is shown here. The first Ctrl-C stops its work at the next safe place, the second one at once.
    pub(crate) fn context(&self, seed: u64, device: Device) -> Result<Context, Error> {
        let cancel = Cancel::default();
        let switch = cancel.clone();
        let handler = move || {
            if switch.is_cancelled() {
                std::process::abort();
            }
            switch.cancel();
        };
        ctrlc::set_handler(handler).map_err(Error::request)?;
        Ok(Context::new(seed, device, self.progress(), cancel))
    }

    /// Progress bars on a terminal, plain lines without one, and notes once; nothing, or lines of JSON, where that is wanted.
    fn progress(&self) -> Arc<dyn Progress> {
        match self.manner {
            Manner::Quiet => Arc::new(Silent),
            Manner::JsonLines => Arc::new(Events),
            Manner::Full if self.interactive => Arc::new(Once::new(Bars::new())),
            Manner::Full => Arc::new(Once::new(Lines)),
        }
    }
}

/// Writes lines to stderr.
fn tell(text: &str) {
    eprintln!("{}", printable(text));
}

/// The text as it may be written to stdout: of what commands a terminal, colours alone are left, where there may be any.
fn safe(text: &str, color: bool) -> String {
    let mut parts = text.split('\x1b');
    let mut safe = printable(parts.next().unwrap_or_default());
    for part in parts {
        let code = part.split_once('m').map(|(code, _)| code).filter(|code| color && is_color(code)).unwrap_or_default();
        safe.push(if code.is_empty() { '\u{fffd}' } else { '\x1b' });
        safe += code;
        safe += &printable(&part[code.len()..]);
    }
    safe
}

/// Whether `[1;31`, say, asks for a colour or weight, and not for text that cannot be seen.
fn is_color(code: &str) -> bool {
    let parameter = |text: &str| matches!(text.as_bytes(), [b'0'..=b'2'] | [b'3', b'0'..=b'7']);
    code.strip_prefix('[').is_some_and(|code| code.split(';').all(parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_steers_a_terminal_colours_alone_are_left() {
        let text = "\x1b[1;31mred\x1b[0m\tand\n\x1b[2J\x1b]0;title\x07\x1b[8mhidden\u{202e}\x1b";
        let rest = "\u{fffd}[2J\u{fffd}]0;title\u{fffd}\u{fffd}[8mhidden\u{fffd}\u{fffd}";
        assert_eq!(safe(text, true), format!("\x1b[1;31mred\x1b[0m\tand\n{rest}"));
        assert_eq!(safe(text, false), format!("\u{fffd}[1;31mred\u{fffd}[0m\tand\n{rest}"));
    }
}
