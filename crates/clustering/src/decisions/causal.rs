use std::sync::Arc;

use bezoar_core::{
    Batch, ClassOrigin, ClusteredClass, Context, Decided, Decision, Error, Features, Part, Plugin, Representation, Result, register,
};
use rand::seq::IndexedRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{percent, spare};

/// Accuses images of which a small square turns images of other classes into theirs: it asks the net what a trigger would do.
///
/// The square that speaks most for an image's class is pasted, with a margin, at its own place onto images of other classes (hosts). Members
/// of each cluster do this in turn. A trigger turns many hosts, a piece of a clean image few, however large its cluster: neither the size of
/// a cluster nor that of the class matters, and all classes may be poisoned.
///
/// The p-value of a class is the chance that its most effective cluster turns as many hosts as it does if each of its squares turned no
/// more than the share `natural` of all images (bound of Hoeffding 1963, times the number of clusters); it is then corrected over all
/// classes. Images of an accused class are accused one by one: those whose squares turn at least half of the hosts that the cluster turns.
/// The score of an image is the share of these that it turns, times the share of all hosts that the cluster turns.
///
/// It cannot see triggers that fill the image, and none that the net does not obey.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Causal {
    /// Which square of each image is pasted: rows of `[y, x, size, mass]`.
    pub windows: Part<dyn Representation>,
    /// Pixels around the square that are pasted along.
    #[schemars(range(min = 0, max = 1024))]
    pub margin: usize,
    /// Images of other classes that squares are pasted onto.
    #[schemars(range(min = 8, max = 10_000))]
    pub hosts: usize,
    /// Members of each cluster whose squares are pasted.
    #[schemars(range(min = 1, max = 10_000))]
    pub probes: usize,
    /// The share of hosts that squares of clean images turn at most.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub natural: f64,
    /// The chance of accusing any class of a clean data set.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub level: f64,
}

/// Hosts that each image is tried on: those that the most effective cluster turns most.
const TRIED: usize = 8;

/// Members of a cluster that are tried first; where they turn less than half of `natural`, they speak for the cluster.
const FIRST: usize = 4;

impl Plugin for Causal {
    type Kind = dyn Decision;
    const NAME: &'static str = "causal";

    fn defaults() -> Value {
        json!({ "windows": { "use": "strongest-window" }, "margin": 2, "hosts": 128, "probes": 16, "natural": 0.25, "level": 0.05 })
    }

    fn example() -> Self {
        serde_json::from_value(Self::defaults()).expect("a program with this decision links what finds windows")
    }

    fn build(self) -> Result<Arc<dyn Decision>> {
        Ok(Arc::new(self))
    }
}

register!(Causal);

impl Decision for Causal {
    fn representations(&self) -> Vec<Part<dyn Representation>> {
        vec![self.windows.clone()]
    }

    fn level(&self) -> Option<f64> {
        Some(self.level)
    }

    fn decide(&self, cx: &Context, class: &ClusteredClass<'_>) -> Result<Decided> {
        let origin = class.origin.ok_or_else(|| {
            Error::request("the decision `causal` asks the net, and was given features alone")
                .with_help("decide by what looks at features, such as `relative-size`")
        })?;
        let clusters = class.clustering.sizes().len();
        let Some(trial) = Trial::new(self, cx, origin)? else {
            return Ok(spare(class, "the other classes have too few images to paste onto"));
        };
        if clusters == 0 {
            return Ok(spare(class, "all images are noise"));
        }
        let task = cx.task("paste squares", (clusters + origin.rows.len()) as u64);
        let rate = |effect: &[f64]| effect.iter().sum::<f64>() / effect.len() as f64;
        let mut effects = Vec::with_capacity(clusters);
        for cluster in 0..clusters {
            cx.check()?;
            let members: Vec<usize> = (0..origin.rows.len()).filter(|&row| class.clustering.labels[row] == Some(cluster as u32)).collect();
            let probes: Vec<usize> = members.sample(&mut cx.rng(&format!("probes of {cluster}")), self.probes).copied().collect();
            let first = trial.effect(&probes[..probes.len().min(FIRST)])?;
            effects.push(if rate(&first) < self.natural / 2.0 { first } else { trial.effect(&probes)? });
            task.advance(1);
        }
        let Some(strongest) = (0..clusters).max_by(|&a, &b| rate(&effects[a]).total_cmp(&rate(&effects[b])).then(b.cmp(&a))) else {
            return Ok(spare(class, "all images are noise"));
        };
        let turned = rate(&effects[strongest]);
        let p_value = (chance(turned, self.natural, trial.hosts.len()) * clusters as f64).min(1.0);
        let tried = trial.on_most_turned(&effects[strongest]);
        let mut shares = Vec::with_capacity(origin.rows.len());
        for row in 0..origin.rows.len() {
            cx.check()?;
            shares.push(tried.share(row)?);
            task.advance(1);
        }
        let flagged: Vec<bool> = shares.iter().map(|&share| p_value < self.level && share >= 0.5).collect();
        let accused = flagged.iter().filter(|&&flag| flag).count();
        let size = class.clustering.sizes()[strongest];
        let rates: Vec<String> =
            effects.iter().zip(class.clustering.sizes()).map(|(effect, size)| format!("{size}:{:.2}", rate(effect))).collect();
        let reason = format!(
            "squares of {size} images in one of {clusters} clusters turn {} of other images into this class; {accused} images accused [{}]",
            percent(turned),
            rates.join(" ")
        );
        let scores = shares.into_iter().map(|share| share * turned).collect();
        Ok(Decided { flagged, reason, p_value: Some(p_value), scores: Some(scores) })
    }
}

