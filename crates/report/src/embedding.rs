//! Where the images of a class lie on a map.

use bezoar_core::{Context, Error, Features, Part, Result, Transform};
use serde_json::json;

/// The first two principal components; none where the plugin is not linked.
pub(crate) fn default_embed() -> Option<Part<dyn Transform>> {
    Part::from_json(json!({ "use": "pca", "dimensions": 2 })).ok()
}

/// The first two dimensions of each row after `embed`; none, with a note, where `embed` cannot place them.
pub(crate) fn embedded(cx: &Context, embed: &dyn Transform, features: Features) -> Result<Option<Vec<[f32; 2]>>> {
    match embed.transform(cx, features) {
        Ok(flat) => Ok(Some(flat.rows().map(|row| [0, 1].map(|axis| row.get(axis).copied().unwrap_or_default())).collect())),
        Err(error @ (Error::Cancelled | Error::Io { .. })) => Err(error),
        Err(error) => {
            cx.note(&format!("a class has no map: {error}"));
            Ok(None)
        }
    }
}
