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
        let label = |row: usize| images.samples()[row].label;
        let (accused, spared): (Vec<usize>, Vec<usize>) = (0..images.len()).partition(|&row| verdict.flagged[row]);
        let known: BTreeSet<u32> = spared.iter().map(|&row| label(row)).collect();
        if accused.is_empty() || known.len() < 2 {
            return Ok(verdict);
        }
        let examined: BTreeSet<u32> = accused.iter().map(|&row| label(row)).filter(|class| known.contains(class)).collect();
        let seen = seen_without(cx, suspect, "accused images", &accused)?;
        let others = if self.both_parts && !examined.is_empty() {
            let others: Vec<usize> = spared.into_iter().filter(|&row| examined.contains(&label(row))).collect();
            seen_without(cx, suspect, "the other images of their classes", &others)?
        } else {
            BTreeMap::new()
        };
        let mut flagged = std::mem::take(&mut verdict.flagged);
        for class in &mut verdict.classes {
            let Some(accused) = seen.get(&class.class) else { continue };
            if !examined.contains(&class.class) {
                class.reason += "; not reclassified, as all images of the class are accused";
                continue;
            }
            let found = Count::of(class.class, accused);
            let rest = others.get(&class.class).map(|rest| (rest, Count::of(class.class, rest)));
            if let Some((rest, count)) = rest.filter(|(_, count)| !count.is_cleared(self.threshold) && count.together() > found.together())
            {
                flag(&mut flagged, accused, false);
                flag(&mut flagged, rest, true);
                class.reason += &format!("; the other {} are accused instead: {}", count.images, count.said(images));
                continue;
            }
            let cleared = found.is_cleared(self.threshold);
            if cleared {
                flag(&mut flagged, accused, false);
            }
            let outcome = if cleared { "cleared" } else { "confirmed" };
            class.reason += &format!("; {outcome}: of {} accused, {}", found.images, found.said(images));
        }
        verdict.flagged = flagged;
        Ok(verdict)
    }
}

fn flag(flagged: &mut [bool], seen: &[(usize, u32)], to: bool) {
    for &(row, _) in seen {
        flagged[row] = to;
    }
}

/// By class, the rows of these images and what a net that is trained without them sees in each.
fn seen_without(cx: &Context, suspect: &Suspect<'_>, what: &str, rows: &[usize]) -> Result<BTreeMap<u32, Vec<(usize, u32)>>> {
    let images = suspect.images;
    let left_out: BTreeSet<usize> = rows.iter().copied().collect();
    let others: Vec<usize> = (0..images.len()).filter(|row| !left_out.contains(row)).collect();
    let net = suspect.trainer.train(&images.select(&others))?;
    let mut of_class: BTreeMap<u32, Vec<(usize, u32)>> = BTreeMap::new();
    for (&row, seen) in rows.iter().zip(net.predict(cx, what, &images.select(rows))?) {
        of_class.entry(images.samples()[row].label).or_default().push((row, seen));
    }
    Ok(of_class)
}

/// What a net that is trained without some images of a class sees in them.
#[derive(Debug, PartialEq)]
struct Count {
    images: usize,
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
        Self { images: seen.len(), own, rival: counts.into_iter().rev().max_by_key(|&(_, images)| images) }
    }

    fn is_cleared(&self, threshold: f64) -> bool {
        self.own as f64 > threshold * self.rival.map_or(0, |(_, images)| images) as f64
    }

    /// The share that is seen together in another class.
    fn together(&self) -> f64 {
        self.rival.map_or(0.0, |(_, images)| images as f64 / self.images as f64)
    }

    fn said(&self, images: &ImageSet) -> String {
        let elsewhere =
            self.rival.map(|(rival, seen)| format!(" and {seen} in `{}`", images.classes()[rival as usize])).unwrap_or_default();
        format!("a net trained without them sees {} in the class{elsewhere}", self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rival_is_the_other_class_that_is_seen_most() {
        let seen = |classes: &[u32]| Count::of(1, &classes.iter().copied().enumerate().collect::<Vec<_>>());
        assert_eq!(seen(&[1, 2, 1, 1, 2, 0]), Count { images: 6, own: 3, rival: Some((2, 2)) });
        assert_eq!(seen(&[3, 2]), Count { images: 2, own: 0, rival: Some((2, 1)) }, "the first of equals");
        assert_eq!(seen(&[1]), Count { images: 1, own: 1, rival: None });
    }
}
