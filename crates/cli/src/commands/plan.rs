use std::path::PathBuf;

use bezoar_core::{Context, Error};
use bezoar_engine::{Places, Plan as Planned, Study};
use clap::Args;
use serde_json::json;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Plan {
    /// The pipeline or study, YAML.
    file: PathBuf,
    /// Change a value of the file first, as `eval` would.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// List each cell of a study.
    #[arg(long)]
    cells: bool,
}

impl Plan {
    pub(crate) fn run(self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        let study = Study::read(&self.file, &self.set)?;
        let device = study.cells[0].pipeline.device;
        let plan = Planned::of(&Context::quiet(0).of_run(0, device), &study, places)?;
        let mut text = String::new();
        if self.cells {
            for cell in &plan.cells {
                let state = if cell.finished { "finished".to_owned() } else { format!("{} stages to make", cell.to_make) };
                text.push_str(&format!("{state:>20}  {}\n", study.describe(&cell.settings)));
            }
            text.push('\n');
        }
        text.push_str(&summary(&plan));
        terminal.outcome(&text, || json!({ "axes": study.axes, "cells": plan.cells, "stages": plan.stages }));
        Ok(())
    }
}

fn summary(plan: &Planned) -> String {
    let finished = plan.cells.iter().filter(|cell| cell.finished).count();
    let all = if plan.cells.len() == 1 { "1 run".to_owned() } else { format!("{} cells", plan.cells.len()) };
    if finished == plan.cells.len() {
        return format!("{finished} of {all} finished: nothing is left to do\n");
    }
    format!("{}\n{finished} of {all} finished; {}\n", stages(plan), duration(plan))
}

fn stages(plan: &Planned) -> String {
    let names = plan.stages.iter().map(|stage| stage.stage.chars().count()).max().unwrap_or_default().max(32);
    let mut text = format!("{:names$} {:>8} {:>8} {:>10} {:>9}\n", "stage", "cached", "to make", "seconds", "peak MB");
    for stage in &plan.stages {
        let seconds = match stage.seconds {
            _ if stage.to_make == 0 => "–".to_owned(),
            None => "unknown".to_owned(),
            Some(seconds) => format!("{}{seconds:.0}", if stage.about { "about " } else { "" }),
        };
        let peak = stage.peak_bytes.map_or_else(|| "–".to_owned(), |bytes| (bytes / 1_000_000).to_string());
        text.push_str(&format!("{:names$} {:>8} {:>8} {seconds:>10} {peak:>9}\n", stage.stage, stage.cached, stage.to_make));
    }
    text
}

/// What is left will take, by the rates of finished runs.
fn duration(plan: &Planned) -> String {
    let left = || plan.stages.iter().filter(|stage| stage.to_make > 0);
    let known: f64 = left().filter_map(|stage| stage.seconds).sum();
    let minutes = (known / 60.0).ceil();
    match left().filter(|stage| stage.seconds.is_none()).count() {
        0 => format!("the rest takes some {minutes:.0} min, by the rates of finished runs with the same net on this machine"),
        unknown if unknown == left().count() => {
            "no finished run with the same net on this machine tells how long the rest takes".to_owned()
        }
        _ => format!("the rest takes more than {minutes:.0} min, by the rates of finished runs with the same net on this machine"),
    }
}
