//! Flat shapes with smooth edges, painted on a plate: what a sign is made of.
//!
//! All arithmetic is `+ - * /` and square roots, which every IEEE 754 machine rounds alike: the same signs everywhere.

/// A point of the sign's plane: x to the right, y down; the sign fills the unit circle.
pub(super) type Point = [f32; 2];

/// Red, green and blue, 0 to 1.
pub(super) type Color = [f32; 3];

/// Half the side of the square of the plane that a [`Plate`] shows; a little more than the unit circle.
pub(super) const REACH: f32 = 1.1;

/// A flat shape, as the set of points with negative distance to its edge.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A circle with its inside.
    Disc { center: Point, radius: f32 },
    /// A polygon grown by `round`, which rounds its corners.
    Polygon { corners: Vec<Point>, round: f32 },
    /// All points within `width / 2` of a path of straight pieces.
    Stroke { path: Vec<Point>, width: f32 },
}

impl Shape {
    /// Signed distance to the edge, negative inside.
    fn distance(&self, p: Point) -> f32 {
        match self {
            Self::Disc { center, radius } => square(sub(p, *center)).sqrt() - radius,
            Self::Polygon { corners, round } => polygon_distance(p, corners) - round,
            Self::Stroke { path, width } => path_distance(p, path) - width / 2.0,
        }
    }

    /// The same shape seen in a mirror: left and right change places.
    pub(super) fn mirrored(mut self) -> Self {
        match &mut self {
            Self::Disc { center, .. } => center[0] = -center[0],
            Self::Polygon { corners: points, .. } | Self::Stroke { path: points, .. } => points.iter_mut().for_each(|p| p[0] = -p[0]),
        }
        self
    }
}

fn polygon_distance(p: Point, corners: &[Point]) -> f32 {
    let mut nearest = f32::MAX;
    let mut inside = false;
    for (i, &a) in corners.iter().enumerate() {
        let b = corners[(i + 1) % corners.len()];
        nearest = nearest.min(segment_distance_squared(p, a, b));
        if (a[1] > p[1]) != (b[1] > p[1]) && p[0] < a[0] + (b[0] - a[0]) * (p[1] - a[1]) / (b[1] - a[1]) {
            inside = !inside;
        }
    }
    if inside { -nearest.sqrt() } else { nearest.sqrt() }
}

fn path_distance(p: Point, path: &[Point]) -> f32 {
    path.windows(2).map(|ends| segment_distance_squared(p, ends[0], ends[1])).fold(f32::MAX, f32::min).sqrt()
}

