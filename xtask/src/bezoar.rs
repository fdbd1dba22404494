//! Building and calling binaries, `bezoar` above all: in the profile `release`, unless `BEZOAR_PROFILE` names another one.

use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result, bail};

/// Takes `NAME VALUE` out of the arguments.
pub(crate) fn take_option(arguments: &mut Vec<String>, name: &str) -> Result<Option<String>> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    if at + 1 >= arguments.len() {
        bail!("{name} wants a value");
    }
    arguments.remove(at);
    Ok(Some(arguments.remove(at)))
}

/// Builds `bezoar`. Says where it is.
pub(crate) fn build(features: Option<&str>) -> Result<PathBuf> {
    build_binary("bezoar-cli", "bezoar", features)
}

/// Builds a binary of a package. Says where it is.
pub(crate) fn build_binary(package: &str, binary: &str, features: Option<&str>) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    let profile = std::env::var("BEZOAR_PROFILE").unwrap_or_else(|_| "release".to_owned());
    let folder = if profile == "dev" { "debug" } else { &profile };
    let path = target.join(folder).join(format!("{binary}{}", std::env::consts::EXE_SUFFIX));
    let mut build = cargo_command();
    // The whole workspace decides on the features of dependencies: one package alone would have them built once more.
    build.args(["build", "--profile", &profile, "--workspace", "--bin", binary]);
    if path.is_file() {
        build.arg("--quiet");
    } else {
        eprintln!("building {binary} for the first time, which takes some minutes");
    }
    let of_package = |feature: &str| format!("{package}/{feature}");
    build.args(
        features.into_iter().flat_map(|features| features.split(',')).flat_map(|feature| ["--features".to_owned(), of_package(feature)]),
    );
    if !build.status().context("cargo does not start")?.success() {
        bail!("{package} does not build");
    }
    Ok(path)
}

/// Builds `bezoar` and runs it with these arguments, in the caller's folder.
pub(crate) fn run(features: Option<&str>, arguments: &[String]) -> Result<ExitCode> {
    let binary = build(features)?;
    start(Command::new(&binary).args(arguments)).with_context(|| format!("{} does not start", binary.display()))
}

/// Becomes the command, so that the shell waits for it when Ctrl-C stops both.
#[cfg(unix)]
fn start(command: &mut Command) -> std::io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

#[cfg(not(unix))]
fn start(command: &mut Command) -> std::io::Result<ExitCode> {
    command.status().map(code)
}

/// What `bezoar` prints for these arguments.
pub(crate) fn output(arguments: &[&str]) -> Result<String> {
    let output = Command::new(build(None)?).args(arguments).current_dir(crate::root()).output()?;
    if !output.status.success() {
        bail!("bezoar {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs cargo in the repository's root.
pub(crate) fn cargo(arguments: &[&str]) -> Result<ExitCode> {
    Ok(code(cargo_command().args(arguments).status()?))
}

fn cargo_command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root());
    command
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
