//! The nets beside PyTorch and zennit: ours and theirs in turn, on the same machine in the same minutes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::options::Options;
use crate::bezoar;
use crate::section::Section;

pub(super) const USAGE: &str = "peers|composites [--rounds N] [--repeats N] [--threads N] [--batch N] [--what WHAT] [--net NET]";

/// Comparisons that make one section of docs/benchmarks.md.
pub(super) struct Comparisons {
    section: Section,
    /// What is compared on every net.
    work: &'static [&'static str],
    nets: &'static [&'static str],
    /// What is compared beside it, ours with ours.
    memory: bool,
    notes: &'static str,
}

/// What a user waits for.
pub(super) const PEERS: Comparisons = Comparisons {
    section: Section { name: "peers", made_by: "cargo xtask bench peers" },
    work: &["inference", "training", "lrp-epsilon", "lrp-epsilon-plus"],
    nets: &["paper-inception", "resnet", "vgg", "compact-cnn"],
    memory: true,
    notes: NOTES,
};

/// Heatmaps by every composite.
pub(super) const COMPOSITES: Comparisons = Comparisons {
    section: Section { name: "composites", made_by: "cargo xtask bench composites" },
    work: &[
        "lrp-epsilon",
        "lrp-epsilon-plus",
        "lrp-epsilon-plus-flat",
        "lrp-epsilon-gamma-box",
        "lrp-epsilon-alpha2-beta1",
        "lrp-epsilon-alpha2-beta1-flat",
        "lrp-excitation-backprop",
    ],
    nets: &["paper-inception", "resnet", "vgg", "compact-cnn", "squeezenet", "mobilenet-v2", "inception-v3"],
    memory: false,
    notes: COMPOSITE_NOTES,
};

/// Names a virtual environment that has the peers, instead of the one that is made.
const ENVIRONMENT: &str = "BEZOAR_PEERS";

/// The comparison of ours with ours, and its net.
const MEMORY: (&str, &str) = ("heatmaps-memory", "compact-cnn");

/// Images of the comparison of ours with ours: memory must not grow with their number.
const IMAGES: [&str; 2] = ["34799", "1000"];

/// Measures what the options ask for. All of it becomes the page's section, a part of it is printed.
pub(super) fn run(Comparisons { section, work, nets, memory, notes }: &Comparisons, options: &[&str]) -> Result<ExitCode> {
    let mut given = Options::of(options, USAGE);
    let (what, net, rounds) = (given.or("--what", "")?, given.or("--net", "")?, given.number("--rounds", 5)?);
    let (batch, threads, repeats) = (given.or("--batch", "64")?, given.or("--threads", "2")?, given.or("--repeats", "3")?);
    given.end()?;

    let settings = ["--batch", &batch, "--threads", &threads, "--repeats", &repeats];
    let wanted = |(work, own): &(&str, &str)| (what.is_empty() || what == *work) && (net.is_empty() || net == *own);
    let all: Vec<_> = work.iter().flat_map(|work| nets.iter().map(|net| (*work, *net))).chain(memory.then_some(MEMORY)).collect();
    let asked: Vec<_> = all.iter().copied().filter(wanted).collect();
    ensure!(!asked.is_empty(), "nothing of this name is compared");
    let comparisons = comparisons(&asked, &settings)?;

    let mut table =
        "| what | net | ours | peer | ratio | least–greatest | bar | aim |\n|---|---|---:|---:|---:|---:|---:|---:|\n".to_owned();
    let mut programs = BTreeSet::new();
    for comparison in &comparisons {
        let measured = (0..rounds).map(|_| comparison.round()).collect::<Result<Vec<_>>>()?;
        let row = comparison.row(&Summary::of(&measured.iter().map(|round| round.values).collect::<Vec<_>>()));
        println!("{row}");
        writeln!(table, "{row}")?;
        programs.extend(measured.into_iter().flat_map(|round| round.programs));
    }
    if asked.len() < all.len() {
        println!("this is a part of docs/benchmarks.md, which stays as it was");
        return Ok(ExitCode::SUCCESS);
    }
    let command: String = options.iter().map(|option| format!(" {option}")).collect();
    let content = format!(
        "\nMeasured by `{}{command}` on {}, {threads} threads each: {}.\n\
         {rounds} rounds of ours and the peer's in turn, each in a process of its own that gives the median of {repeats} batches of {batch}\n\
         after a warm-up. Rates are images a second, medians over the rounds; the ratio is the median of the rounds' ratios, beside the\n\
         least and the greatest.\n\n{table}\n{notes}",
        section.made_by,
        crate::machine(),
        Vec::from_iter(programs).join(", "),
    );
    super::write("benchmarks.md", section, &content)
}

