use bezoar_core::{
    ClassOrigin, ClassRef, ClusteredClass, Clusterer, Context, Decided, Decision, Detector, Error, ImageSet, Part, Representation, Result,
    Suspect, Transform, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Class, Finding, Scan, distance_to_bulk, silhouette};

/// A detector made of parts: it represents each image, clusters each class, and accuses clusters.
///
/// The score of an image is its [`distance_to_bulk`] of its class, in the space that was clustered, and does not depend on whom the decision
/// accuses. A decision may have a score of its own instead, and raise it for what it accuses, so that no accused image of a class ranks below one
/// that is not. The statistic of a class is the [`silhouette`] of its clusters, under the clusterer's own distance where it has one. As
/// configuration, this is what the presets have in common: each is a name, a documentation and defaults for these fields.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(inline)]
pub struct Composition {
    /// What is seen of each image: a heatmap, or activations of a layer.
    pub represent: Part<dyn Representation>,
    /// What is done to these features, in order.
    #[serde(default)]
    pub process: Vec<Part<dyn Transform>>,
    /// Reduces the features of a class to fewer dimensions before clustering; nothing does if left empty.
    #[serde(default)]
    pub reduce: Option<Part<dyn Transform>>,
    /// Groups the images of a class.
    pub cluster: Part<dyn Clusterer>,
    /// Says which groups are poison.
    pub decide: Part<dyn Decision>,
    /// The classes to scan, by name or index; all if left out. What is given here is told beside the result.
    #[serde(default)]
    pub suspects: Option<Vec<ClassRef>>,
}

impl Detector for Composition {
    fn representations(&self) -> Vec<Part<dyn Representation>> {
        vec![self.represent.clone()]
    }

    fn fingerprint(&self) -> Result<Option<String>> {
        self.decide.fingerprint()
    }

    fn check(&self, images: &ImageSet) -> Result<()> {
        self.scan().check(images)
    }

    fn detect(&self, cx: &Context, suspect: &Suspect<'_>) -> Result<Verdict> {
        let [features] = suspect.features else {
            return Err(Error::request(format!("this detector reads one representation and was given {}", suspect.features.len())));
        };
        self.scan().run(cx, suspect.images, features.as_ref(), |cx, class| self.examine(cx, suspect, class))
    }
}

impl Composition {
    fn scan(&self) -> Scan<'_> {
        Scan { statistic: "silhouette", min_rows: self.cluster.min_rows(), suspects: self.suspects.as_deref(), level: self.decide.level() }
    }

    fn examine(&self, cx: &Context, suspect: &Suspect<'_>, class: &Class<'_>) -> Result<Finding> {
        let mut features = class.features.clone();
        for transform in self.process.iter().chain(&self.reduce) {
            features = transform.blame(transform.transform(cx, features))?;
            class.check(&features, &format!("the transform `{}`", transform.name()))?;
        }
        let clustering = self.cluster.blame(self.cluster.cluster(cx, &features))?;
        if clustering.labels.len() != features.len() {
            let problem =
                format!("the clusterer `{}` labelled {} of {} rows", self.cluster.name(), clustering.labels.len(), features.len());
            return Err(Error::request(problem));
        }
        let silhouette = if clustering.to_bulk.is_some() { clustering.silhouette } else { silhouette(&features, &clustering) };
        let origin = Some(ClassOrigin { suspect, class: class.label, rows: class.rows });
        let clustered = ClusteredClass { features: &features, clustering: &clustering, silhouette, origin };
        let decided = self.decide.blame(self.decide.decide(cx, &clustered))?;
        let judged = decided.scores.as_ref().map_or(decided.flagged.len(), |scores| scores.len().min(decided.flagged.len()));
        if judged != features.len() {
            let problem = format!("the decision `{}` judged {judged} of {} rows", self.decide.name(), features.len());
            return Err(Error::request(problem));
        }
        let Decided { flagged, p_value, reason, scores } = decided;
        let scores = scores.unwrap_or_else(|| distance_to_bulk(&features, &clustering));
        Ok(Finding { scores, flagged, clusters: clustering.labels, statistic: silhouette, p_value, reason })
    }
}
