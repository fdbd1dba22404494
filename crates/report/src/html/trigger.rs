//! The trigger as far as flagged images give it away.

use bezoar_core::{Features, GroundTruth, Image, ImageShape, Mask, Outcome, Result, Verdict};
use maud::{Markup, html};

use super::album::{Album, Picture};
use super::average::Average;
use crate::field::Field;
use crate::format::counted;

/// Where there is no mask, the trigger is sought in a square of this share of the image's shorter side.
const SHARE: usize = 6;

/// A part of the flagged images, averaged.
struct Recovered {
    picture: Picture,
    images: usize,
    how: Markup,
}

/// Flagged images of a class among `rows`, whose features stand in the same order: what lies under the attack's masks, or without any, what lies
/// where their heatmaps differ most from the others'. Nothing where nothing is flagged. The picture comes too.
pub(super) fn section(
    outcome: &Outcome,
    verdict: &Verdict,
    rows: &[usize],
    features: &Features,
    album: &mut Album,
) -> Result<(Markup, Option<Picture>)> {
    let flagged: Vec<usize> = rows.iter().copied().filter(|&row| verdict.flagged[row]).collect();
    let recovered = match under_masks(outcome, &flagged, album)? {
        None => under_relevance(outcome, verdict, rows, features, album)?,
        recovered => recovered,
    };
    let shown = html! {
        @if let Some(Recovered { picture, images, how }) = &recovered {
            h5 { "The trigger as recovered" }
            div.recovered {
                span.picture.(*picture) role="img" aria-label="the trigger as recovered" {}
                p.note { "Mean of " (counted(*images, "flagged image")) " " (how) }
            }
        }
    };
    Ok((shown, recovered.map(|recovered| recovered.picture)))
}

/// The mean under the masks of the size that most images have.
fn under_masks(outcome: &Outcome, flagged: &[usize], album: &mut Album) -> Result<Option<Recovered>> {
    let shape = outcome.images.shape();
    let masks: Vec<(usize, Mask)> = flagged.iter().filter_map(|&row| Some((row, mask(outcome.truth.as_ref()?, row, shape)?))).collect();
    let Some([height, width]) = usual_size(&masks) else { return Ok(None) };
    let mut mean = Average::default();
    for (row, mask) in masks.into_iter().filter(|(_, mask)| [mask.height, mask.width] == [height, width]) {
        mean.add_image(&cut(&outcome.images.image(row)?, mask)?);
    }
    let picture = album.photo(&mean.image(ImageShape { height, width, ..shape })?)?;
    let how = html! { "under the attack’s masks, " (height) " × " (width) " pixels: this takes the truth to see." };
    Ok(Some(Recovered { picture, images: mean.count(), how }))
}

/// The first place of the trigger in an image; none where it has none, or no place inside the image.
fn mask(truth: &GroundTruth, row: usize, shape: ImageShape) -> Option<Mask> {
    let mask = *truth.masks[row].first()?;
    let is_inside = mask.top + mask.height <= shape.height && mask.left + mask.width <= shape.width;
    (is_inside && mask.height * mask.width > 0).then_some(mask)
}

/// The size of most masks, the smallest of equally frequent ones.
fn usual_size(masks: &[(usize, Mask)]) -> Option<[usize; 2]> {
    let mut sizes: Vec<[usize; 2]> = masks.iter().map(|(_, mask)| [mask.height, mask.width]).collect();
    sizes.sort_unstable();
    let alike: Vec<&[[usize; 2]]> = sizes.chunk_by(|a, b| a == b).collect();
    alike.into_iter().rev().max_by_key(|alike| alike.len()).map(|alike| alike[0])
}

/// The mean in the window where the mean heatmap of flagged images exceeds that of the others most.
fn under_relevance(
    outcome: &Outcome,
    verdict: &Verdict,
    rows: &[usize],
    features: &Features,
    album: &mut Album,
) -> Result<Option<Recovered>> {
    let shape = outcome.images.shape();
    let (mut flagged, mut others, mut images) = (Average::default(), Average::default(), Average::default());
    for (&row, features) in rows.iter().zip(features.rows()) {
        if verdict.flagged[row] {
            flagged.add_features(features);
            images.add_image(&outcome.images.image(row)?);
        } else {
            others.add_features(features);
        }
    }
    if flagged.count() == 0 || others.count() == 0 || !shape.carries(features.shape()) {
        return Ok(None);
    }
    let excess: Vec<f32> = flagged.mean().iter().zip(others.mean()).map(|(flagged, other)| flagged - other).collect();
    let field = Field::of(features.shape(), &excess);
    let side = (shape.height.min(shape.width) / SHARE).max(1);
    let window = strongest(&field, side);
    let picture = album.photo(&cut(&images.image(shape)?, window)?)?;
    let how = html! {
        "in the window of " (side) " × " (side) " pixels where their mean heatmap exceeds that of the other images most: rows "
        (window.top) " to " (window.top + side - 1) ", columns " (window.left) " to " (window.left + side - 1)
        ". A guess: a trigger may be larger, elsewhere, or everywhere."
    };
    Ok(Some(Recovered { picture, images: flagged.count(), how }))
}

/// The square with the largest sum; of equal ones the first.
fn strongest(field: &Field, side: usize) -> Mask {
    let sum = |top: usize, left: usize| -> f32 {
        (top..top + side).map(|y| field.values[y * field.width + left..][..side].iter().sum::<f32>()).sum()
    };
    let places = (0..=field.height - side).flat_map(|top| (0..=field.width - side).map(move |left| (top, left)));
    let best = places.rev().max_by(|a, b| sum(a.0, a.1).total_cmp(&sum(b.0, b.1)));
    let (top, left) = best.unwrap_or_default();
    Mask { top, left, height: side, width: side }
}

/// The part of an image under a mask.
fn cut(image: &Image, mask: Mask) -> Result<Image> {
    let ImageShape { width, channels, .. } = image.shape();
    let lines = (mask.top..mask.top + mask.height)
        .flat_map(|y| image.pixels()[(y * width + mask.left) * channels..][..mask.width * channels].iter().copied());
    Image::new(ImageShape { height: mask.height, width: mask.width, channels }, lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_window_is_cut_out() {
        let mut values = vec![0.0; 20];
        values[13] = 2.0;
        values[14] = 1.0;
        let window = strongest(&Field { height: 4, width: 5, values }, 2);
        assert_eq!(window, Mask { top: 1, left: 3, height: 2, width: 2 });
        let image = Image::new(ImageShape { height: 4, width: 5, channels: 1 }, (0..20).collect()).unwrap();
        assert_eq!(cut(&image, window).unwrap().pixels(), [8, 9, 13, 14]);
    }

    #[test]
    fn most_masks_have_the_usual_size() {
        let masks = |heights: &[usize]| -> Vec<(usize, Mask)> {
            heights.iter().map(|&height| (0, Mask { top: 0, left: 0, height, width: 2 })).collect()
        };
        let sizes = [masks(&[3, 4, 4]), masks(&[4, 3]), masks(&[])].map(|masks| usual_size(&masks));
        assert_eq!(sizes, [Some([4, 2]), Some([3, 2]), None]);
    }

    #[test]
    fn masks_beyond_the_image_are_left_out() {
        let at = |top| vec![Mask { top, left: 0, height: 3, width: 3 }];
        let truth = GroundTruth { masks: vec![at(5), at(6), Vec::new()], ..GroundTruth::clean(3) };
        assert_eq!([0, 1, 2].map(|row| mask(&truth, row, ImageShape::rgb(8, 8)).is_some()), [true, false, false]);
    }
}
