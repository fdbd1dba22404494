//! Bad inputs and what each gets: `docs/bad-inputs.md` is made here and checked. Run with `BEZOAR_BLESS=1` to write it anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A pipeline without mistakes, one line a stage, for cases to spoil.
const GOOD: &str = "\
version: 1
name: bad
seed: 0
device: cpu
dataset: { use: signs, train: 8, validation: 4, test: 4 }
attack: { use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.2 }
model: { use: compact-cnn }
train: { epochs: 1, batch: 16 }
detect:
  - use: heatmap-clustering
";

/// One bad input.
struct Case {
    what: &'static str,
    /// Lines of the good pipeline to replace: those that begin with the first text become the second.
    spoil: &'static [(&'static str, &'static str)],
    options: &'static [&'static str],
    prepare: fn(&Path),
}

impl Case {
    const fn yaml(what: &'static str, spoil: &'static [(&'static str, &'static str)]) -> Self {
        Self { what, spoil, options: &[], prepare: |_| {} }
    }

    const fn set(what: &'static str, options: &'static [&'static str]) -> Self {
        Self { what, spoil: &[], options, prepare: |_| {} }
    }

    const fn data(what: &'static str, dataset: &'static [(&'static str, &'static str)], prepare: fn(&Path)) -> Self {
        Self { what, spoil: dataset, options: &[], prepare }
    }

    fn pipeline(&self) -> String {
        let spoiled =
            |line: &str| self.spoil.iter().find(|(start, _)| line.starts_with(start)).map_or(line.to_owned(), |(_, new)| (*new).to_owned());
        GOOD.lines().map(|line| spoiled(line) + "\n").collect()
    }

    /// What the program says, and its exit code.
    fn run(&self) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("bad.yaml"), self.pipeline()).unwrap();
        (self.prepare)(folder.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_bezoar"));
        command.args(["eval", "bad.yaml"]).args(self.options).current_dir(folder.path());
        let output = command.env_remove("BEZOAR_DATA").output().unwrap();
        let here = folder.path().canonicalize().unwrap().display().to_string();
        let text = String::from_utf8_lossy(&output.stderr).replace(&here, "/home/me");
        // How far the work came, and how fast, is not what this page is about.
        let said: Vec<_> = text.lines().filter(|line| !is_progress(line)).collect();
        (output.status.code().unwrap_or(-1), said.join("\n"))
    }
}

fn is_progress(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(_, rest)| rest.split_once('/').is_some_and(|(done, _)| done.parse::<u64>().is_ok()))
}

const FOLDER: &[(&str, &str)] =
    &[("dataset", "dataset: { use: image-folder, root: images }"), ("attack", "attack: { use: sticker, from: a, to: b, share: 0.2 }")];
const NO_ATTACK: &[(&str, &str)] = &[("dataset", "dataset: { use: image-folder, root: images }"), ("attack", "")];
const TABLE: &[(&str, &str)] =
    &[("dataset", "dataset: { use: parquet, root: tables }"), ("attack", "attack: { use: sticker, from: a, to: b, share: 0.2 }")];

/// Class folders with so many small images each.
fn image_folder(root: &Path, classes: &[(&str, usize)]) {
    for (class, count) in classes {
        let folder = root.join("images").join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..*count {
            // A binary PPM of 32x32 pixels.
            let mut file = b"P6 32 32 255\n".to_vec();
            file.extend((0..32 * 32 * 3).map(|at| ((at * 7 + i * 31 + class.len() * 60) % 256) as u8));
            fs::write(folder.join(format!("{i}.ppm")), file).unwrap();
        }
    }
}

