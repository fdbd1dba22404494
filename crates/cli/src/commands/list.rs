use bezoar_core::{Error, Registration, Registry};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct List {
    /// Only plugins of this kind, such as `attack`.
    kind: Option<String>,
    /// For people or for programs.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How a listing is printed.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Markdown,
}

impl List {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<(), Error> {
        let registry = Registry::global().map_err(Error::request)?;
        let kinds = registry.kinds();
        if let Some(kind) = self.kind.as_deref().filter(|kind| !kinds.contains(kind)) {
            let near = bezoar_config::suggest(kind, kinds.iter().copied());
            let hint = near.map_or_else(|| format!("kinds: {}", kinds.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(Error::request(format!("there is no kind of plugin called `{kind}`")).with_help(hint));
        }
        let plugins: Vec<_> = registry.iter().filter(|plugin| self.kind.as_deref().is_none_or(|kind| kind == plugin.kind)).collect();
        match self.format {
            Format::Text => terminal.result(&text(&plugins)),
            Format::Markdown => terminal.result(&markdown(&plugins)),
            Format::Json => terminal.result(&json(&plugins)?),
        }
        Ok(())
    }
}

fn text(plugins: &[&Registration]) -> String {
    let mut text = String::new();
    for (at, plugin) in plugins.iter().enumerate() {
        if at == 0 || plugins[at - 1].kind != plugin.kind {
            text += &format!("{}: {}\n", plugin.kind, plugin.kind_summary);
        }
        text += &format!("  {:24} {}\n", plugin.name, plugin.summary());
    }
    text
}

fn markdown(plugins: &[&Registration]) -> String {
    let mut text = "| kind | plugin | what it does | source |\n|---|---|---|---|\n".to_owned();
    for plugin in plugins {
        text += &format!("| {} | `{}` | {} | {} |\n", plugin.kind, plugin.name, plugin.summary(), plugin.paper.unwrap_or(""));
    }
    text
}

fn json(plugins: &[&Registration]) -> Result<String, Error> {
    let rows: Vec<_> = plugins
        .iter()
        .map(|plugin| json!({ "kind": plugin.kind, "name": plugin.name, "summary": plugin.summary(), "paper": plugin.paper, "package": plugin.package }))
        .collect();
    serde_json::to_string_pretty(&rows).map_err(Error::request)
}
