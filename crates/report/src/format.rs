//! Numbers in words and digits, the same on the page and in the terminal.

use bezoar_core::Role;

/// Stands where a figure is undefined.
pub(crate) const UNDEFINED: &str = "–";

/// A rate in percent, two decimals, without the sign: `99.38`.
pub(crate) fn percent(rate: f64) -> String {
    format!("{:.2}", rate * 100.0)
}

/// A number of things with its thousands apart: `34,799`.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things by name: `1 image`, `2 images`.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    let ending = match number {
        1 => "",
        _ if thing.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {thing}{ending}", count(number))
}

/// Any number to four significant digits: `0.01235`, `12.35`, `1.235e9`.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() {
        value.to_string()
    } else if (1e-3..1e6).contains(&magnitude) {
        let decimals = (3.0 - magnitude.log10().floor()).max(0.0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    }
}

/// What an attack made of an image, in a word.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Clean => "clean",
        Role::Poison => "poison",
        Role::Cover => "cover",
    }
}

/// A duration: `0.4 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn seconds(duration: f64) -> String {
    let whole = duration.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{duration:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 34_799, 1_000_000].map(count), ["0", "999", "1,000", "34,799", "1,000,000"]);
        assert_eq!([counted(1, "class"), counted(2, "class"), counted(0, "image")], ["1 class", "2 classes", "0 images"]);
        assert_eq!([0.0, 0.012_345, 12.345, -123.4, 1.5e9, 2e-7].map(number), ["0", "0.01235", "12.35", "-123.4", "1.500e9", "2.000e-7"]);
        assert_eq!([0.04, 59.4, 59.6, 125.0, 3725.0].map(seconds), ["0.0 s", "59.4 s", "1 min 00 s", "2 min 05 s", "1 h 02 min"]);
        assert_eq!([1.0, 0.993_849].map(percent), ["100.00", "99.38"]);
    }
}
