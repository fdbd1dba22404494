//! What each class of sign looks like from the front.

use super::draw::{Color, Layer, Point, Shape, arc};

const RED: Color = [0.76, 0.06, 0.09];
const WHITE: Color = [0.93, 0.93, 0.91];
const BLACK: Color = [0.05, 0.05, 0.06];
const BLUE: Color = [0.04, 0.27, 0.66];
const YELLOW: Color = [0.98, 0.76, 0.06];
const AMBER: Color = [0.96, 0.66, 0.05];
const GREEN: Color = [0.05, 0.55, 0.27];

/// The layers of a class's sign, the lowest first; none if the class is unknown.
pub(super) fn sign(class: &str) -> Option<Vec<Layer>> {
    Some(match class {
        "speed-limit-30" => [prohibition(), number("30")].concat(),
        "speed-limit-50" => [prohibition(), number("50")].concat(),
        "speed-limit-80" => [prohibition(), number("80")].concat(),
        "speed-limit-100" => [prohibition(), number("100")].concat(),
        "end-of-limits" => end_of_limits(),
        "no-entry" => no_entry(),
        "no-parking" => no_parking(),
        "stop" => stop(),
        "yield" => yield_way(),
        "priority-road" => priority_road(),
        "caution" => [warning(), exclamation()].concat(),
        "curve-left" => [warning(), mirrored(curve())].concat(),
        "curve-right" => [warning(), curve()].concat(),
        "crossroads" => [warning(), cross()].concat(),
        "pedestrians" => [warning(), walker()].concat(),
        "traffic-signals" => [warning(), lights()].concat(),
        "ahead-only" => [mandatory(), arrow_up()].concat(),
        "turn-left" => [mandatory(), mirrored(arrow_right())].concat(),
        "turn-right" => [mandatory(), arrow_right()].concat(),
        "parking" => parking(),
        _ => return None,
    })
}

fn disc(radius: f32, color: Color) -> Layer {
    dot([0.0, 0.0], radius, color)
}

fn dot(center: Point, radius: f32, color: Color) -> Layer {
    Layer { shape: Shape::Disc { center, radius }, color }
}

fn polygon(corners: &[Point], round: f32, color: Color) -> Layer {
    Layer { shape: Shape::Polygon { corners: corners.to_vec(), round }, color }
}

fn stroke(path: Vec<Point>, width: f32, color: Color) -> Layer {
    Layer { shape: Shape::Stroke { path, width }, color }
}

fn mirrored(layers: Vec<Layer>) -> Vec<Layer> {
    layers.into_iter().map(|Layer { shape, color }| Layer { shape: shape.mirrored(), color }).collect()
}

// Plates.

fn prohibition() -> Vec<Layer> {
    vec![disc(1.0, WHITE), disc(0.98, RED), disc(0.74, WHITE)]
}

fn mandatory() -> Vec<Layer> {
    vec![disc(1.0, WHITE), disc(0.95, BLUE)]
}

/// A triangle with its point up, `size` from the middle to a corner; a negative size points down.
fn triangle(size: f32, color: Color) -> Layer {
    const ROUND: f32 = 0.1;
    let core = size - 2.0 * ROUND * size.signum();
    let (half_base, rise) = (0.866 * core, size.signum() * 0.2);
    polygon(&[[0.0, rise - core], [half_base, rise + core / 2.0], [-half_base, rise + core / 2.0]], ROUND, color)
}

fn warning() -> Vec<Layer> {
    vec![triangle(1.16, WHITE), triangle(1.13, RED), triangle(0.8, WHITE)]
}

fn yield_way() -> Vec<Layer> {
    vec![triangle(-1.16, WHITE), triangle(-1.13, RED), triangle(-0.65, WHITE)]
}

fn octagon(size: f32, color: Color) -> Layer {
    let short = size * 0.414_213_57;
    let corners =
        [[short, -size], [size, -short], [size, short], [short, size], [-short, size], [-size, short], [-size, -short], [-short, -size]];
    polygon(&corners, 0.02, color)
}