const CASES: &[Case] = &[
    Case::yaml("no YAML at all", &[("version", "}{"), ("name", "")]),
    Case::yaml("a tab for indentation", &[("  - use", "\t- use: heatmap-clustering")]),
    Case::yaml("a key given twice", &[("seed", "seed: 0\nseed: 1")]),
    Case::yaml("an unknown key, misspelt", &[("dataset", "datset: { use: signs }")]),
    Case::yaml("a missing block", &[("model", "")]),
    Case::yaml("an unknown plugin, misspelt", &[("model", "model: { use: compact-cn }")]),
    Case::yaml("a plugin of another kind", &[("model", "model: { use: k-means }")]),
    Case::yaml("a number where a block is wanted", &[("model", "model: 7")]),
    Case::yaml("a block where a list is wanted", &[("train", "evaluate: { use: detection }")]),
    Case::yaml("a list where a block is wanted, of a kind that begins with a vowel", &[("train", "train: { optimizer: [adam] }")]),
    Case::yaml("a block that names no plugin", &[("attack", "attack: { from: a, to: b, share: 0.2 }")]),
    Case::yaml("an unknown field of a plugin", &[("attack", "attack: { use: sticker, from: a, to: b, share: 0.2, colour: red }")]),
    Case::yaml("a missing field of a plugin", &[("attack", "attack: { use: sticker, from: a, to: b }")]),
    Case::yaml("a text where a number is wanted", &[("attack", "attack: { use: sticker, from: a, to: b, share: many }")]),
    Case::yaml("share 0", &[("attack", "attack: { use: sticker, from: a, to: b, share: 0 }")]),
    Case::yaml("share 1", &[("attack", "attack: { use: sticker, from: a, to: b, share: 1 }")]),
    Case::yaml("a sticker of four pixels a side", &[("attack", "attack: { use: sticker, from: a, to: b, share: 0.2, size: 4 }")]),
    Case::yaml("a colour that is none", &[("attack", "attack: { use: sticker, from: a, to: b, share: 0.2, color: yellow }")]),
    Case::yaml("source = target", &[("attack", "attack: { use: sticker, from: stop, to: stop, share: 0.2 }")]),
    Case::yaml("a preset that is none", &[("attack", "attack: { use: label-consistent, preset: published, to: stop, share: 0.2 }")]),
    Case::yaml("a pattern of uneven rows", &[("attack", "attack: { use: amplitude, to: stop, share: 0.2, trigger: { rows: [+-, +] } }")]),
    Case::yaml(
        "a trigger larger than the images",
        &[("attack", "attack: { use: badnets, to: stop, share: 0.2, trigger: { height: 40 } }")],
    ),
    Case::yaml("a share that comes to no image", &[("attack", "attack: { use: sig, to: stop, share: 0.01 }")]),
    Case::yaml("more poison than images of one class", &[("attack", "attack: { use: sig, to: stop, share: 0.5, of: set }")]),
    Case::yaml("sources that are the target", &[("attack", "attack: { use: badnets, from: [stop], to: stop, share: 0.2 }")]),
    Case::yaml("labels kept, and other classes' images", &[("attack", "attack: { use: sig, from: [yield], to: stop, share: 0.2 }")]),
    Case::yaml("more covers than images", &[("attack", "attack: { use: wanet, to: stop, share: 0.3, cover: { times: 9 } }")]),
    Case::yaml(
        "a surrogate that is not trained",
        &[("attack", "attack: { use: amplitude, to: stop, share: 0.2, craft: { surrogate: { train: { epochs: 0 } } } }")],
    ),
    Case::yaml("a mistake deep inside a detector", &[("  - use", "  - { use: heatmap-clustering, cluster: { use: k-means, k: 0 } }")]),
    Case::yaml(
        "five mistakes at once",
        &[
            ("version", "version: 2"),
            ("device", "device: gpu"),
            ("model", "model: { use: alexnet }"),
            ("train", "train: { epochs: 0 }"),
            ("  - use", "  - use: heatmaps"),
        ],
    ),
    Case::yaml("a name that is no folder name", &[("name", "name: ../../etc")]),
    Case::set("a mistake in --set", &["--set", "attack.share=2"]),
    Case::set("a --set without a value", &["--set", "attack.share"]),
    Case::set("a --set that indexes by brackets", &["--set", "detect[0].cluster.k=3"]),
    Case::set("a --set into a block that is not in the file", &["--set", "detect.0.reduce.dimensions=3"]),
    Case::set("a --set into nowhere", &["--set", "detect.7.use=k-means"]),
    Case::yaml("a class that the data do not have", &[("attack", "attack: { use: sticker, from: speed-limit-55, to: stop, share: 0.2 }")]),
    Case::yaml("a suspect that is no class", &[("  - use", "  - { use: heatmap-clustering, suspects: [stopp] }")]),
    Case::yaml("more poison than there are images", &[("attack", "attack: { use: sticker, from: speed-limit-50, to: stop, share: 0.9 }")]),
    Case::yaml(
        "a sticker outside the image",
        &[("attack", "attack: { use: sticker, from: stop, to: yield, share: 0.2, window: { top: [0, 31], left: [0, 31] } }")],
    ),
    Case::yaml(
        "an unknown layer",
        &[("  - use", "  - { use: activation-clustering, represent: { use: activations, layer: penultimat } }")],
    ),
    Case::data("a data set that is not there", &[("dataset", "dataset: { use: gtsrb, root: nowhere }")], |_| {}),
    Case::data("an image folder that is not there", FOLDER, |_| {}),
    Case::data("a folder below `~`", &[("dataset", "dataset: { use: image-folder, root: ~/images }")], |_| {}),
    Case::data("a file where the image folder should be", FOLDER, |root| fs::write(root.join("images"), "").unwrap()),
    Case::data("an empty image folder", FOLDER, |root| fs::create_dir(root.join("images")).unwrap()),
    Case::data("a truncated image", FOLDER, |root| {
        image_folder(root, &[("a", 20), ("b", 20)]);
        fs::write(root.join("images/a/broken.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    }),
    Case::data("ten broken images", FOLDER, |root| {
        image_folder(root, &[("a", 20), ("b", 20)]);
        for i in 0..10 {
            fs::write(root.join(format!("images/b/{i}.ppm")), b"P6 32 32 255\n").unwrap();
        }
    }),
    Case::data("an image of zero bytes", FOLDER, |root| {
        image_folder(root, &[("a", 20), ("b", 20)]);
        fs::write(root.join("images/a/empty.jpg"), b"").unwrap();
    }),
    Case::data("a target class too small for the share", FOLDER, |root| image_folder(root, &[("a", 20), ("b", 1)])),
    Case::data("a class with one image", NO_ATTACK, |root| image_folder(root, &[("a", 20), ("b", 1)])),
    Case::data("a data set of one class", NO_ATTACK, |root| image_folder(root, &[("a", 20)])),
    Case::data("a table that is no Parquet file", TABLE, |root| {
        fs::create_dir(root.join("tables")).unwrap();
        fs::write(root.join("tables/train-00000-of-00001.parquet"), b"PAR1 no more").unwrap();
    }),
    Case { what: "no pipeline file", spoil: &[], options: &[], prepare: |root| fs::remove_file(root.join("bad.yaml")).unwrap() },
    Case {
        what: "a folder for a pipeline file",
        spoil: &[],
        options: &[],
        prepare: |root| {
            fs::remove_file(root.join("bad.yaml")).unwrap();
            fs::create_dir(root.join("bad.yaml")).unwrap();
        },
    },
    Case {
        what: "a pipeline file that is no text",
        spoil: &[],
        options: &[],
        prepare: |root| fs::write(root.join("bad.yaml"), [0xff, 0xfe, 0x00, 0x80]).unwrap(),
    },
    Case { what: "an empty pipeline file", spoil: &[], options: &[], prepare: |root| fs::write(root.join("bad.yaml"), "").unwrap() },
    Case { what: "a file where the cache should be", spoil: &[], options: &["--cache", "bad.yaml"], prepare: |_| {} },
    Case::set("no thread at all", &["--threads", "0"]),
];

/// A class is a folder, and a folder's name may hold anything.
#[cfg(unix)]
#[test]
fn no_name_steers_the_terminal() {
    let clears_the_screen = Case::data("", NO_ATTACK, |root| {
        image_folder(root, &[("a", 20), ("\u{1b}[2J", 1)]);
        fs::write(root.join("images/\u{1b}[2J/broken.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    });
    let (code, said) = clears_the_screen.run();
    assert!(!said.contains('\u{1b}') && said.contains("\u{fffd}[2J"), "{code}: {said:?}");
}

/// What a test cannot do everywhere: it takes another user, or a file system of its own.
const BY_HAND: &str = "
## By hand

A folder without rights (`chmod 000 images/a`, as a user who is not root), exit code 1:

```text
error: images/a: you have no right to read this folder
help: change its rights, or copy it as a user who may
```

A full disk (`mount -t tmpfs -o size=2m tmpfs small`, then `bezoar eval pipelines/quickstart.yaml --cache small/cache`), exit code 1; with more
room the same command goes on:

```text
error: small/cache/dataset/8e7bfa31f5d00838119db8d8bbe89123.partial/train.safetensors: No space left on device (os error 28)
```
";

fn page() -> String {
    let mut page = "# Bad inputs and what each gets\n\nMade and checked by `cargo test -p bezoar-cli --test bad_inputs`. Exit code 2: the request is wrong; \
                    1: something else went wrong on the way; \
                    0: the run came to its end and said what it left out. Each case spoils this pipeline:\n\n"
        .to_owned();
    write!(page, "```yaml\n{GOOD}```\n").unwrap();
    for (number, case) in CASES.iter().enumerate() {
        let (code, said) = case.run();
        assert!((0..=2).contains(&code) && !said.is_empty(), "{}: exit code {code}\n{said}", case.what);
        assert!(!said.contains("panicked"), "{}: {said}", case.what);
        let options = if case.options.is_empty() { String::new() } else { format!(", with `{}`", case.options.join(" ")) };
        write!(page, "\n## {}. {}{options}\n\nExit code {code}\n\n```text\n{said}\n```\n", number + 1, case.what).unwrap();
    }
    page + BY_HAND
}

#[test]
fn the_page_says_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bad-inputs.md");
    let page = page();
    if std::env::var_os("BEZOAR_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    for (line, (said, written)) in page.lines().zip(committed.lines()).enumerate() {
        assert_eq!(said, written, "docs/bad-inputs.md:{}; BEZOAR_BLESS=1 writes it anew", line + 1);
    }
    assert_eq!(page.len(), committed.len(), "docs/bad-inputs.md; BEZOAR_BLESS=1 writes it anew");
}
