//! The detector behind one that accuses given rows, with nets that see what a pixel says.

use std::any::Any;
use std::sync::{Arc, Mutex};

use bezoar_core::{
    Batch, ClassVerdict, Classifier, Context, Detector, Edit, Error, Features, Image, ImageSet, ImageShape, Part, Plugin, Representation,
    Result, Sample, Suspect, Trainer, Verdict, register,
};
use bezoar_exclusionary_reclassification::ExclusionaryReclassification;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const SHAPE: ImageShape = ImageShape { height: 1, width: 1, channels: 1 };

/// Accuses the rows that it is told to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Accuser {
    rows: Vec<usize>,
}

impl Plugin for Accuser {
    type Kind = dyn Detector;
    const NAME: &'static str = "accuser";

    fn example() -> Self {
        Self { rows: vec![0] }
    }

    fn build(self) -> Result<Arc<dyn Detector>> {
        Ok(Arc::new(self))
    }
}

register!(Accuser);

impl Detector for Accuser {
    fn representations(&self) -> Vec<Part<dyn Representation>> {
        Vec::new()
    }

    fn detect(&self, _: &Context, suspect: &Suspect<'_>) -> Result<Verdict> {
        let mut verdict = Verdict::empty(suspect.images.len());
        self.rows.iter().for_each(|&row| verdict.flagged[row] = true);
        let classes = 0..suspect.images.classes().len() as u32;
        verdict.classes = classes.map(|class| ClassVerdict { class, reason: "told".to_owned(), ..unknown() }).collect();
        Ok(verdict)
    }
}

fn unknown() -> ClassVerdict {
    ClassVerdict { class: 0, statistic: None, statistic_name: String::new(), p_value: None, reason: String::new() }
}

/// A net that sees the class that the pixel says; as a trainer, it notes what it is given.
#[derive(Default)]
struct Seeing {
    learnt: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Trainer for Seeing {
    fn train(&self, images: &ImageSet) -> Result<Arc<dyn Classifier>> {
        self.learnt.lock().unwrap().push(images.samples().iter().map(|sample| sample.id.clone()).collect());
        Ok(Arc::new(Self::default()))
    }
}

impl Classifier for Seeing {
    fn input(&self) -> ImageShape {
        SHAPE
    }

    fn classes(&self) -> usize {
        3
    }

    fn layers(&self) -> Vec<String> {
        Vec::new()
    }

    fn penultimate(&self) -> String {
        String::new()
    }

    fn logits(&self, batch: &Batch) -> Result<Features> {
        let scores = batch.pixels.iter().flat_map(|&pixel| (0..3).map(move |class| f32::from(u8::from(class == pixel)))).collect();
        Features::new(vec![3], scores)
    }

