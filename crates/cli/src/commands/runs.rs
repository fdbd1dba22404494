use std::time::Duration;

use bezoar_core::Error;
use bezoar_engine::{Places, runs};

use crate::terminal::Terminal;

pub(crate) fn run(terminal: &Terminal, places: &Places) -> Result<(), Error> {
    let all = runs::list(&places.runs)?;
    if all.is_empty() {
        terminal.result(&format!("no runs in {}", places.runs.display()));
    }
    for run in &all {
        let state = if run.finished { "finished" } else { "not finished" };
        terminal.result(&format!("{:48} {state:12}  {}", runs::name(run), ago(run.written.elapsed().unwrap_or_default())));
    }
    Ok(())
}

/// An age in words.
fn ago(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}
