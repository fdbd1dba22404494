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
    /// The chance of accusing any class of a clean data set that findings with p-values keep to, corrected over all scanned classes.
    pub level: Option<f64>,
}

/// The images that carry one label.
pub struct Class<'a> {
    /// Their features, in row order of the set. All values are finite.
    pub features: Features,
    /// The label.
    pub label: u32,
    /// Their rows in the set.
    pub rows: &'a [usize],
    images: &'a ImageSet,
}

/// What a detector finds in one class.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Suspicion of each image of the class, higher is more suspicious.
    pub scores: Vec<f64>,
    /// The accused images of the class.
    pub flagged: Vec<bool>,
    /// The cluster of each image of the class, none for noise; empty where the detector does not cluster.
    pub clusters: Vec<Option<u32>>,
    /// How much the class looks poisoned.
    pub statistic: Option<f64>,
    /// Chance of such evidence in a clean class, where the detector knows it.
    pub p_value: Option<f64>,
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
                let refused = Error::row(row, format!("{maker} gave a NaN or an infinity"));
                Err(self.named(refused.with_help("a net whose training diverged gives such values: look at its loss")))
            }
        }
    }
}

impl Class<'_> {
    /// The same error by the id of the image whose row it is about.
    fn named(&self, error: Error) -> Error {
        let Error::Row { row, problem, help } = error else { return error };
        let place = self.rows.get(row).map_or_else(|| format!("row {row}"), |&row| format!("image {}", self.images.samples()[row].id));
        Error::Data { place, problem, help }
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
                Finding { scores: Vec::new(), flagged: Vec::new(), clusters: Vec::new(), statistic: None, p_value: None, reason }
            } else {
                let class_cx = cx.stage(&format!("class {class}"));
                let class = Class { features: source.select(rows)?, label: *class, rows, images };
                class.check(&class.features, "the representation")?;
                examine(&class_cx, &class).map_err(|error| class.named(error))?
            };
            task.advance(1);
            Ok(finding)
        };
        let findings: Vec<Result<Finding>> = classes.par_iter().map(scan).collect();
        let mut findings: Vec<Finding> = findings.into_iter().collect::<Result<_>>()?;
        if let Some(level) = self.level {
            correct(&mut findings, level);
        }
        for ((class, rows), finding) in classes.into_iter().zip(findings) {
            let Finding { scores, flagged, clusters, statistic, p_value, reason } = finding;
            if !clusters.is_empty() {
                verdict.clusters.resize(images.len(), None);
                rows.iter().zip(clusters).for_each(|(&row, cluster)| verdict.clusters[row] = cluster);
            }
            for ((row, score), flagged) in rows.into_iter().zip(scores).zip(flagged) {
                verdict.scores[row] = Some(score);
                verdict.flagged[row] = flagged;
            }
            verdict.classes.push(ClassVerdict { class, statistic, statistic_name: self.statistic.to_owned(), p_value, reason });
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

/// Makes p-values hold over all classes (Holm 1979), and clears the classes whose corrected ones reach `level`.
fn correct(findings: &mut [Finding], level: f64) {
    let mut tested: Vec<(usize, f64)> =
        findings.iter().enumerate().filter_map(|(class, finding)| Some((class, finding.p_value?))).collect();
    tested.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut corrected = 0.0_f64;
    for (rank, &(class, p_value)) in tested.iter().enumerate() {
        corrected = corrected.max((p_value * (tested.len() - rank) as f64).min(1.0));
        let finding = &mut findings[class];
        finding.p_value = Some(corrected);
        if corrected >= level && finding.flagged.contains(&true) {
            finding.flagged.fill(false);
            finding.reason += &format!("; cleared, as p is {corrected:.3} over all classes");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finding(p_value: f64) -> Finding {
        let (scores, flagged, reason) = (vec![1.0], vec![true], "found".to_owned());
        Finding { scores, flagged, clusters: Vec::new(), statistic: None, p_value: Some(p_value), reason }
    }

    #[test]
    fn p_values_are_corrected_from_the_least_on() {
        let mut findings: Vec<Finding> = [0.04, 0.001, 0.03, 0.02].map(finding).into();
        findings.push(Finding { p_value: None, ..finding(0.0) });
        correct(&mut findings, 0.05);
        let corrected: Vec<Option<f64>> = findings.iter().map(|finding| finding.p_value).collect();
        assert_eq!(corrected, [Some(0.06), Some(0.004), Some(0.06), Some(0.06), None]);
        assert_eq!(findings.iter().map(|finding| finding.flagged[0]).collect::<Vec<_>>(), [false, true, false, false, true]);
        assert_eq!(findings[0].reason, "found; cleared, as p is 0.060 over all classes");
    }

    #[test]
    fn errors_name_the_image_that_a_row_stands_for() {
        let image = bezoar_core::Image::new(bezoar_core::ImageShape::rgb(1, 1), vec![0; 3]).unwrap();
        let sample = |row: usize| bezoar_core::Sample { id: format!("sample-{row}"), label: u32::from(row % 2 == 1), path: String::new() };
        let edits = (0..8).map(|row| bezoar_core::Edit { sample: sample(row), image: image.clone() });
        let images = ImageSet::from_images(vec!["even".into(), "odd".into()], edits.collect()).unwrap();
        let features = Features::new(vec![1], vec![0.0; 8]).unwrap();
        let scan = Scan { statistic: "none", min_rows: 1, suspects: None, level: None };
        let odd = |class: &Class<'_>| if class.label == 1 { Err(Error::row(2, "is odd")) } else { Ok(finding(1.0)) };
        let refused = scan.run(&Context::quiet(0), &images, &features, |_, class| odd(class)).unwrap_err();
        assert_eq!(refused.to_string(), "image sample-5: is odd");
    }

    proptest! {
        #[test]
        fn corrected_p_values_keep_their_order_and_only_grow(p_values in proptest::collection::vec(0.0..1.0_f64, 1..40)) {
            let mut findings: Vec<Finding> = p_values.iter().copied().map(finding).collect();
            correct(&mut findings, 0.05);
            let corrected: Vec<f64> = findings.iter().filter_map(|finding| finding.p_value).collect();
            for (a, before) in corrected.iter().zip(&p_values) {
                prop_assert!(a >= before && *a <= 1.0);
                for (b, other) in corrected.iter().zip(&p_values) {
                    prop_assert!(before > other || a <= b);
                }
            }
        }
    }
}