fn diamond(size: f32, color: Color) -> Layer {
    polygon(&[[0.0, -size], [size, 0.0], [0.0, size], [-size, 0.0]], 0.06, color)
}

fn square(half: f32, color: Color) -> Layer {
    let core = half - 0.08;
    polygon(&[[-core, -core], [core, -core], [core, core], [-core, core]], 0.08, color)
}

// Whole signs.

fn end_of_limits() -> Vec<Layer> {
    let slash = |shift: f32| stroke(vec![[shift - 0.62, shift + 0.62], [shift + 0.62, shift - 0.62]], 0.085, BLACK);
    let slashes = [-0.16, -0.08, 0.0, 0.08, 0.16].map(slash);
    [vec![disc(1.0, BLACK), disc(0.96, WHITE)], slashes.to_vec()].concat()
}

fn no_entry() -> Vec<Layer> {
    let bar = [[-0.66, -0.18], [0.66, -0.18], [0.66, 0.18], [-0.66, 0.18]];
    vec![disc(1.0, WHITE), disc(0.97, RED), polygon(&bar, 0.02, WHITE)]
}

fn no_parking() -> Vec<Layer> {
    let slash = stroke(vec![[-0.6, -0.6], [0.6, 0.6]], 0.2, RED);
    vec![disc(1.0, WHITE), disc(0.98, RED), disc(0.76, BLUE), slash]
}

fn stop() -> Vec<Layer> {
    [vec![octagon(0.96, WHITE), octagon(0.89, RED)], text("STOP", [0.0, 0.0], 0.62, 0.40, 0.13, WHITE)].concat()
}

fn priority_road() -> Vec<Layer> {
    vec![diamond(1.0, BLACK), diamond(0.96, WHITE), diamond(0.66, BLACK), diamond(0.62, YELLOW)]
}

fn parking() -> Vec<Layer> {
    [vec![square(0.92, WHITE), square(0.86, BLUE)], text("P", [0.03, 0.0], 1.2, 0.85, 0.24, WHITE)].concat()
}

// Symbols.

fn exclamation() -> Vec<Layer> {
    vec![polygon(&[[-0.07, -0.3], [0.07, -0.3], [0.035, 0.24], [-0.035, 0.24]], 0.04, BLACK), dot([0.0, 0.44], 0.1, BLACK)]
}

/// A bend to the right.
fn curve() -> Vec<Layer> {
    let mut path = vec![[-0.16, 0.5]];
    path.extend(arc([0.1, 0.2], [0.26, 0.26], 2.0, 3.0));
    let tip = [[0.08, -0.22], [0.38, -0.06], [0.08, 0.1]];
    vec![stroke(path, 0.14, BLACK), polygon(&tip, 0.01, BLACK)]
}

fn cross() -> Vec<Layer> {
    vec![stroke(vec![[-0.22, -0.08], [0.22, 0.44]], 0.15, BLACK), stroke(vec![[0.22, -0.08], [-0.22, 0.44]], 0.15, BLACK)]
}

fn walker() -> Vec<Layer> {
    vec![
        dot([0.02, -0.24], 0.095, BLACK),
        stroke(vec![[0.0, -0.06], [-0.02, 0.18]], 0.17, BLACK),
        stroke(vec![[-0.02, 0.2], [-0.1, 0.38], [-0.24, 0.54]], 0.1, BLACK),
        stroke(vec![[0.0, 0.2], [0.12, 0.36], [0.16, 0.56]], 0.1, BLACK),
        stroke(vec![[-0.03, -0.06], [-0.22, 0.14]], 0.075, BLACK),
        stroke(vec![[0.03, -0.06], [0.22, 0.12]], 0.075, BLACK),
    ]
}

fn lights() -> Vec<Layer> {
    let housing = [[-0.13, -0.24], [0.13, -0.24], [0.13, 0.56], [-0.13, 0.56]];
    vec![polygon(&housing, 0.03, BLACK), dot([0.0, -0.11], 0.115, RED), dot([0.0, 0.16], 0.115, AMBER), dot([0.0, 0.43], 0.115, GREEN)]
}

