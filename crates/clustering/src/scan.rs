use bezoar_core::{ClassRef, ClassVerdict, Context, Error, FeatureSource, Features, ImageSet, Input, Origin, Result, Verdict};
use rayon::prelude::*;

/// Fewest images of which anything can be said.
const FEWEST_ROWS: usize = 3;

/// A look at one class after the other, as most detectors work.
///
/// Every class is scanned unless `suspects` names some. Classes with too few images are left out, with the reason in their verdict.
/// Classes run in parallel, each with random streams of its own, so that neither the number of threads nor the choice of classes
/// changes what is found in one of them.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// What a [`Finding`]'s statistic is.
    pub statistic: &'a str,
    /// Fewest images that a class must have; never fewer than 3.
    pub min_rows: usize,
    /// The classes to scan; all if none.
    pub suspects: Option<&'a [ClassRef]>,
}

/// The images that carry one label.
pub struct Class<'a> {
    /// Their features, in row order of the set. All values are finite.
    pub features: Features,
    images: &'a ImageSet,
    rows: &'a [usize],
}

/// What a detector finds in one class.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Suspicion of each image of the class, higher is more suspicious.
    pub scores: Vec<f64>,
    /// The accused images of the class.
    pub flagged: Vec<bool>,
    /// How much the class looks poisoned.
    pub statistic: Option<f64>,
    /// Why images were accused, or none were.
    pub reason: String,
}

impl Class<'_> {
    /// Checks that `features` has a finite row for each image of the class.
    ///
    /// # Errors
    /// When rows are missing, or by the id of the first image whose row is not finite. `maker` is who made the features.
    pub fn check(&self, features: &Features, maker: &str) -> Result<()> {
        if features.len() != self.rows.len() {
            return Err(Error::request(format!("{maker} gave {} rows for {} images", features.len(), self.rows.len())));
        }
        match features.first_not_finite() {
            None => Ok(()),
            Some(row) => {
                let id = &self.images.samples()[self.rows[row]].id;
                Err(Error::data(format!("image {id}"), format!("{maker} gave a NaN or an infinity"))
                    .with_help("a net whose training diverged gives such values: look at its loss"))
            }
        }
    }
}

impl Scan<'_> {
    /// Whether the suspects are classes of `images`.
    ///
    /// # Errors
    /// Names the first that is none, and the class that it may be a misspelling of.
    pub fn check(&self, images: &ImageSet) -> Result<()> {
        self.suspects(images).map(drop)
    }

    /// The labels of the suspects.
    fn suspects(&self, images: &ImageSet) -> Result<Option<Vec<u32>>> {
        let resolve = |suspects: &[ClassRef]| suspects.iter().map(|class| class.resolve(images.classes())).collect();
        self.suspects.map(resolve).transpose()
    }

    /// The verdict on `images`, whose features are the rows of `source`, from what `examine` finds in each class.
    ///
    /// # Errors
    /// When a suspect is no class of the set, a feature is not finite, `examine` fails, or the run is cancelled.
    pub fn run(
        &self,
        cx: &Context,
        images: &ImageSet,
        source: &dyn FeatureSource,
        examine: impl Fn(&Context, &Class<'_>) -> Result<Finding> + Sync,
    ) -> Result<Verdict> {
        let mut verdict = Verdict::empty(images.len());
        let suspects = self.suspects(images)?;
        if let Some(given) = self.suspects {
            let value = serde_json::to_string(given).map_err(Error::request)?;
            verdict.inputs.push(Input { name: "suspects".to_owned(), value, origin: Origin::Given });
        }
        let classes: Vec<(u32, Vec<usize>)> = (0..images.classes().len() as u32).map(|class| (class, images.rows_of(class))).collect();
        let task = cx.task("scan classes", classes.len() as u64);
        let scan = |(class, rows): &(u32, Vec<usize>)| {
            cx.check()?;
            let finding = if let Some(reason) = self.reason_to_skip(*class, rows.len(), suspects.as_deref()) {
                Finding { scores: Vec::new(), flagged: Vec::new(), statistic: None, reason }
            } else {
                let class_cx = cx.stage(&format!("class {class}"));
                let class = Class { features: source.select(rows)?, images, rows };
                class.check(&class.features, "the representation")?;
                examine(&class_cx, &class)?
            };
            task.advance(1);
            Ok(finding)
        };
        let findings: Vec<Result<Finding>> = classes.par_iter().map(scan).collect();
        for ((class, rows), finding) in classes.into_iter().zip(findings) {
            let Finding { scores, flagged, statistic, reason } = finding?;
            for ((row, score), flagged) in rows.into_iter().zip(scores).zip(flagged) {
                verdict.scores[row] = Some(score);
                verdict.flagged[row] = flagged;
            }
            verdict.classes.push(ClassVerdict { class, statistic, statistic_name: self.statistic.to_owned(), p_value: None, reason });
        }
        Ok(verdict)
    }

    fn reason_to_skip(&self, class: u32, rows: usize, suspects: Option<&[u32]>) -> Option<String> {
        let needed = self.min_rows.max(FEWEST_ROWS);
        if suspects.is_some_and(|suspects| !suspects.contains(&class)) {
            Some("not scanned: not among the suspects".to_owned())
        } else if rows < needed {
            let images = if rows == 1 { "image" } else { "images" };
            Some(format!("not scanned: {rows} {images}, and at least {needed} are needed"))
        } else {
            None
        }
    }
}