    fn activations(&self, _: &Batch, _: &str) -> Result<Features> {
        Err(Error::request("never asked"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Images with these labels that show these classes.
fn images(of: &[(u32, u8)]) -> ImageSet {
    let rows = of.iter().enumerate().map(|(row, &(label, shown))| Edit {
        sample: Sample { id: row.to_string(), label, path: String::new() },
        image: Image::new(SHAPE, vec![shown]).unwrap(),
    });
    ImageSet::from_images(["80", "50", "stop"].map(str::to_owned).into(), rows.collect()).unwrap()
}

/// The verdict, and the images of each training.
fn detect(of: &[(u32, u8)], accused: &[usize], threshold: f64) -> (Verdict, Vec<Vec<String>>) {
    detect_with(of, accused, &json!({ "threshold": threshold }))
}

fn detect_with(of: &[(u32, u8)], accused: &[usize], fields: &serde_json::Value) -> (Verdict, Vec<Vec<String>>) {
    let mut block = json!({ "use": ExclusionaryReclassification::NAME, "detector": { "use": "accuser", "rows": accused } });
    block.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let detector = Part::<dyn Detector>::from_json(block).unwrap();
    let trainer = Seeing::default();
    let (images, net) = (images(of), Seeing::default());
    let suspect = Suspect { images: &images, model: &net, features: &[], trainer: &trainer };
    let verdict = detector.detect(&Context::quiet(0), &suspect).unwrap();
    let learnt = trainer.learnt.lock().unwrap().clone();
    (verdict, learnt)
}

#[test]
fn moved_images_are_confirmed_and_clean_ones_cleared() {
    let set = [(0, 0), (0, 1), (0, 1), (0, 0), (1, 1), (1, 1), (1, 2), (1, 1), (2, 2)];
    let (verdict, learnt) = detect(&set, &[1, 2, 3, 4, 5, 6], 1.0);
    assert_eq!(verdict.flagged, [false, true, true, true, false, false, false, false, false]);
    assert_eq!(learnt, [["0", "7", "8"]]);
    let reasons: Vec<&str> = verdict.classes.iter().map(|class| class.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "told; confirmed: of 3 accused, a net trained without them sees 1 in the class and 2 in `50`",
            "told; cleared: of 3 accused, a net trained without them sees 2 in the class and 1 in `stop`",
            "told",
        ]
    );
}

/// The first class is mostly poison from `50`, and its clean rest is accused for being the smaller part. In the second the smaller part is the poison.
#[test]
fn of_both_parts_the_one_from_one_other_class_is_accused() {
    let set = [(0, 1), (0, 1), (0, 1), (0, 0), (0, 2), (1, 1), (1, 1), (1, 2), (2, 2), (2, 0), (2, 2)];
    let both = json!({ "both-parts": true });
    let (verdict, learnt) = detect_with(&set, &[3, 4, 7, 9], &both);
    let accused: Vec<usize> = (0..set.len()).filter(|&row| verdict.flagged[row]).collect();
    assert_eq!(accused, [0, 1, 2, 7, 9]);
    assert_eq!(learnt, [vec!["0", "1", "2", "5", "6", "8", "10"], vec!["3", "4", "7", "9"]]);
    assert_eq!(
        verdict.classes[0].reason,
        "told; the other 3 are accused instead: a net trained without them sees 0 in the class and 3 in `50`"
    );
    assert_eq!(verdict.classes[1].reason, "told; confirmed: of 1 accused, a net trained without them sees 0 in the class and 1 in `stop`");
    let alone = detect_with(&set, &[3, 4, 7, 9], &json!({})).0;
    assert!(alone.flagged[3] && !alone.flagged[0], "without, the smaller part stays accused");
}

#[test]
fn a_draw_confirms_and_the_threshold_moves_it() {
    let set = [(0, 0), (0, 1), (0, 0), (1, 1)];
    assert!(detect(&set, &[1, 2], 1.0).0.flagged[1]);
    assert!(!detect(&set, &[1, 2], 0.5).0.flagged[1]);
}

#[test]
fn nothing_is_trained_where_there_is_nothing_to_examine() {
    let set = [(0, 0), (0, 0), (1, 1)];
    assert_eq!(detect(&set, &[], 1.0).1.len(), 0, "nobody is accused");
    let (verdict, learnt) = detect(&set, &[2, 1], 1.0);
    assert_eq!((verdict.flagged, learnt.len()), (vec![false, true, true], 0), "one class is left");
}

#[test]
fn a_class_accused_as_a_whole_stays_accused() {
    let (verdict, _) = detect(&[(0, 0), (0, 0), (1, 1), (2, 2)], &[0, 1], 1.0);
    assert_eq!(verdict.flagged, [true, true, false, false]);
    assert_eq!(verdict.classes[0].reason, "told; not reclassified, as all images of the class are accused");
}

proptest! {
    /// It never accuses anybody else, treats the accused of a class alike, and clears no fewer the lower its threshold.
    #[test]
    fn accusations_only_fall(
        set in proptest::collection::vec((0..3_u32, 0..3_u8, any::<bool>()), 1..40), threshold in 0.0..3.0_f64, more in 0.0..3.0_f64
    ) {
        let images: Vec<(u32, u8)> = set.iter().map(|&(label, shown, _)| (label, shown)).collect();
        let accused: Vec<usize> = (0..set.len()).filter(|&row| set[row].2).collect();
        let (low, high) = (detect(&images, &accused, threshold).0, detect(&images, &accused, threshold + more).0);
        for row in 0..set.len() {
            prop_assert!(!low.flagged[row] || high.flagged[row]);
            prop_assert!(!high.flagged[row] || set[row].2);
            for other in accused.iter().filter(|&&other| set[row].2 && set[other].0 == set[row].0) {
                prop_assert_eq!(low.flagged[row], low.flagged[*other]);
            }
        }
    }
}
