use std::collections::{BTreeMap, BTreeSet};

use bezoar_core::{Context, Detector, ImageSet, Part, Representation, Result, Suspect, Verdict};

use crate::ExclusionaryReclassification;

impl Detector for ExclusionaryReclassification {
    fn representations(&self) -> Vec<Part<dyn Representation>> {
        self.detector.representations()
    }

    fn fingerprint(&self) -> Result<Option<String>> {
        self.detector.fingerprint()
    }

    fn check(&self, images: &ImageSet) -> Result<()> {
        self.detector.check(images)
    }

    fn detect(&self, cx: &Context, suspect: &Suspect<'_>) -> Result<Verdict> {
        let mut verdict = self.detector.detect(cx, suspect)?;
        let images = suspect.images;
        let (accused, spared): (Vec<usize>, Vec<usize>) = (0..images.len()).partition(|&row| verdict.flagged[row]);
        let known: BTreeSet<u32> = spared.iter().map(|&row| images.samples()[row].label).collect();
        if accused.is_empty() || known.len() < 2 {
            return Ok(verdict);
        }
        let net = suspect.trainer.train(&images.select(&spared))?;
        let seen = net.predict(cx, "accused images", &images.select(&accused))?;
        let mut of_class: BTreeMap<u32, Vec<(usize, u32)>> = BTreeMap::new();
        for (&row, seen) in accused.iter().zip(seen) {
            of_class.entry(images.samples()[row].label).or_default().push((row, seen));
        }
        for class in &mut verdict.classes {
            let Some(accused) = of_class.get(&class.class) else { continue };
            if !known.contains(&class.class) {
                class.reason += "; not reclassified, as all images of the class are accused";
                continue;
            }
            let Count { own, rival } = Count::of(class.class, accused);
            let cleared = own as f64 > self.threshold * rival.map_or(0, |(_, images)| images) as f64;
            if cleared {
                for &(row, _) in accused {
                    verdict.flagged[row] = false;
                }
            }
            let elsewhere = rival.map(|(rival, seen)| format!(" and {seen} in `{}`", images.classes()[rival as usize])).unwrap_or_default();
            let outcome = if cleared { "cleared" } else { "confirmed" };
            class.reason +=
                &format!("; {outcome}: of {} accused, a net trained without them sees {own} in the class{elsewhere}", accused.len());
        }
        Ok(verdict)
    }
}

/// What the new net sees in the accused images of a class.
#[derive(Debug, PartialEq)]
struct Count {
    /// Images seen in the class itself.
    own: usize,
    /// The other class that is seen most often, the first of equals, and in how many images.
    rival: Option<(u32, usize)>,
}

impl Count {
    fn of(class: u32, seen: &[(usize, u32)]) -> Self {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &(_, seen) in seen {
            *counts.entry(seen).or_default() += 1;
        }
        let own = counts.remove(&class).unwrap_or_default();
        Self { own, rival: counts.into_iter().rev().max_by_key(|&(_, images)| images) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rival_is_the_other_class_that_is_seen_most() {
        let seen = |classes: &[u32]| Count::of(1, &classes.iter().copied().enumerate().collect::<Vec<_>>());
        assert_eq!(seen(&[1, 2, 1, 1, 2, 0]), Count { own: 3, rival: Some((2, 2)) });
        assert_eq!(seen(&[3, 2]), Count { own: 0, rival: Some((2, 1)) }, "the first of equals");
        assert_eq!(seen(&[1]), Count { own: 1, rival: None });
    }
}
