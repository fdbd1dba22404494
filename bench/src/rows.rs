//! What representations give for images, all at once.

use anyhow::{Context as _, Result};
use bezoar_core::{Context, Features, ImageSet, Part, Representation};
use bezoar_nn::Network;
use serde_json::Value;

/// The rows of all images by the representation of this block.
pub(crate) fn represent(cx: &Context, network: &Network, images: &ImageSet, block: Value) -> Result<Features> {
    let representation = Part::<dyn Representation>::from_json(block)?;
    let mut parts: Vec<Features> = Vec::new();
    representation.represent(cx, network, images, &mut |rows| {
        parts.push(rows);
        Ok(())
    })?;
    let shape = parts.first().context("no images")?.shape().to_vec();
    Ok(Features::new(shape, parts.into_iter().flat_map(Features::into_values).collect())?)
}
