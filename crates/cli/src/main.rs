//! The `bezoar` command.

fn main() -> std::process::ExitCode {
    bezoar_cli::main()
}