/// Bound on the chance that the mean of `trials` independent values between 0 and 1 is at least `mean`, if each has the mean `expected`
/// (Hoeffding 1963, theorem 1).
fn chance(mean: f64, expected: f64, trials: usize) -> f64 {
    if mean <= expected {
        return 1.0;
    }
    let part = |of: f64, to: f64| if of > 0.0 { of * (of / to).ln() } else { 0.0 };
    (-(trials as f64) * (part(mean, expected) + part(1.0 - mean, 1.0 - expected))).exp()
}

/// Squares of a class's images, and images of other classes to paste them onto.
struct Trial<'a> {
    origin: ClassOrigin<'a>,
    windows: Features,
    margin: usize,
    hosts: Batch,
}

impl<'a> Trial<'a> {
    /// None if there are too few hosts: images of other classes that the net does not take for this class anyway.
    fn new(settings: &Causal, cx: &Context, origin: ClassOrigin<'a>) -> Result<Option<Self>> {
        let images = origin.suspect.images;
        let [_, windows] = origin.suspect.features else {
            return Err(Error::request("the decision `causal` was given no windows"));
        };
        let windows = windows.select(origin.rows)?;
        if windows.shape() != [4] {
            return Err(Error::request(format!("`windows` gives rows of {:?}, not of [y, x, size, mass]", windows.shape()))
                .with_help("name `{ use: strongest-window }` there"));
        }
        let others: Vec<usize> = (0..images.len()).filter(|&row| images.label(row) != origin.class).collect();
        let drawn: Vec<usize> = others.sample(&mut cx.rng("hosts"), 2 * settings.hosts).copied().collect();
        let mut hosts = images.batch(&drawn)?;
        let kept = predicted(&origin, &hosts)?.into_iter().zip(&drawn).filter(|(class, _)| *class != origin.class);
        let kept: Vec<usize> = kept.map(|(_, &row)| row).take(settings.hosts).collect();
        if kept.len() < TRIED {
            return Ok(None);
        }
        hosts = images.batch(&kept)?;
        Ok(Some(Self { origin, windows, margin: settings.margin, hosts }))
    }

    /// For each host, the share of these images whose squares turn it.
    fn effect(&self, rows: &[usize]) -> Result<Vec<f64>> {
        let mut counts = vec![0.0; self.hosts.len()];
        for &row in rows {
            for (count, turned) in counts.iter_mut().zip(self.turned(row)?) {
                *count += f64::from(u8::from(turned));
            }
        }
        Ok(counts.into_iter().map(|count| count / rows.len() as f64).collect())
    }

    /// The share of the hosts that an image's square turns.
    fn share(&self, row: usize) -> Result<f64> {
        let turned = self.turned(row)?;
        Ok(turned.iter().filter(|&&turned| turned).count() as f64 / turned.len() as f64)
    }

    /// The same trial on the hosts that are turned most.
    fn on_most_turned(&self, effect: &[f64]) -> Trial<'a> {
        let mut order: Vec<usize> = (0..effect.len()).collect();
        order.sort_by(|&a, &b| effect[b].total_cmp(&effect[a]));
        let size = self.hosts.shape.len();
        let kept = &order[..TRIED];
        let hosts = Batch {
            shape: self.hosts.shape,
            labels: kept.iter().map(|&host| self.hosts.labels[host]).collect(),
            pixels: kept.iter().flat_map(|&host| &self.hosts.pixels[host * size..(host + 1) * size]).copied().collect(),
        };
        Trial { origin: self.origin, windows: self.windows.clone(), margin: self.margin, hosts }
    }

    /// Whether the net takes each host for this class once the image's square lies on it.
    fn turned(&self, row: usize) -> Result<Vec<bool>> {
        let image = self.origin.suspect.images.image(self.origin.rows[row])?;
        let (shape, window) = (image.shape(), self.windows.row(row));
        let span = |from: f32, end: usize| {
            let (from, to) = (from as usize, (from + window[2]) as usize);
            from.saturating_sub(self.margin)..(to + self.margin).min(end)
        };
        let (rows, columns) = (span(window[0], shape.height), span(window[1], shape.width));
        let mut pasted = self.hosts.clone();
        for host in pasted.pixels.chunks_exact_mut(shape.len()) {
            for y in rows.clone() {
                let line = (y * shape.width + columns.start) * shape.channels..(y * shape.width + columns.end) * shape.channels;
                host[line.clone()].copy_from_slice(&image.pixels()[line]);
            }
        }
        Ok(predicted(&self.origin, &pasted)?.into_iter().map(|class| class == self.origin.class).collect())
    }
}

/// What the net takes each image for.
fn predicted(origin: &ClassOrigin<'_>, batch: &Batch) -> Result<Vec<u32>> {
    let logits = origin.suspect.model.logits(batch)?;
    Ok(logits.rows().map(|row| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0) as u32).collect())
}
