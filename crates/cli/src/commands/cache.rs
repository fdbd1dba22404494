use bezoar_core::Error;
use bezoar_engine::{Cleared, Places, Store};
use clap::{Args, Subcommand};

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List what is kept (this is also what `cache` alone does).
    List,
    /// Throw it away, but for what a process works on; the next run makes it again.
    Clear {
        /// Only this stage, such as `represent`.
        stage: Option<String>,
    },
}

impl Cache {
    pub(crate) fn run(self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        let store = Store::new(&places.cache);
        match self.action.unwrap_or(Action::List) {
            Action::List => list(terminal, &store),
            Action::Clear { stage } => {
                let Cleared { bytes, busy } = store.clear(stage.as_deref())?;
                let left = if busy == 0 { String::new() } else { format!("; left are {busy} that a process works on") };
                terminal.result(&format!("{} MB freed{left}", bytes / 1_000_000));
                Ok(())
            }
        }
    }
}

fn list(terminal: &Terminal, store: &Store) -> Result<(), Error> {
    let entries = store.list()?;
    for entry in &entries {
        let state = if entry.finished { "" } else { "  not finished" };
        terminal.result(&format!("{:12} {} {:>8} MB{state}", entry.stage, entry.digest, entry.bytes / 1_000_000));
    }
    let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    terminal.result(&format!("{} entries, {} MB in {}", entries.len(), total / 1_000_000, store.root().display()));
    Ok(())
}
