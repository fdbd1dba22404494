//! A data set and an attack, as the command line says them.

use bezoar_config::{Node, set};
use bezoar_core::{Attack, Context, Dataset, Device, Error, Kind, Part, Registry};
use bezoar_engine::{Places, Suspicious, poisoned};
use clap::Args;
use serde_json::json;

use crate::commands::dataset;
use crate::terminal::Terminal;

const ATTACK: &str = <dyn Attack as Kind>::NAME;

#[derive(Args)]
pub(crate) struct Poisoning {
    /// The clean images: a folder of images, a Parquet file or a folder of them, or a data set's name such as `signs`.
    #[arg(value_name = "DATA", default_value = "signs")]
    pub(crate) data: String,
    /// Change a field of the attack or the data set, as in `--set attack.share=0.05`. May be given several times.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u32,
    /// Where tensors live: auto, cpu, cuda:0 or metal:0.
    #[arg(long, default_value = "auto")]
    device: Device,
}

/// What is poisoned, and how.
pub(crate) struct Plan {
    pub(crate) dataset: Part<dyn Dataset>,
    pub(crate) attack: Part<dyn Attack>,
}

/// What came of it.
pub(crate) struct Poisoned {
    pub(crate) clean: bezoar_core::Splits,
    pub(crate) suspicious: Suspicious,
}

impl Poisoning {
    pub(crate) fn context(&self, terminal: &Terminal) -> Result<Context, Error> {
        terminal.context(self.seed.into(), self.device)
    }

    /// The attack called `name` on the data. What its example names stands where nothing is set.
    pub(crate) fn plan(&self, name: &str) -> Result<Plan, Error> {
        let registry = Registry::global().map_err(Error::request)?;
        let plugin = registry.get(ATTACK, name).ok_or_else(|| {
            let near = bezoar_config::suggest(name, registry.of_kind(ATTACK).map(|plugin| plugin.name));
            let hint = near.map_or_else(|| "`bezoar list attack` shows all".to_owned(), |near| format!("did you mean `{near}`?"));
            Error::request(format!("there is no attack called `{name}`")).with_help(hint)
        })?;
        let mut attack = plugin.essentials();
        attack["use"] = name.into();
        let mut blocks = Node::from_json(json!({ "dataset": dataset::block(&self.data)?, "attack": attack }));
        for assignment in &self.set {
            set(&mut blocks, assignment)?;
        }
        let fields = blocks.as_map().ok_or_else(|| Error::request("an assignment replaced everything"))?;
        if let Some(other) = fields.keys().find(|key| !["dataset", "attack"].contains(key)) {
            return Err(Error::request(format!("there is no `{other}` here")).with_help("set fields of `attack` or `dataset`"));
        }
        let block = |name: &str| fields.get(name).ok_or_else(|| Error::request(format!("`{name}` is missing")));
        Ok(Plan { dataset: registry.part(block("dataset")?)?, attack: registry.part(block("attack")?)? })
    }

    /// Poisons the data.
    pub(crate) fn poison(&self, cx: &Context, plan: &Plan, places: &Places) -> Result<Poisoned, Error> {
        let (clean, suspicious) = poisoned(cx, &plan.dataset, &plan.attack, self.seed, places)?;
        Ok(Poisoned { clean, suspicious })
    }
}