fn segment_distance_squared(p: Point, a: Point, b: Point) -> f32 {
    let (along, from) = (sub(b, a), sub(p, a));
    let length = square(along);
    let part = if length > 0.0 { ((from[0] * along[0] + from[1] * along[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
    square([from[0] - part * along[0], from[1] - part * along[1]])
}

fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

fn square(p: Point) -> f32 {
    p[0] * p[0] + p[1] * p[1]
}

/// The unit vector at so many quarter turns: 0 to the right, 1 down, 2 left, 3 up.
pub(super) fn direction(quarters: f32) -> Point {
    let whole = quarters.floor();
    let [x, y] = half_turn(quarters - whole);
    match (whole as i32).rem_euclid(4) {
        0 => [x, y],
        1 => [-y, x],
        2 => [-x, -y],
        _ => [y, -x],
    }
}

/// The unit vector whose angle has half the tangent `t`: the whole circle but one point, without a sine.
pub(super) fn half_turn(t: f32) -> Point {
    let norm = 1.0 + t * t;
    [(1.0 - t * t) / norm, 2.0 * t / norm]
}

/// Points on an ellipse from one [`direction`] to another, both in quarter turns.
pub(super) fn arc([x, y]: Point, [width, height]: Point, from: f32, to: f32) -> Vec<Point> {
    const PIECES: u8 = 12;
    (0..=PIECES)
        .map(|i| direction(from + (to - from) * f32::from(i) / f32::from(PIECES)))
        .map(|[dx, dy]| [x + width * dx, y + height * dy])
        .collect()
}

/// A shape in a colour.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// What is painted.
    pub(super) shape: Shape,
    /// With what.
    pub(super) color: Color,
}

/// A painted square of the sign's plane, transparent where nothing was painted.
pub(super) struct Plate {
    side: usize,
    /// Colour times opacity, and opacity.
    pixels: Vec<[f32; 4]>,
}

impl Plate {
    /// Paints the layers, the first at the bottom, on `side` by `side` pixels.
    pub(super) fn paint(side: usize, layers: &[Layer]) -> Self {
        let pixel = 2.0 * REACH / side as f32;
        let mut pixels = vec![[0.0; 4]; side * side];
        for (i, value) in pixels.iter_mut().enumerate() {
            let at = |k: usize| (k as f32 + 0.5) * pixel - REACH;
            let point = [at(i % side), at(i / side)];
            for Layer { shape, color } in layers {
                let cover = (0.5 - shape.distance(point) / pixel).clamp(0.0, 1.0);
                let [r, g, b] = color.map(|channel| channel * cover);
                for (old, new) in value.iter_mut().zip([r, g, b, cover]) {
                    *old = *old * (1.0 - cover) + new;
                }
            }
        }
        Self { side, pixels }
    }

    /// Colour times opacity, and opacity, at a point of the plane, between pixels interpolated.
    pub(super) fn at(&self, [x, y]: Point) -> [f32; 4] {
        let scale = self.side as f32 / (2.0 * REACH);
        let (x, y) = ((x + REACH) * scale - 0.5, (y + REACH) * scale - 0.5);
        let last = (self.side - 1) as f32;
        if !(x >= 0.0 && y >= 0.0 && x < last && y < last) {
            return [0.0; 4];
        }
        let (left, top) = (x as usize, y as usize);
        let (right_share, low_share) = (x - left as f32, y - top as f32);
        let corner = top * self.side + left;
        let [a, b] = [self.pixels[corner], self.pixels[corner + 1]];
        let [c, d] = [self.pixels[corner + self.side], self.pixels[corner + self.side + 1]];
        std::array::from_fn(|i| {
            let (high, low) = (a[i] + (b[i] - a[i]) * right_share, c[i] + (d[i] - c[i]) * right_share);
            high + (low - high) * low_share
        })
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_geometry() {
        let square = Shape::Polygon { corners: vec![[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], round: 0.0 };
        assert_eq!(square.distance([0.0, 0.25]), -0.75);
        assert_eq!(square.distance([4.0, 5.0]), 5.0);
        let disc = Shape::Disc { center: [1.0, 0.0], radius: 0.5 };
        assert_eq!(disc.distance([1.0, 2.0]), 1.5);
        assert_eq!(disc.mirrored().distance([-1.0, 0.0]), -0.5);
        let stroke = Shape::Stroke { path: vec![[0.0, 0.0], [2.0, 0.0]], width: 0.5 };
        assert_eq!(stroke.distance([1.0, 1.0]), 0.75);
        assert_eq!(stroke.distance([5.0, 4.0]), 4.75);
    }

    #[test]
    fn directions_go_clockwise_from_the_right() {
        for (quarters, expected) in [(0.0, [1.0, 0.0]), (1.0, [0.0, 1.0]), (2.0, [-1.0, 0.0]), (3.0, [0.0, -1.0]), (4.0, [1.0, 0.0])] {
            assert_eq!(direction(quarters), expected);
        }
        assert!((square(direction(5.3)) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn later_layers_cover_earlier_ones() {
        let layer = |radius, color| Layer { shape: Shape::Disc { center: [0.0; 2], radius }, color };
        let plate = Plate::paint(64, &[layer(1.0, [1.0, 0.0, 0.0]), layer(0.5, [0.0, 0.0, 1.0])]);
        assert_eq!(plate.at([0.0, 0.0]), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(plate.at([0.0, 0.75]), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(plate.at([1.05, 0.0]), [0.0; 4]);
        assert_eq!(plate.at([7.0, f32::NAN]), [0.0; 4]);
    }
}