const NOTES: &str = "\
RGB images of 32x32 pixels, 43 classes. The peers' nets (`bench/peers/nets.py`) have the same layers and, checked in every round, as
many parameters as ours.

- **inference**: scores of images that lie ready as tensors; ours with batch norm folded, PyTorch eager in `eval()` and `inference_mode()`.
- **training**: forward, cross-entropy, gradients, running statistics and a step of Adam. Ours is the training of a run, without
  augmentation but with the reading of images; PyTorch's images lie ready as tensors.
- **lrp**: heatmaps of the label's score. Ours is the representation `lrp` of a run, from images to rows; the peer is zennit with
  `SequentialMergeBatchNorm` and the same rules: its `Sum` layer stands for a residual net's additions.
- **heatmaps-memory**: the process's peak in MB for heatmaps of 34,799 images that go to a file; in the peer's place, for 1,000 of them.
  Here less is better.
";

const COMPOSITE_NOTES: &str = "\
Heatmaps of the label's score, the nets and zennit as above, beside torchvision's SqueezeNet 1.1, MobileNetV2 and Inception v3 (this one for
images of 96x96 pixels). zennit's composites give the first layer's rule to the layer that was registered first, ours to all that see the image,
which in the paper's net are four; and in Inception v3 zennit sees no average pools, which are no modules there.
";

