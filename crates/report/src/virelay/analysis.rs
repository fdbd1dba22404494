use bezoar_core::{Context, Detection, Outcome, Result, Role, Transform};
use hdf5_pure::FileBuilder;

use super::{Shown, category, finish, sizes};
use crate::embedding::embedded;

/// What a detector made of each class that is shown; none if it looked at nothing.
pub(super) fn encode(
    cx: &Context,
    outcome: &Outcome,
    detection: &Detection,
    shown: &Shown,
    embed: &dyn Transform,
) -> Result<Option<Vec<u8>>> {
    let Some(features) = detection.features.first() else { return Ok(None) };
    let (mut file, mut classes) = (FileBuilder::new(), 0);
    for &class in &shown.classes {
        let places = shown.places_of(outcome, class);
        let rows: Vec<usize> = places.iter().map(|&place| shown.rows[place]).collect();
        let Some(map) = embedded(cx, embed, features.rows.select(&rows)?)? else { continue };
        let mut group = file.create_group(&category(class));
        group.create_dataset("index").with_u32_data(&places.iter().map(|&place| place as u32).collect::<Vec<_>>());
        let mut embedding = group.create_group("embedding");
        embedding.create_dataset("map").with_f32_data(&map.concat()).with_shape(&sizes(&[rows.len(), 2]));
        group.add_group(embedding.finish());
        let mut cluster = group.create_group("cluster");
        for (name, members) in groupings(outcome, detection, &rows) {
            cluster.create_dataset(name).with_i32_data(&members);
        }
        group.add_group(cluster.finish());
        file.add_group(group.finish());
        classes += 1;
    }
    if classes == 0 { Ok(None) } else { finish(file).map(Some) }
}

/// The ways in which images of a class belong together.
fn groupings(outcome: &Outcome, detection: &Detection, rows: &[usize]) -> Vec<(&'static str, Vec<i32>)> {
    let verdict = &detection.verdict;
    let mut groupings = vec![("flagged", rows.iter().map(|&row| i32::from(verdict.flagged[row])).collect())];
    if !verdict.clusters.is_empty() {
        let cluster = |&row: &usize| verdict.clusters[row].map_or(-1, |cluster| cluster as i32);
        groupings.push(("clusters", rows.iter().map(cluster).collect()));
    }
    if let Some(truth) = &outcome.truth {
        groupings.push(("truth", rows.iter().map(|&row| i32::from(truth.roles[row] == Role::Poison)).collect()));
    }
    groupings
}
