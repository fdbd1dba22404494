//! Images of other classes that something is tried on.

use bezoar_core::{ClassOrigin, Context, Result, highest};
use rand::seq::IndexedRandom;

/// Images that the net looks at in one go.
const CHUNK: usize = 256;

/// At most `count` of these rows of the set, drawn, without those that the net takes for the suspect class as they are.
pub(super) fn drawn(cx: &Context, origin: &ClassOrigin<'_>, name: &str, rows: &[usize], count: usize) -> Result<Vec<usize>> {
    seen_otherwise(origin, &sample(cx, name, rows, count))
}

/// At most `each` images of every other class, drawn so.
pub(super) fn of_each_class(cx: &Context, origin: &ClassOrigin<'_>, each: usize) -> Result<Vec<usize>> {
    let images = origin.suspect.images;
    let others = (0..images.classes().len() as u32).filter(|&class| class != origin.class);
    let drawn: Vec<usize> = others.flat_map(|class| sample(cx, &format!("class {class}"), &images.rows_of(class), each)).collect();
    seen_otherwise(origin, &drawn)
}

fn sample(cx: &Context, name: &str, rows: &[usize], count: usize) -> Vec<usize> {
    rows.sample(&mut cx.rng(&format!("hosts of {name}")), count).copied().collect()
}

/// These rows without those that the net takes for the suspect class.
fn seen_otherwise(origin: &ClassOrigin<'_>, rows: &[usize]) -> Result<Vec<usize>> {
    let mut hosts = Vec::with_capacity(rows.len());
    for rows in rows.chunks(CHUNK) {
        let logits = origin.suspect.model.logits(&origin.suspect.images.batch(rows)?)?;
        hosts.extend(rows.iter().zip(logits.rows()).filter(|(_, logits)| highest(logits) as u32 != origin.class).map(|(&row, _)| row));
    }
    Ok(hosts)
}

/// At most `count` images of a class, drawn so.
pub(super) fn of_class(cx: &Context, origin: &ClassOrigin<'_>, class: u32, count: usize) -> Result<Vec<usize>> {
    drawn(cx, origin, &format!("class {class}"), &origin.suspect.images.rows_of(class), count)
}

/// Rows of the set under other labels than the suspect class.
pub(super) fn of_other_classes(origin: &ClassOrigin<'_>) -> Vec<usize> {
    let images = origin.suspect.images;
    (0..images.len()).filter(|&row| images.label(row) != origin.class).collect()
}
