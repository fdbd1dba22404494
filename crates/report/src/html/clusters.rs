//! What the clusters of a class have in common: their mean heatmaps, and how their images differ from the others of the class.

use std::collections::BTreeMap;

use bezoar_core::{Context, Features, ImageShape, Outcome, Result, Verdict};
use maud::{Markup, html};

use super::Assets;
use super::album::{Album, Picture};
use super::average::Average;
use super::membership::Membership;
use crate::field::Field;
use crate::format::{count, counted};

/// More clusters than these are not shown.
const SHOWN: usize = 8;

/// What images are grouped by: their clusters, or where the detector has none, their flags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    membership: Membership,
    /// Only without clusters.
    flagged: bool,
}

impl Key {
    fn of(verdict: &Verdict, row: usize) -> Self {
        let membership = Membership::of(verdict, row);
        Self { membership, flagged: membership == Membership::Unclustered && verdict.flagged[row] }
    }

    /// As part of a file's name.
    fn file(self) -> String {
        match self.membership {
            Membership::Cluster(cluster) => format!("cluster-{cluster}"),
            Membership::Noise => "no-cluster".to_owned(),
            Membership::Unclustered if self.flagged => "flagged".to_owned(),
            Membership::Unclustered => "not-flagged".to_owned(),
        }
    }

    fn name(self) -> Markup {
        match self.membership {
            Membership::Unclustered if self.flagged => html! { "flagged" },
            Membership::Unclustered => html! { "not flagged" },
            membership => html! { span.swatch.(membership.class()) {} " " (membership.name()) },
        }
    }
}

/// Sums over the images of a group.
#[derive(Default)]
struct Group {
    images: Average,
    features: Average,
    flagged: usize,
}

/// The groups of a class.
pub(super) struct Groups(BTreeMap<Key, Group>);

impl Groups {
    /// Of these rows, with their features in the same order.
    pub(super) fn of(cx: &Context, outcome: &Outcome, verdict: &Verdict, rows: &[usize], features: &Features) -> Result<Self> {
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        for (&row, features) in rows.iter().zip(features.rows()) {
            cx.check()?;
            let group = groups.entry(Key::of(verdict, row)).or_default();
            group.images.add_image(&outcome.images.image(row)?);
            group.features.add_features(features);
            group.flagged += usize::from(verdict.flagged[row]);
        }
        Ok(Self(groups))
    }

    /// A row of pictures for each group. Mean heatmaps are files as well, whose names begin with `file`.
    pub(super) fn section(&self, shape: ImageShape, features: &Features, file: &str, assets: &mut Assets<'_>) -> Result<Markup> {
        let Assets { album, pictures: files, .. } = assets;
        let mut rows = Vec::new();
        for (key, group) in self.0.iter().take(SHOWN) {
            let mut pictures = vec![("mean image", album.photo(&group.images.image(shape)?)?)];
            let heatmap = album.heatmap(features.shape(), &group.features.mean())?;
            pictures.push(("mean heatmap", heatmap));
            files.push((format!("{file}-{}-heatmap", key.file()), heatmap));
            if let Some(picture) = self.difference(*key, shape, album)? {
                pictures.push(("mean image less that of the others", picture));
            }
            rows.push((key, group, pictures));
        }
        Ok(html! {
            h5 { @if self.is_clustered() { "Clusters" } @else { "What is flagged, and what is not" } }
            ul.means {
                @for (key, group, pictures) in &rows {
                    li {
                        p { b { (key.name()) } " " (counted(group.images.count(), "image")) @if self.is_clustered() { ", " (count(group.flagged)) " flagged" } }
                        div.pictures { @for (name, picture) in pictures { figure { span.picture.(picture) role="img" aria-label=(name) {} figcaption { (name) } } } }
                    }
                }
            }
            @if self.0.len() > SHOWN { p.note { "and " (counted(self.0.len() - SHOWN, "other group")) "." } }
        })
    }

    fn is_clustered(&self) -> bool {
        self.0.keys().any(|key| key.membership != Membership::Unclustered)
    }

    /// By how much a group's images are brighter than the other groups', red, or darker, blue. None of a group that is all of its class.
    fn difference(&self, key: Key, shape: ImageShape, album: &mut Album) -> Result<Option<Picture>> {
        let others = Average::of_all(self.0.iter().filter(|(other, _)| **other != key).map(|(_, group)| &group.images));
        if others.count() == 0 {
            return Ok(None);
        }
        let (own, others) = (self.0[&key].images.mean(), others.mean());
        let values: Vec<f32> = own
            .chunks(shape.channels)
            .zip(others.chunks(shape.channels))
            .map(|(own, others)| own.iter().sum::<f32>() - others.iter().sum::<f32>())
            .collect();
        album.field(Field { height: shape.height, width: shape.width, values }).map(Some)
    }
}
