//! Larger images.

use bezoar_nn::{Interpolation, Op};

use super::arithmetic::numbers;
use super::attributes::Attributes;
use super::call::{Call, whole};
use super::value::{Layer, Value};
use super::{Importer, Problem};

impl Importer<'_> {
    pub(super) fn resize(&mut self, call: &Call<'_>) -> Result<Value, Problem> {
        let maps = call.maps()?;
        let factor = factor(call, maps)?;
        let mode = interpolation(call, factor, [maps.shape[2], maps.shape[3]])?;
        if factor == [1; 2] {
            return super::operators::passed(call);
        }
        self.layer(call, Op::Upsample { factor, mode }, &[maps.id], maps.batch, Vec::new())
    }
}

/// How many times as many rows and columns.
fn factor(call: &Call<'_>, maps: &Layer) -> Result<[usize; 2], Problem> {
    if call.node.ints("axes")?.is_some() {
        return Err("names the axes that it resizes, which is not known here".into());
    }
    let scales = match call.node.op_type.as_str() {
        "Upsample" => call.optional(1)?.map(|scales| numbers(scales)).or_else(|| match call.node.attributes.get("scales") {
            Some(bezoar_formats::onnx::Attribute::Floats(scales)) => Some(scales.iter().map(|&scale| scale.into()).collect()),
            _ => None,
        }),
        _ => call.optional(if call.opset < 11 { 1 } else { 2 })?.map(|scales| numbers(scales)),
    };
    let factors = match (scales.filter(|scales| !scales.is_empty()), call.optional(3)?) {
        (Some(scales), _) => scales,
        (None, Some(sizes)) => whole(sizes)?.iter().zip(&maps.shape).map(|(size, had)| *size as f64 / *had as f64).collect(),
        (None, None) => return Err("says neither its scales nor its sizes".into()),
    };
    let is_whole = |factor: f64| factor.fract() == 0.0 && (1.0..=1024.0).contains(&factor);
    match *factors {
        [1.0, 1.0, rows, columns] if is_whole(rows) && is_whole(columns) => Ok([rows as usize, columns as usize]),
        _ => Err(format!("scales by {factors:?}, and only whole factors of rows and columns are known")),
    }
}

fn interpolation(call: &Call<'_>, factor: [usize; 2], size: [usize; 2]) -> Result<Interpolation, Problem> {
    let old = call.node.op_type == "Upsample" || call.opset < 11;
    let places = if old { "asymmetric" } else { call.node.word("coordinate_transformation_mode", "half_pixel")? };
    let rounding = if old { "floor" } else { call.node.word("nearest_mode", "round_prefer_floor")? };
    let refuse = |mode: &str| Err(format!("resizes by `{mode}` at `{places}` places (rounded by `{rounding}`), which is not known here"));
    match call.node.word("mode", "nearest")? {
        "nearest" if factor.iter().all(|&factor| stays(factor, places, rounding)) => Ok(Interpolation::Nearest),
        // PyTorch's way differs only where the result is one pixel.
        "linear" | "bilinear" if ["half_pixel", "pytorch_half_pixel"].contains(&places) || factor == [1; 2] => Ok(Interpolation::Bilinear),
        "linear" | "bilinear" if size == [1; 2] => Ok(Interpolation::Bilinear),
        mode => refuse(mode),
    }
}

/// Whether each new pixel is the old one that it lies in.
fn stays(factor: usize, places: &str, rounding: &str) -> bool {
    let size = factor as f64;
    (0..factor).all(|pixel| {
        let place = match places {
            "asymmetric" => pixel as f64 / size,
            "half_pixel" | "pytorch_half_pixel" => (pixel as f64 + 0.5) / size - 0.5,
            _ => return factor == 1,
        };
        let nearest = match rounding {
            "floor" => place.floor(),
            "ceil" => place.ceil(),
            "round_prefer_floor" => (place - 0.5).ceil(),
            "round_prefer_ceil" => (place + 0.5).floor(),
            _ => return false,
        };
        nearest == 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::stays;

    #[test]
    fn roundings_that_amount_to_the_same_are_known() {
        assert!(
            stays(3, "asymmetric", "floor") && stays(4, "half_pixel", "round_prefer_floor") && stays(2, "asymmetric", "round_prefer_floor")
        );
        assert!(!stays(3, "asymmetric", "round_prefer_floor") && !stays(2, "half_pixel", "floor") && !stays(2, "align_corners", "floor"));
    }
}
