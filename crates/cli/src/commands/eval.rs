use std::path::PathBuf;

use bezoar_core::{Cancel, Context, Error};
use bezoar_engine::{Finished, Pipeline, Places, run};
use clap::Args;

use crate::commands::cancel_on_interrupt;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Eval {
    /// The pipeline, YAML.
    file: PathBuf,
    /// Change a value of the file, such as `--set attack.share=0.05`. Items of lists are numbered from 0, as in
    /// `--set detect.0.cluster.k=3`; values are YAML, as in `--set 'dataset.classes=[stop, yield]'`. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

impl Eval {
    pub(crate) fn run(self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        let pipeline = Pipeline::read(&self.file, &self.set)?;
        let cancel = Cancel::default();
        cancel_on_interrupt(&cancel)?;
        let cx = Context::new(pipeline.seed.into(), pipeline.device, terminal.progress(), cancel);
        let finished = run(&cx, &pipeline, places)?;
        terminal.result(&summary(&finished, terminal.colors_results()));
        Ok(())
    }
}

fn summary(finished: &Finished, color: bool) -> String {
    let mut text = bezoar_report::table(&finished.measurements, color, 100);
    text.push('\n');
    text.push_str(&costs(finished));
    text.push_str(&format!("\n{}\n", finished.counts.coverage()));
    if !finished.skipped.is_empty() {
        text.push_str(&format!("left out: {} (metrics.json says which and why)\n", finished.skipped.len()));
    }
    if !finished.attacked {
        text.push_str("no attack, so no truth to compare with: the figures only count what was flagged\n");
    }
    text.push_str(&format!("\n{}\n", finished.folder.display()));
    text
}

/// Wall time and peak memory of each stage.
fn costs(finished: &Finished) -> String {
    let names = finished.stages.iter().map(|stage| stage.stage.chars().count()).max().unwrap_or_default().max(32);
    let mut text = format!("{:names$} {:>10} {:>10}\n", "stage", "seconds", "peak MB");
    for stage in &finished.stages {
        let peak = stage.peak_bytes.map_or_else(|| "–".to_owned(), |bytes| (bytes / 1_000_000).to_string());
        let origin = if stage.reused { "  from the cache" } else { "" };
        text.push_str(&format!("{:names$} {:>10.1} {peak:>10}{origin}\n", stage.stage, stage.seconds));
    }
    text
}
