//! `cargo xtask new-plugin KIND NAME`: a plugin crate that compiles, is listed and runs from YAML as it stands.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

/// A file of the template: its path in the crate and its text.
type File = (&'static str, &'static str);

/// The kinds that have a template.
const TEMPLATES: [(&str, &[File]); 1] = [(
    "detector",
    &[
        ("Cargo.toml", include_str!("../templates/detector/Cargo.toml.txt")),
        ("src/lib.rs", include_str!("../templates/detector/src/lib.rs.txt")),
        ("src/config.rs", include_str!("../templates/detector/src/config.rs.txt")),
        ("src/algorithm.rs", include_str!("../templates/detector/src/algorithm.rs.txt")),
    ],
)];

pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let [kind, name] = arguments else { bail!("usage: cargo xtask new-plugin KIND NAME") };
    let Some((_, files)) = TEMPLATES.iter().find(|(known, _)| known == kind) else {
        let known: Vec<_> = TEMPLATES.iter().map(|(kind, _)| *kind).collect();
        bail!("there is no template for kind `{kind}`; there is for: {}", known.join(", "));
    };
    if !is_kebab_case(name) {
        bail!("`{name}` is no plugin name: use lower-case letters, digits and single hyphens, a letter first");
    }
    let folder = crate::root().join("plugins").join(name);
    if folder.exists() {
        bail!("{} exists already", folder.display());
    }
    for (path, text) in *files {
        write(&folder.join(path), &fill(text, name))?;
    }
    enlist(name)?;
    println!("made plugins/{name}; `cargo xtask run describe {kind}/{name}` shows it, src/algorithm.rs is where its idea goes");
    println!("`cargo xtask codegen` adds it to the editors' schema, the reference and the README");
    Ok(ExitCode::SUCCESS)
}

fn is_kebab_case(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(word)
}

/// Puts the plugin's names into a template.
fn fill(text: &str, name: &str) -> String {
    let capitalise = |word: &str| word[..1].to_uppercase() + &word[1..];
    let type_name: String = name.split('-').map(capitalise).collect();
    text.replace("{name}", name).replace("{Name}", &type_name).replace("{crate}", &format!("bezoar_{}", name.replace('-', "_")))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).with_context(failed)?;
    fs::write(path, text).with_context(failed)
}

/// Names the plugin in plugins/all, without which the linker would drop it.
fn enlist(name: &str) -> Result<()> {
    let all = crate::root().join("plugins/all");
    let package = format!("bezoar-{name}");
    add_line(&all.join("Cargo.toml"), "bezoar-", &format!("{package} = {{ path = \"../{name}\" }}"))?;
    add_line(&all.join("src/lib.rs"), "use bezoar_", &format!("use {} as _;", package.replace('-', "_")))
}

/// Adds a line after the last one that begins with `beside`, keeping those lines in order.
fn add_line(path: &Path, beside: &str, line: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut lines: Vec<&str> = text.lines().collect();
    let block = lines.iter().position(|old| old.starts_with(beside)).with_context(|| format!("{} names no plugin", path.display()))?;
    let end = block + lines[block..].iter().take_while(|old| old.starts_with(beside)).count();
    let at = lines[block..end].iter().position(|old| *old > line).map_or(end, |offset| block + offset);
    lines.insert(at, line);
    write(path, &(lines.join("\n") + "\n"))
}
