use std::path::PathBuf;

use bezoar_core::{Device, Error};
use bezoar_data::{Card, Transfer, Verified, card, fetch, here, home, import, list, verify};
use clap::{Args, Subcommand};

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the known data sets.
    List,
    /// Download a data set; goes on where an earlier try stopped.
    Fetch {
        /// The data set.
        name: String,
        /// Which of its editions; the first that can be downloaded unless named.
        #[arg(long)]
        edition: Option<String>,
    },
    /// Decode and count what is there.
    Verify {
        /// The data set.
        name: String,
        /// Where it is, if not at its usual place.
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// Take over a copy that you have.
    Import {
        /// The data set.
        name: String,
        /// Where your copy is.
        from: PathBuf,
        /// Copy the files; otherwise they are linked where the system can.
        #[arg(long)]
        copy: bool,
    },
}

impl Data {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<(), Error> {
        let cx = terminal.context(0, Device::Cpu)?;
        match self.action {
            Action::List => {
                for card in list()? {
                    let lines = [card.summary.clone(), format!("licence: {}", card.licence), whereabouts(card)];
                    terminal.result(&format!("{:12} {}", card.name, lines.join(&format!("\n{:13}", ""))));
                }
            }
            Action::Fetch { name, edition } => {
                let card = card(&name)?;
                fetch(card, edition.as_deref(), &home(card), &cx)?;
                terminal.result(&found(card, &verify(card, &home(card), &cx)?));
            }
            Action::Verify { name, root } => {
                let card = card(&name)?;
                let root = root.unwrap_or_else(|| home(card));
                terminal.result(&found(card, &verify(card, &root, &cx)?));
            }
            Action::Import { name, from, copy } => {
                let card = card(&name)?;
                let transfer = if copy { Transfer::Copy } else { Transfer::Link };
                terminal.result(&found(card, &import(card, &from, &home(card), transfer, &cx)?));
            }
        }
        Ok(())
    }
}

/// Whether a data set is here, and where.
fn whereabouts(card: &Card) -> String {
    match here(card) {
        _ if card.editions.is_empty() => "rendered: nothing to download".to_owned(),
        Some(place) => format!("here: {}", place.display()),
        None => format!("not here: `fetch` or `import` puts it into {}", home(card).display()),
    }
}

/// What is there, a line a class.
fn found(card: &Card, verified: &Verified) -> String {
    let mut text = format!("{:32}", "class");
    for split in &verified.splits {
        text += &format!(" {:>10}", split.name);
    }
    for (class, name) in card.classes.iter().enumerate() {
        text += &format!("\n{name:32}");
        for split in &verified.splits {
            text += &format!(" {:>10}", split.images.get(class).copied().unwrap_or_default());
        }
    }
    for broken in &verified.broken {
        text += &format!("\nbroken: {}: {}", broken.path, broken.problem);
    }
    text += &format!("\n{}", verified.counts());
    match &verified.edition {
        Some(edition) => text + &format!(": the edition `{}`, whole", edition.name),
        None => text + ": no known edition",
    }
}
