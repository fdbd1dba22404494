//! The images of a class as marks: where they lie says how alike they are to the detector.

use std::collections::BTreeMap;
use std::fmt::Write;

use bezoar_core::{Context, Features, Result, Role, Transform};
use maud::{Markup, html};

use super::membership::Membership;
use crate::chart::{self, Key};
use crate::embedding::embedded;

/// Size of the drawing, and its empty margin.
pub(super) const SIZE: [f32; 2] = [640.0, 420.0];
const MARGIN: f32 = 18.0;

/// A mark.
pub(super) struct Mark {
    pub(super) place: [f32; 2],
    pub(super) role: Role,
    pub(super) flagged: bool,
    pub(super) membership: Membership,
}

/// Where each row lies in the drawing, by its first two dimensions after `embed`, each stretched to the drawing's own; none where `embed` cannot
/// place them.
pub(super) fn places(cx: &Context, embed: &dyn Transform, features: Features) -> Result<Option<Vec<[f32; 2]>>> {
    Ok(embedded(cx, embed, features)?.map(|flat| {
        let along = |axis: usize| stretch(&flat.iter().map(|place| place[axis]).collect::<Vec<_>>(), SIZE[axis]);
        along(0).into_iter().zip(along(1)).map(|(x, y)| [x, SIZE[1] - y]).collect()
    }))
}

/// Values as places between the margins, to a tenth; all in the middle where they are equal.
fn stretch(values: &[f32], size: f32) -> Vec<f32> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (lowest, highest) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let share = |value: f32| if value.is_finite() && highest > lowest { (value - lowest) / (highest - lowest) } else { 0.5 };
    values.iter().map(|&value| ((MARGIN + share(value) * (size - 2.0 * MARGIN)) * 10.0).round() / 10.0).collect()
}

/// All marks, with `keys` below: alike ones are one path, and what is more telling lies on top.
pub(super) fn draw(label: &str, marks: &[Mark], keys: &[Key]) -> Markup {
    let mut paths: BTreeMap<(Role, bool, bool, Membership), String> = BTreeMap::new();
    for mark in marks {
        let is_clustered = mark.membership != Membership::Noise;
        outline(paths.entry((mark.role, mark.flagged, is_clustered, mark.membership)).or_default(), mark);
    }
    let (bottom, margin) = (f64::from(SIZE[1]), f64::from(MARGIN));
    let height = if keys.is_empty() { bottom } else { bottom + chart::height(keys) + margin };
    html! {
        svg.marks-of-class viewBox={ "0 0 " (SIZE[0]) " " (height) } role="img" aria-label=(label) {
            @for ((_, flagged, _, membership), path) in &paths {
                path.spot.flagged[*flagged] .(membership.class()) d=(path) {}
            }
            (chart::legend(keys, margin, bottom))
        }
    }
}

/// Shapes tell the truth, so that colour need not: circles, triangles for poison, squares for cover.
fn outline(path: &mut String, mark: &Mark) {
    let [x, y] = mark.place;
    // Writing to a string cannot fail.
    let _ = match mark.role {
        Role::Clean => write!(path, "M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0-8 0", x - 4.0),
        Role::Poison => write!(path, "M{x:.1} {:.1}l5.5 10h-11z", y - 6.5),
        Role::Cover => write!(path, "M{:.1} {:.1}h8v8h-8z", x - 4.0, y - 4.0),
    };
}

/// One mark in a legend.
pub(super) fn sample_mark(role: Role, flagged: bool) -> Markup {
    html! { svg.sample viewBox="0 0 16 16" aria-hidden="true" { (example(role, flagged, &Membership::Noise.class())) } }
}

/// A mark in the middle of a square of 16, with the colour of a class of the stylesheet.
pub(super) fn example(role: Role, flagged: bool, class: &str) -> Markup {
    let mut path = String::new();
    outline(&mut path, &Mark { place: [8.0, 8.0], role, flagged, membership: Membership::Noise });
    html! { path.spot.flagged[flagged].(class) d=(path) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fill_the_drawing_and_strangers_stay_inside() {
        assert_eq!(stretch(&[-1.0, 0.0, 3.0, f32::NAN], 100.0), [18.0, 34.0, 82.0, 50.0]);
        assert_eq!(stretch(&[2.0, 2.0], 100.0), [50.0, 50.0]);
    }

    #[test]
    fn alike_marks_are_one_path() {
        let mark = |role, flagged| Mark { place: [1.0, 2.0], role, flagged, membership: Membership::Noise };
        let marks = [mark(Role::Clean, false), mark(Role::Clean, false), mark(Role::Poison, true), mark(Role::Clean, true)];
        let drawing = draw("what", &marks, &[]).into_string();
        assert_eq!(drawing.matches("<path").count(), 3);
        assert_eq!(drawing.matches("flagged").count(), 2);
    }
}
