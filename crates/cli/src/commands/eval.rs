use std::path::PathBuf;

use bezoar_core::Error;
use bezoar_engine::{Conducted, Finished, Places, Study, run};
use clap::Args;
use serde_json::json;

use crate::commands::report::{PAGE, write_page};
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Eval {
    /// The pipeline, YAML.
    file: PathBuf,
    /// Change a value of the file, such as `--set attack.share=0.05`. Items of lists are numbered from 0, as in
    /// `--set detect.0.cluster.k=3`; values are YAML, as in `--set 'dataset.classes=[stop, yield]'`. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Cells of a study to run at once [default: one for each four cores, as far as memory allows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl Eval {
    pub(crate) fn run(self, terminal: &Terminal, places: &Places) -> Result<(), Error> {
        let study = Study::read(&self.file, &self.set)?;
        let first = &study.cells[0].pipeline;
        let cx = terminal.context(first.seed.into(), first.device)?;
        let color = terminal.colors_results();
        if study.axes.is_empty() {
            let finished = run(&cx, first, places)?;
            terminal.outcome(
                &summary(&finished, color),
                || json!({ "folder": finished.folder, "before": finished.before, "measurements": finished.measurements }),
            );
            return Ok(());
        }
        let conducted = study.conduct(&cx, places, self.jobs.map(usize::from))?;
        if !conducted.had(PAGE) {
            write_page(&conducted)?;
        }
        terminal.outcome(
            &study_summary(&conducted, color),
            || json!({ "folder": conducted.folder, "before": conducted.before, "results": conducted.results }),
        );
        match conducted.results.cells.iter().filter(|cell| cell.problem.is_some()).count() {
            0 => Ok(()),
            failed => Err(Error::request(format!("{failed} of {} cells failed", study.cells.len()))
                .with_help("mend what they say and run the study again: finished cells are kept")),
        }
    }
}

fn study_summary(Conducted { folder, results, before, .. }: &Conducted, color: bool) -> String {
    let mut text = bezoar_report::study_table(results, color);
    for cell in &results.cells {
        if let Some(problem) = &cell.problem {
            text.push_str(&format!("\nfailed: {} ({}): {problem}\n", cell.run, cell.settings.join(", ")));
        }
    }
    let all = results.cells.len();
    text.push_str(&match all - before {
        0 => format!("\nall {all} cells were finished before: nothing was left to do\n"),
        new => format!("\n{all} cells, {new} of them new\n"),
    });
    text.push_str(&format!("\n{}\n", folder.display()));
    text
}

fn summary(finished: &Finished, color: bool) -> String {
    let mut text = bezoar_report::table(&finished.measurements, color, 100);
    if finished.before {
        text.push_str("\nfinished before: nothing was left to do\n");
    }
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
