use std::sync::Arc;

use bezoar_config::suggest;
use bezoar_core::{Classifier, Context, Error, Features, ImageSet, Plugin, Representation, Result, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a layer of the net gives for each image.
///
/// Activation Clustering (arXiv 1811.03728) looks at the layer that feeds the last one, the default.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Activations {
    /// The layer's name, `penultimate` for the one that feeds the last weighted layer, or `logits` for the last of all.
    #[serde(default = "penultimate")]
    pub layer: String,
}

/// The name under which every net has this layer.
const PENULTIMATE: &str = "penultimate";

/// The name under which every net has its scores.
const LOGITS: &str = "logits";

fn penultimate() -> String {
    PENULTIMATE.to_owned()
}

impl Plugin for Activations {
    type Kind = dyn Representation;
    const NAME: &'static str = "activations";
    const PAPER: Option<&'static str> = Some("arXiv 1811.03728");

    fn example() -> Self {
        Self { layer: penultimate() }
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        Ok(Arc::new(self))
    }
}

register!(Activations);

/// Images that go through the net together.
const BATCH: usize = 64;

impl Representation for Activations {
    fn is_relevance(&self) -> bool {
        false
    }

    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let layer = self.resolve(model)?;
        let progress = cx.task("activations", images.len() as u64);
        let mut done = 0;
        for batch in images.batches(BATCH) {
            cx.check()?;
            let batch = batch?;
            let rows = model.activations(&batch, &layer)?;
            if let Some(row) = rows.first_not_finite() {
                let sample = &images.samples()[done + row].id;
                return Err(Error::data(format!("sample {sample:?}, layer `{layer}`"), "the layer's output is not finite")
                    .with_help("the net's weights are broken; train it again, with a lower rate perhaps"));
            }
            sink(rows)?;
            done += batch.len();
            progress.advance(batch.len() as u64);
        }
        Ok(())
    }
}

impl Activations {
    /// The name of the layer in this net.
    fn resolve(&self, model: &dyn Classifier) -> Result<String> {
        let layers = model.layers();
        if layers.contains(&self.layer) {
            return Ok(self.layer.clone());
        }
        if self.layer == PENULTIMATE {
            return Ok(model.penultimate());
        }
        if let (LOGITS, Some(last)) = (self.layer.as_str(), layers.last()) {
            return Ok(last.clone());
        }
        let known = format!("its layers are {}", layers.join(", "));
        let help = match suggest(&self.layer, layers.iter().map(String::as_str).chain([PENULTIMATE, LOGITS])) {
            Some(near) => format!("did you mean `{near}`? {known}"),
            None => known,
        };
        Err(Error::request(format!("the net has no layer `{}`", self.layer)).with_help(help))
    }
}
