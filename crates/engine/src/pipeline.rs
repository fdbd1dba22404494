use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bezoar_config::{Diagnostics, Node, Source, deserialize, parse, set, to_yaml};
use bezoar_core::{Attack, Dataset, Detector, Device, Error, Kind, Metric, Part, Registry, Reporter, Result, hex};
use bezoar_nn::{Architecture, TrainConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::trainings::Recipe;

/// One run from data to report, as `pipeline.yaml` says it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pipeline {
    /// Version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Names the run's folder: lower-case letters, digits and hyphens.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{0,63}$"))]
    pub name: String,
    /// Everything random follows from it.
    #[serde(default)]
    pub seed: u32,
    /// Where tensors live: auto, cpu, cuda:0 or metal:0.
    #[serde(default)]
    pub device: Device,
    /// The images.
    pub dataset: Part<dyn Dataset>,
    /// How they are poisoned; none takes them as they are.
    #[serde(default)]
    pub attack: Option<Part<dyn Attack>>,
    /// The net that is trained on them.
    pub model: Part<dyn Architecture>,
    /// How it is trained.
    #[serde(default)]
    pub train: TrainConfig,
    /// The detectors to run.
    pub detect: Vec<Part<dyn Detector>>,
    /// What to measure.
    #[serde(default = "default_metrics")]
    pub evaluate: Vec<Part<dyn Metric>>,
    /// What to write.
    #[serde(default = "default_reports")]
    pub report: Vec<Part<dyn Reporter>>,
}

fn default_metrics() -> Vec<Part<dyn Metric>> {
    linked(&["attack-success", "detection"])
}

fn default_reports() -> Vec<Part<dyn Reporter>> {
    linked(&["html", "parquet"])
}

/// Those of the plugins that this program links, with their defaults.
fn linked<K: Kind + ?Sized>(names: &[&str]) -> Vec<Part<K>> {
    names.iter().filter_map(|name| Part::from_json(serde_json::json!({ "use": name })).ok()).collect()
}

impl Pipeline {
    /// The pipeline in a file, with `assignments` such as `attack.share=0.05` carried out on it first.
    ///
    /// # Errors
    /// All mistakes of the file at once, each with its place; or that it is a study.
    pub fn read(path: &Path, assignments: &[String]) -> Result<Self> {
        Ok(Self::from_source(&Source::read(path)?, assignments)?)
    }

    /// The pipeline in a text.
    ///
    /// # Errors
    /// As [`Pipeline::read`].
    pub fn from_source(source: &Source, assignments: &[String]) -> Result<Self, Diagnostics> {
        let mut node = parse(source)?;
        for assignment in assignments {
            set(&mut node, assignment)?;
        }
        Self::from_node(&node)
    }

    pub(crate) fn from_node(node: &Node) -> Result<Self, Diagnostics> {
        let registry = Registry::global().map_err(|problem| bezoar_config::Diagnostic::new("no-registry", problem))?;
        Diagnostics::check(registry.check_fields(node, &Self::plain_schema()))?;
        deserialize(node)
    }

    /// A digest of all that a run depends on: the pipeline, the versions of its plugins, and what lies in the files that they read.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let representations = self.detect.iter().flat_map(|detector| detector.representations());
        let surrogate = |attack: &Part<dyn Attack>| {
            let blocks = attack.surrogate()?;
            Some(attack.blame(Recipe::of(&blocks).and_then(|recipe| recipe.model.fingerprint())))
        };
        let contents = (
            self.dataset.blame(self.dataset.fingerprint())?,
            self.attack.as_ref().and_then(surrogate).transpose()?,
            self.model.blame(self.model.fingerprint())?,
            representations.map(|part| part.blame(part.fingerprint())).collect::<Result<Vec<_>>>()?,
            self.detect.iter().map(|part| part.blame(part.fingerprint())).collect::<Result<Vec<_>>>()?,
        );
        let plugins = (
            (self.dataset.identity(), self.attack.as_ref().map(Part::identity), self.model.identity()),
            self.detect.iter().map(Part::identity).collect::<Vec<_>>(),
            self.evaluate.iter().map(Part::identity).collect::<Vec<_>>(),
            self.report.iter().map(Part::identity).collect::<Vec<_>>(),
        );
        let version = (env!("CARGO_PKG_VERSION"), bezoar_nn::FORMAT);
        let all = serde_json::to_string(&(self.resolved()?, plugins, contents, version)).map_err(Error::request)?;
        Ok(hex(&Sha256::digest(all)))
    }

    /// The plugins of its blocks, by the name and version of their crate.
    pub(crate) fn plugins(&self) -> BTreeMap<String, BTreeSet<&'static str>> {
        let one = [self.dataset.registration(), self.model.registration()].into_iter().chain(self.attack.as_ref().map(Part::registration));
        let all = one
            .chain(self.detect.iter().map(Part::registration))
            .chain(self.detect.iter().flat_map(|detector| detector.representations()).map(|part| part.registration()))
            .chain(self.evaluate.iter().map(Part::registration))
            .chain(self.report.iter().map(Part::registration));
        let mut plugins: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        for plugin in all {
            plugins.entry(format!("{} {}", plugin.package, plugin.version)).or_default().insert(plugin.name);
        }
        plugins
    }

    /// The schema of the file, in which plugin blocks only name their kind.
    pub fn plain_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// The pipeline as JSON, with all defaults filled in.
    ///
    /// # Errors
    /// When a plugin's configuration is not plain data.
    pub fn resolved(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(Error::request)
    }

    /// The pipeline as YAML, with all defaults filled in; reading it gives the same run.
    ///
    /// # Errors
    /// As [`Pipeline::resolved`].
    pub fn resolved_yaml(&self) -> Result<String> {
        Ok(to_yaml(&self.resolved()?))
    }
}
