use bezoar_core::{Error, Registry};

use crate::terminal::Terminal;

pub(crate) fn run(terminal: &Terminal) -> Result<(), Error> {
    let schema = bezoar_engine::schema(Registry::global().map_err(Error::request)?);
    terminal.result(&serde_json::to_string_pretty(&schema).map_err(Error::request)?);
    Ok(())
}
