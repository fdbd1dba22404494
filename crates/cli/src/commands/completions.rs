use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, terminal: &Terminal) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Arguments::command(), "bezoar", &mut script);
        terminal.result(&String::from_utf8_lossy(&script));
    }
}
