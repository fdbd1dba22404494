//! The windows of convolutions and pools.

use bezoar_formats::onnx::Node;
use bezoar_nn::Window;

use super::Problem;
use super::attributes::Attributes;

/// A side that no image has: numbers up to it cannot overflow when they are added and multiplied.
const LONGEST: i64 = 1 << 20;

/// The window of a node over maps of `size`, with this many cells unless the node says it.
pub(super) fn window(node: &Node, size: [usize; 2], kernel: Option<[usize; 2]>) -> Result<Window, Problem> {
    let given = node.ints("kernel_shape")?.map(|kernel| pair("kernel_shape", kernel, 1)).transpose()?;
    let kernel = match (given, kernel) {
        (Some(given), Some(kernel)) if given != kernel => return Err(format!("kernel {given:?} over weights of {kernel:?}")),
        (Some(kernel), _) | (None, Some(kernel)) => kernel,
        (None, None) => return Err("`kernel_shape` is missing".into()),
    };
    let of = |name: &str| node.ints(name)?.map_or(Ok([1, 1]), |values| pair(name, values, 1));
    let (stride, dilation) = (of("strides")?, of("dilations")?);
    let window = Window { kernel, stride, dilation, before: [0; 2], after: [0; 2] };
    let (before, after) = border(node, window, size)?;
    let window = window.border(before, after);
    if node.int("ceil_mode", 0)? == 0 { Ok(window) } else { Ok(rounded_up(window, size)) }
}

/// The border that a node asks for.
fn border(node: &Node, window: Window, size: [usize; 2]) -> Result<([usize; 2], [usize; 2]), Problem> {
    let whole = |side: usize| {
        // As many positions as a stride allows from the first pixel on.
        let positions = size[side].div_ceil(window.stride[side]);
        ((positions - 1) * window.stride[side] + window.extent()[side]).saturating_sub(size[side])
    };
    let total = [whole(0), whole(1)];
    let half = total.map(|total| total / 2);
    let rest = [total[0] - half[0], total[1] - half[1]];
    match node.word("auto_pad", "NOTSET")? {
        "NOTSET" => match node.ints("pads")? {
            None => Ok(([0; 2], [0; 2])),
            Some(&[top, left, bottom, right]) => Ok((pair("pads", &[top, left], 0)?, pair("pads", &[bottom, right], 0)?)),
            Some(other) => Err(format!("`pads` is {other:?}, not four numbers")),
        },
        "VALID" => Ok(([0; 2], [0; 2])),
        "SAME_UPPER" => Ok((half, rest)),
        "SAME_LOWER" => Ok((rest, half)),
        other => Err(format!("`auto_pad` is {other:?}")),
    }
}

/// The same with so much border at the end that a last position, which begins inside the image or its border, fits.
fn rounded_up(window: Window, size: [usize; 2]) -> Window {
    let mut after = window.after;
    for side in 0..2 {
        let whole = window.before[side] + size[side] + window.after[side];
        let Some(room) = whole.checked_sub(window.extent()[side]) else { continue };
        let mut positions = room.div_ceil(window.stride[side]);
        if positions * window.stride[side] >= window.before[side] + size[side] {
            positions -= 1;
        }
        after[side] = (positions * window.stride[side] + window.extent()[side]).saturating_sub(window.before[side] + size[side]);
    }
    window.border(window.before, after)
}

fn pair(name: &str, values: &[i64], least: i64) -> Result<[usize; 2], Problem> {
    match *values {
        [rows, columns] if [rows, columns].iter().all(|value| (least..=LONGEST).contains(value)) => Ok([rows as usize, columns as usize]),
        [_, _] => Err(format!("`{name}` is {values:?}, out of range")),
        _ => Err(format!("`{name}` is {values:?}, and only images of two dimensions are known")),
    }
}
