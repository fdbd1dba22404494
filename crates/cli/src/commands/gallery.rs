use std::path::PathBuf;

use bezoar_core::{Error, Registry, Role};
use bezoar_engine::Places;
use bezoar_report::gallery::{Exhibit, Pair, gallery};
use clap::Args;

use crate::commands::poisoning::{Poisoned, Poisoning};
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Gallery {
    #[command(flatten)]
    poisoning: Poisoning,
    /// An attack to show, such as `sticker`; may be given several times. Without it, all are shown.
    #[arg(long, value_name = "NAME")]
    attack: Vec<String>,
    /// Images of each attack.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    images: u16,
    /// The picture to write, PNG.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Gallery {
    pub(crate) fn run(&self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        let registry = Registry::global().map_err(Error::request)?;
        let all = || registry.of_kind("attack").map(|plugin| plugin.name).filter(|name| !["none", "backdoor"].contains(name));
        let attacks: Vec<String> = if self.attack.is_empty() { all().map(str::to_owned).collect() } else { self.attack.clone() };
        let cx = self.poisoning.context(terminal)?;
        let exhibit = |name: &String| {
            let poisoned = self.poisoning.poison(&cx, &self.poisoning.plan(name)?, places)?;
            Ok(Exhibit { title: name.clone(), pairs: self.pairs(&poisoned)? })
        };
        let exhibits = attacks.iter().map(exhibit).collect::<Result<Vec<_>, Error>>()?;
        let picture = gallery(&exhibits);
        picture.save_with_format(&self.out, image::ImageFormat::Png).map_err(|error| Error::data(self.out.display(), error))?;
        terminal.result(&format!("{}", self.out.display()));
        Ok(())
    }

    /// Poisoned images from all over the set, beside what they were.
    fn pairs(&self, poisoned: &Poisoned) -> Result<Vec<Pair>, Error> {
        let Poisoned { clean, suspicious, .. } = poisoned;
        let Some(truth) = &suspicious.truth else { return Ok(Vec::new()) };
        let rows: Vec<usize> = (0..truth.roles.len()).filter(|row| truth.roles[*row] == Role::Poison).collect();
        let wanted = usize::from(self.images).min(rows.len());
        let rows = (0..wanted).map(|at| rows[at * rows.len() / wanted]);
        let pair =
            |row| Ok(Pair { clean: clean.train.image(row)?, poisoned: suspicious.train.image(row)?, masks: truth.masks[row].clone() });
        rows.map(pair).collect()
    }
}
