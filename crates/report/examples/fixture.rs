//! Writes the reports of a made-up run, to look at: `cargo run -p bezoar-report --example fixture -- FOLDER [no-attack | crowded]`.

use std::error::Error;
use std::path::PathBuf;

use bezoar_clustering as _;
use bezoar_core::{Context, Plugin};
use bezoar_report::{Html, Parquet};

#[path = "../tests/report/fixture.rs"]
mod fixture;

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    let run = match std::env::args().nth(2).as_deref() {
        Some("no-attack") => fixture::unattacked(200),
        Some("crowded") => fixture::crowded(6, 3, 200),
        _ => fixture::attacked(200, 35),
    };
    let cx = Context::quiet(0);
    Html::example().build()?.write(&cx, &run.report(), &folder)?;
    Parquet::example().build()?.write(&cx, &run.report(), &folder)?;
    Ok(())
}
