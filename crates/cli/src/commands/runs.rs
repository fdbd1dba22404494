use bezoar_core::Error;
use bezoar_engine::{Places, runs};

use crate::terminal::Terminal;

pub(crate) fn run(terminal: &Terminal, places: &Places) -> Result<(), Error> {
    let all = runs::list(&places.runs)?;
    if all.is_empty() {
        terminal.result(&format!("no runs in {}", places.runs.display()));
    }
    for run in &all {
        terminal.result(&format!("{:48} {}", runs::name(run), if run.finished { "finished" } else { "not finished" }));
    }
    Ok(())
}
