use std::sync::Arc;

use bezoar_core::{Classifier, Context, Error, Features, ImageSet, Plugin, Representation, Result, register};
use bezoar_nn::Network;
use bezoar_nn::ops::{Form, Stabilizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::heatmaps::{Heatmaps, folded};
use crate::{Analysis, Channels, Composite, Row, STABILIZER, Target};

/// Heatmaps by layer-wise relevance propagation: how much each pixel spoke for a class.
///
/// The net's score for the class starts with relevance 1. Each layer, from last to first, hands its relevance on to its
/// inputs in proportion to what they contributed, until it has reached the pixels (Bach et al. 2015). Batch norm
/// is merged into the layers before it first. Works for nets of Bezoar's own layers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lrp {
    /// Which rule is for which layer.
    #[serde(default)]
    pub composite: Preset,
    /// The ε of the ε-rule. More of it drops weak and contradictory evidence.
    #[serde(default = "default_epsilon")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
    /// The γ of the γ-rule, in `epsilon-gamma-box`. More of it drops contradictory evidence.
    #[serde(default = "default_gamma")]
    #[schemars(range(min = 0.0))]
    pub gamma: f64,
    /// How the ε comes into denominators.
    #[serde(default)]
    pub stabilizer: Form,
    /// What is explained.
    #[serde(default)]
    pub target: Target,
    /// The layer whose outputs get the relevance; the pixels, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Layers of whose relevance only a part goes on: what the decision owes to these channels alone (arXiv 2206.03208).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Through>,
    /// What becomes of the colours, or of the layer's channels.
    #[serde(default)]
    pub channels: Channels,
}

/// Channels of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Through {
    /// The layer's name.
    pub layer: String,
    /// Which of its channels keep their relevance.
    pub channels: Vec<usize>,
}

/// A composite by name, or row by row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The ε-rule on every layer with weights.
    #[default]
    Epsilon,
    /// The z⁺-rule on convolutions, the ε-rule on linear layers: smoother, and never negative from the first convolution on.
    EpsilonPlus,
    /// The same, but the flat rule on the first layers: as coarse as their windows, and without the image's own edges.
    EpsilonPlusFlat,
    /// The z-box rule on the first convolutions, the γ-rule on the others, the ε-rule on linear layers.
    EpsilonGammaBox,
    /// The α2β1-rule on convolutions, the ε-rule on linear layers: shows what speaks against the class, too.
    EpsilonAlpha2Beta1,
    /// The same, but the flat rule on the first layers.
    EpsilonAlpha2Beta1Flat,
    /// The z⁺-rule on every layer with weights (arXiv 1608.00507).
    ExcitationBackprop,
    /// The first row that fits a layer has its rule; for layers without weights that none fits, the usual rules follow.
    Rows(Vec<Row>),
}

fn default_epsilon() -> f64 {
    STABILIZER
}

fn default_gamma() -> f64 {
    0.25
}

impl Plugin for Lrp {
    type Kind = dyn Representation;
    const NAME: &'static str = "lrp";
    const PAPER: Option<&'static str> = Some("doi 10.1371/journal.pone.0130140");

    fn example() -> Self {
        Self {
            composite: Preset::Epsilon,
            epsilon: default_epsilon(),
            gamma: default_gamma(),
            stabilizer: Form::Add,
            target: Target::Label,
            at: None,
            through: Vec::new(),
            channels: Channels::Sum,
        }
    }

    fn build(self) -> Result<Arc<dyn Representation>> {
        self.composite().check()?;
        Ok(Arc::new(self))
    }
}

register!(Lrp);

impl Lrp {
    fn composite(&self) -> Composite {
        self.composite.of(self.epsilon, self.gamma).with_stabilizer(Stabilizer { epsilon: STABILIZER, form: self.stabilizer })
    }

    fn analysis(&self, network: Network) -> Result<Analysis> {
        let analysis = self.through.iter().try_fold(Analysis::new(network, &self.composite())?, |analysis, through| {
            analysis.keeping(&through.layer, &through.channels)
        })?;
        match &self.at {
            Some(layer) => analysis.at(layer),
            None => Ok(analysis),
        }
    }
}

impl Preset {
    /// The composite, with this ε in the ε-rule and this γ in the γ-rule.
    pub fn of(&self, epsilon: f64, gamma: f64) -> Composite {
        match self {
            Self::Epsilon => Composite::epsilon(epsilon),
            Self::EpsilonPlus => Composite::epsilon_plus(epsilon),
            Self::EpsilonPlusFlat => Composite::epsilon_plus_flat(epsilon),
            Self::EpsilonGammaBox => Composite::epsilon_gamma_box(epsilon, gamma),
            Self::EpsilonAlpha2Beta1 => Composite::epsilon_alpha2_beta1(epsilon),
            Self::EpsilonAlpha2Beta1Flat => Composite::epsilon_alpha2_beta1_flat(epsilon),
            Self::ExcitationBackprop => Composite::excitation_backprop(),
            Self::Rows(rows) => Composite::over_base(rows.iter().cloned()),
        }
    }
}

impl Representation for Lrp {
    fn represent(
        &self,
        cx: &Context,
        model: &dyn Classifier,
        images: &ImageSet,
        sink: &mut dyn FnMut(Features) -> Result<()>,
    ) -> Result<()> {
        let analysis = self.analysis(folded(model)?)?;
        let heatmaps = Heatmaps { cx, images, target: &self.target, channels: self.channels };
        heatmaps.make(&analysis, |question| analysis.explain(&question.pixels, |scores, rows| question.start(scores, rows)), sink)
    }

    fn balance(&self, model: &dyn Classifier, images: &ImageSet) -> Result<Option<serde_json::Value>> {
        let (analysis, target) = (self.analysis(folded(model)?)?, self.target.resolve(images.classes())?);
        let batch = images.batch(&(0..images.len()).collect::<Vec<_>>())?;
        let pixels = analysis.network().images(&batch)?;
        let layers = analysis.balance(&pixels, |scores, rows| target.relevance(scores, &batch.labels[rows]))?;
        serde_json::to_value(layers).map(Some).map_err(Error::request)
    }
}