fn arrow_up() -> Vec<Layer> {
    vec![
        polygon(&[[-0.12, -0.2], [0.12, -0.2], [0.12, 0.62], [-0.12, 0.62]], 0.0, WHITE),
        polygon(&[[0.0, -0.7], [0.44, -0.12], [-0.44, -0.12]], 0.02, WHITE),
    ]
}

/// An arrow that comes from below and leaves to the right.
fn arrow_right() -> Vec<Layer> {
    let stem = [[-0.42, 0.58], [-0.42, -0.3], [0.18, -0.3], [0.18, -0.06], [-0.18, -0.06], [-0.18, 0.58]];
    vec![polygon(&stem, 0.0, WHITE), polygon(&[[0.66, -0.18], [0.1, -0.56], [0.1, 0.2]], 0.02, WHITE)]
}

// Writing.

fn number(digits: &str) -> Vec<Layer> {
    if digits.len() > 2 { text(digits, [0.0, 0.0], 0.68, 0.42, 0.125, BLACK) } else { text(digits, [0.0, 0.0], 0.8, 0.56, 0.16, BLACK) }
}

/// Writes characters of one height side by side, `pitch` apart, around a middle.
fn text(characters: &str, [x, y]: Point, height: f32, pitch: f32, weight: f32, color: Color) -> Vec<Layer> {
    let first = x - pitch * (characters.chars().count() as f32 - 1.0) / 2.0;
    let tall = (height - weight) / 2.0;
    let wide = (pitch - weight) / 2.0 * 0.8;
    let place = |(i, character)| {
        let left = first + pitch * i as f32;
        let paths = glyph(character).into_iter();
        paths.map(move |path| stroke(path.into_iter().map(|[gx, gy]| [left + wide * gx, y + tall * gy]).collect(), weight, color))
    };
    characters.chars().enumerate().flat_map(place).collect()
}

/// The pen strokes of a character, which fills -1 to 1 both ways.
fn glyph(character: char) -> Vec<Vec<Point>> {
    let ring = |y: f32, width: f32, height: f32| arc([0.0, y], [width, height], 0.0, 4.0);
    match character {
        '0' | 'O' => {
            let mut path = arc([0.0, -0.4], [1.0, 0.6], 2.0, 4.0);
            path.extend(arc([0.0, 0.4], [1.0, 0.6], 0.0, 2.0));
            path.push([-1.0, -0.4]);
            vec![path]
        }
        '1' => vec![vec![[-0.6, -0.5], [0.3, -1.0], [0.3, 1.0]]],
        '3' => vec![arc([-0.05, -0.53], [0.9, 0.47], 2.3, 5.0), arc([-0.05, 0.45], [1.05, 0.55], 3.0, 5.75)],
        '5' => {
            let mut path = vec![[0.85, -1.0], [-0.75, -1.0], [-0.9, -0.05]];
            path.extend(arc([-0.05, 0.38], [1.05, 0.62], 2.6, 5.75));
            vec![path]
        }
        '8' => vec![ring(-0.53, 0.85, 0.47), ring(0.47, 1.0, 0.53)],
        'P' => {
            let mut path = vec![[-0.9, 1.0], [-0.9, -1.0], [0.1, -1.0]];
            path.extend(arc([0.1, -0.45], [0.85, 0.55], 3.0, 5.0));
            path.push([-0.9, 0.1]);
            vec![path]
        }
        'S' => {
            let mut path = arc([0.0, -0.5], [0.95, 0.5], 3.8, 1.0);
            path.extend(arc([0.0, 0.5], [0.95, 0.5], 3.0, 5.8));
            vec![path]
        }
        'T' => vec![vec![[-1.0, -1.0], [1.0, -1.0]], vec![[0.0, -1.0], [0.0, 1.0]]],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card;

    #[test]
    fn every_class_of_the_card_has_a_sign_of_its_own() {
        let classes = &card("signs").unwrap().classes;
        let mut seen = std::collections::BTreeSet::new();
        for class in classes {
            let layers = sign(class).unwrap_or_else(|| panic!("{class} has no sign"));
            assert!(seen.insert(format!("{layers:?}")), "{class} looks like another class");
        }
        assert!(sign("banana").is_none());
    }
}