/// Two programs that do the same work.
struct Comparison {
    what: &'static str,
    net: &'static str,
    ours: Program,
    peer: Program,
    /// What of their lines of JSON is compared, and what it is divided by to be read.
    field: (&'static str, f64),
    /// The ratio that is asked for, and the one that is hoped for.
    bars: [&'static str; 2],
}

pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// Ours and the peer's, once each.
struct Round {
    values: [f64; 2],
    programs: [String; 2],
}

fn comparisons(asked: &[(&'static str, &'static str)], settings: &[&str]) -> Result<Vec<Comparison>> {
    let ours = bezoar::build_binary("bezoar-bench", "bezoar-bench", None)?;
    let python = if asked.iter().any(|asked| *asked != MEMORY) { Some(python()?) } else { None };
    let program = |path: &Path, arguments: &[&[&str]]| Program {
        path: path.to_owned(),
        arguments: arguments.concat().into_iter().map(str::to_owned).collect(),
    };
    let comparison = |&(what, net): &(&'static str, &'static str)| {
        let Some(python) = python.as_ref().filter(|_| (what, net) != MEMORY) else {
            let [ours, peer] = IMAGES.map(|images| program(&ours, &[&[what, net, "--images", images], settings]));
            return Comparison { what, net, ours, peer, field: ("peak_bytes", 1e6), bars: ["at most 1.05x", "–"] };
        };
        let script = if what.starts_with("lrp-") { "zennit_rates.py" } else { "torch_rates.py" };
        let script = crate::root().join("bench/peers").join(script).display().to_string();
        let peer = program(python, &[&[&script, what, net], settings]);
        Comparison { what, net, ours: program(&ours, &[&[what, net], settings]), peer, field: ("images_per_s", 1.0), bars: bars(what, net) }
    };
    Ok(asked.iter().map(comparison).collect())
}

/// The ratio that is asked for, and the one that is hoped for.
fn bars(what: &str, net: &str) -> [&'static str; 2] {
    match (what, net) {
        ("inference", "paper-inception") => ["1.5x", "2.5x"],
        ("training", "paper-inception") => ["1.2x", "1.8x"],
        ("lrp-epsilon", "paper-inception") => ["3x", "5x"],
        ("lrp-epsilon-plus", "paper-inception") => ["2.5x", "4x"],
        ("inference" | "training", "resnet") => ["1.2x", "2x"],
        (heatmaps, _) if heatmaps.starts_with("lrp-") => ["2x", "–"],
        _ => ["–", "–"],
    }
}

impl Comparison {
    fn round(&self) -> Result<Round> {
        let (ours, peer) = (self.ours.run()?, self.peer.run()?);
        let [here, there] = [&ours, &peer].map(|line| &line["parameters"]);
        ensure!(here == there, "{} has {here} parameters, the peer's {there}: they are not the same net", self.net);
        let (field, unit) = self.field;
        let value = |line: &Value| line[field].as_f64().map(|value| value / unit).with_context(|| format!("no {field} in {line}"));
        let program = |line: &Value| line["by"].as_str().unwrap_or("?").to_owned();
        Ok(Round { values: [value(&ours)?, value(&peer)?], programs: [program(&ours), program(&peer)] })
    }

    fn row(&self, summary: &Summary) -> String {
        let Summary { values: [ours, peer], ratio, least, greatest } = summary;
        let number = |value: &f64| if *value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") };
        let [bar, aim] = self.bars;
        format!(
            "| {} | {} | {} | {} | {ratio:.2}x | {least:.2}–{greatest:.2} | {bar} | {aim} |",
            self.what,
            self.net,
            number(ours),
            number(peer)
        )
    }
}

impl Program {
    /// One of the workspace's benches, which cargo builds first.
    pub(super) fn bench(name: &str, arguments: &[&str]) -> Self {
        let manifest = crate::root().join("Cargo.toml").display().to_string();
        let bench = ["bench", "--quiet", "--manifest-path", &manifest, "--workspace", "--bench", name, "--"];
        let path = std::env::var_os("CARGO").map_or_else(|| "cargo".into(), Into::into);
        Self { path, arguments: [&bench, arguments].concat().into_iter().map(str::to_owned).collect() }
    }

    /// The line of JSON that it prints last.
    pub(super) fn run(&self) -> Result<Value> {
        let name = || format!("{} {}", self.path.display(), self.arguments.join(" "));
        let output = Command::new(&self.path).args(&self.arguments).env("PYTHONDONTWRITEBYTECODE", "1").output().with_context(name)?;
        ensure!(output.status.success(), "{} failed:\n{}", name(), String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        serde_json::from_str(text.lines().last().unwrap_or_default()).with_context(|| format!("{} did not print a line of JSON", name()))
    }
}

/// What rounds of `[ours, peer]` come to.
#[derive(Debug, PartialEq)]
pub(super) struct Summary {
    /// The median of each.
    pub(super) values: [f64; 2],
    /// The median of the rounds' ratios, not the ratio of the medians: a round's two values share the machine's mood.
    pub(super) ratio: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Summary {
    pub(super) fn of(rounds: &[[f64; 2]]) -> Self {
        let sorted = |of: &dyn Fn(&[f64; 2]) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let ratios = sorted(&|[ours, peer]| ours / peer);
        let values = [median(&sorted(&|round| round[0])), median(&sorted(&|round| round[1]))];
        Self { values, ratio: median(&ratios), least: ratios[0], greatest: ratios[ratios.len() - 1] }
    }
}

/// The middle of ascending values, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// The Python that has the peers: of the environment that the user names, or of `target/peers`, which is made if it is not there.
pub(super) fn python() -> Result<PathBuf> {
    let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    if let Some(named) = std::env::var_os(ENVIRONMENT) {
        let python = Path::new(&named).join(inside);
        ensure!(python.is_file(), "{ENVIRONMENT} names no virtual environment: there is no {}", python.display());
        return Ok(python);
    }
    let folder = crate::root().join("target/peers");
    let python = folder.join(inside);
    if !python.is_file() {
        println!("making {} (3 GB, some minutes)", folder.display());
        must(Command::new("python3").args(["-m", "venv"]).arg(&folder), "Python 3 with its module venv is needed")?;
    }
    let requirements = crate::root().join("bench/peers/requirements.txt");
    must(
        Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements),
        "the peers cannot be installed; a network is needed, or a virtual environment that has them",
    )?;
    Ok(python)
}

/// Runs a command that all the rest depends on.
fn must(command: &mut Command, problem: &str) -> Result<()> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("{problem} ({status}); {ENVIRONMENT} may name one that is there already"),
        Err(error) => bail!("{problem} ({error}); {ENVIRONMENT} may name a virtual environment that is there already"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_ratios() {
        let rounds = [[10.0, 5.0], [30.0, 10.0], [40.0, 40.0]];
        assert_eq!(Summary::of(&rounds), Summary { values: [30.0, 10.0], ratio: 2.0, least: 1.0, greatest: 3.0 });
        assert_eq!(Summary::of(&rounds[..2]), Summary { values: [20.0, 7.5], ratio: 2.5, least: 2.0, greatest: 3.0 });
        assert_eq!(Summary::of(&rounds[..1]), Summary { values: [10.0, 5.0], ratio: 2.0, least: 2.0, greatest: 2.0 });
    }
}
