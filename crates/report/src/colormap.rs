//! A diverging colour map, red above zero and blue below, that people with any colour vision can tell apart.

use std::fmt::Write;

/// From the lowest value to the highest, evenly spaced; the middle is zero.
const STOPS: [[u8; 3]; 7] =
    [[24, 72, 138], [76, 142, 196], [173, 207, 228], [248, 248, 247], [248, 190, 162], [218, 98, 76], [148, 12, 38]];

/// The colour of a value between -1 and 1.
pub(crate) fn color(value: f32) -> [u8; 3] {
    let place = f32::midpoint(value.clamp(-1.0, 1.0), 1.0) * (STOPS.len() - 1) as f32;
    let below = (place as usize).min(STOPS.len() - 2);
    let part = place - below as f32;
    std::array::from_fn(|channel| {
        let (low, high) = (f32::from(STOPS[below][channel]), f32::from(STOPS[below + 1][channel]));
        (low + (high - low) * part).round() as u8
    })
}

/// The map as a CSS gradient from left to right.
pub(crate) fn gradient() -> String {
    let mut css = "linear-gradient(to right".to_owned();
    for [red, green, blue] in STOPS {
        let _ = write!(css, ", rgb({red} {green} {blue})");
    }
    css + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_neutral_and_signs_differ() {
        assert_eq!(color(0.0), STOPS[3]);
        assert_eq!([color(-1.0), color(-7.0)], [STOPS[0]; 2]);
        assert_eq!([color(1.0), color(7.0)], [STOPS[6]; 2]);
        let [red, _, blue] = color(0.4);
        assert!(red > blue);
        let [red, _, blue] = color(-0.4);
        assert!(red < blue);
    }
}
