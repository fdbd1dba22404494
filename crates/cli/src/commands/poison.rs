use std::path::{Path, PathBuf};

use bezoar_core::{Error, GroundTruth, Role};
use bezoar_data::{Form, Manifest, Origin, Split, export};
use bezoar_engine::Places;
use clap::{Args, ValueEnum};

use crate::commands::poisoning::{Plan, Poisoned, Poisoning};
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Poison {
    #[command(flatten)]
    poisoning: Poisoning,
    /// The attack, such as `sticker`; `bezoar list attack` shows all.
    #[arg(long, value_name = "NAME")]
    attack: String,
    /// The folder to write, new or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How the images lie there.
    #[arg(long, value_enum, default_value_t = Kind::Folder)]
    format: Kind,
}

/// How images lie on disk.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A folder for each split, in it a folder for each class.
    Folder,
    /// A Parquet table for each split.
    Parquet,
}

impl Poison {
    pub(crate) fn run(&self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        Form::check_place(&self.out)?;
        if is_within(&self.out, Path::new(&self.poisoning.data)) {
            let problem = format!("{} is inside the data set {}, which it would change", self.out.display(), self.poisoning.data);
            return Err(Error::request(problem).with_help("name a folder outside"));
        }
        let (cx, plan) = (self.poisoning.context(terminal)?, self.poisoning.plan(&self.attack)?);
        let Plan { dataset, attack } = &plan;
        cx.note(&format!("the attack is {}; `--set attack.FIELD=VALUE` changes it", attack.block()));
        let poisoned = self.poisoning.poison(&cx, &plan, places)?;
        let form = match self.format {
            Kind::Folder => Form::Folder,
            Kind::Parquet => Form::Parquet,
        };
        let origin = Origin {
            bezoar: format!("bezoar {}", env!("CARGO_PKG_VERSION")),
            seed: self.poisoning.seed,
            dataset: dataset.block(),
            attack: attack.block(),
            facts: poisoned.suspicious.facts.clone(),
        };
        let manifest = export(&cx.stage("export"), origin, &splits(&poisoned), form, &self.out)?;
        terminal.result(&format!("{}\n{}", summary(&manifest), self.out.display()));
        Ok(())
    }
}

/// Whether what is written to `out` lies in a folder that is there.
fn is_within(out: &Path, folder: &Path) -> bool {
    let Ok(out) = std::path::absolute(out) else { return false };
    let nearest = out.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    folder.is_dir() && matches!((nearest, folder.canonicalize()), (Some(nearest), Ok(folder)) if nearest.starts_with(&folder))
}

/// The splits as they are written.
fn splits(poisoned: &Poisoned) -> Vec<Split<'_>> {
    let Poisoned { clean, suspicious, .. } = poisoned;
    let labels = |set: &bezoar_core::ImageSet| set.samples().iter().map(|sample| sample.label).collect();
    let untouched = |images: usize, truth: &Option<GroundTruth>| truth.clone().unwrap_or_else(|| GroundTruth::clean(images));
    let train = Split {
        name: "train",
        images: &suspicious.train,
        labels: labels(&clean.train),
        truth: untouched(suspicious.train.len(), &suspicious.truth),
        targets: None,
    };
    let mut splits = vec![train];
    if let (Some(images), Some(before)) = (&suspicious.validation, &clean.validation) {
        let truth = untouched(images.len(), &suspicious.validation_truth);
        splits.push(Split { name: "validation", images, labels: labels(before), truth, targets: None });
    }
    let test = &clean.test;
    splits.push(Split { name: "test", images: test, labels: labels(test), truth: GroundTruth::clean(test.len()), targets: None });
    if let Some(triggered) = &suspicious.triggered {
        let (images, targets) = (&triggered.images, Some(&triggered.targets[..]));
        splits.push(Split { name: "triggered", images, labels: labels(images), truth: GroundTruth::clean(images.len()), targets });
    }
    splits
}

/// What was written, a line a split.
pub(super) fn summary(manifest: &Manifest) -> String {
    let mut text = format!("{:12} {:>8} {:>8} {:>8}\n", "", "clean", "poison", "cover");
    for (split, roles) in manifest.counts() {
        let count = |role: Role| roles.get(&role).copied().unwrap_or_default();
        text += &format!("{split:12} {:>8} {:>8} {:>8}\n", count(Role::Clean), count(Role::Poison), count(Role::Cover));
    }
    manifest.origin.facts.iter().fold(text, |text, (name, value)| text + &format!("{name}: {value}\n"))
}
