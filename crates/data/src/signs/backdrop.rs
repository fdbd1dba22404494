//! What lies behind a sign: sky over ground, leaves, a wall with windows, out-of-focus clutter.

use rand::Rng;

use super::draw::{Color, Point};
use super::{between, chance};

/// Cells on a side of the table of random values that all patterns are made of.
const CELLS: usize = 16;

/// Smooth random values over the plane, repeated every [`CELLS`] cells.
pub(super) struct Noise([f32; CELLS * CELLS]);

impl Noise {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self(std::array::from_fn(|_| between(rng, 0.0, 1.0)))
    }

    /// 0 to 1, with features of the size of a cell.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let ease = |t: f32| t * t * (3.0 - 2.0 * t);
        let (right_share, low_share) = (ease(x - left), ease(y - top));
        let wrap = |k: f32| (k as i32).rem_euclid(CELLS as i32) as usize;
        let (x0, y0) = (wrap(left), wrap(top));
        let (x1, y1) = ((x0 + 1) % CELLS, (y0 + 1) % CELLS);
        let cell = |x: usize, y: usize| self.0[y * CELLS + x];
        let high = mix(cell(x0, y0), cell(x1, y0), right_share);
        let low = mix(cell(x0, y1), cell(x1, y1), right_share);
        mix(high, low, low_share)
    }

    /// 0 to 1, with features of a cell, a half and a quarter of one.
    fn rough(&self, x: f32, y: f32) -> f32 {
        (self.at(x, y) * 4.0 + self.at(2.0 * x + 5.2, 2.0 * y + 1.3) * 2.0 + self.at(4.0 * x + 2.8, 4.0 * y + 7.1)) / 7.0
    }
}

fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

pub(super) fn blend(a: Color, b: Color, share: f32) -> Color {
    std::array::from_fn(|i| mix(a[i], b[i], share))
}

/// A background of one image; the frame spans -1 to 1 both ways.
pub(super) struct Backdrop {
    noise: Noise,
    kind: Kind,
    clutter: Vec<Patch>,
}

enum Kind {
    /// Sky above the horizon, road or field below it.
    Open { horizon: f32, sky: [Color; 2], ground: Color },
    /// Leaves, with holes through which the sky is seen.
    Leaves { scale: f32, dark: Color, light: Color, holes: f32, sky: Color },
    /// Rows of windows in a wall that is seen at an angle.
    Wall { pitch: Point, slant: Point, window: f32, wall: Color, glass: Color },
    /// Colours that flow into each other.
    Blur { scale: f32, colors: [Color; 3] },
}

/// Something box-shaped behind the sign: a car, a post, a poster.
struct Patch {
    center: Point,
    half: Point,
    color: Color,
}

impl Backdrop {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let noise = Noise::draw(rng);
        let sky = |rng: &mut _| {
            let light = between(rng, 0.55, 1.0);
            blend([light; 3], [light * 0.55, light * 0.75, light], between(rng, 0.0, 1.0))
        };
        let kind = match (between(rng, 0.0, 4.0)) as u8 {
            0 => Kind::Open {
                horizon: between(rng, -0.5, 1.4),
                sky: [sky(rng), sky(rng)],
                ground: blend(grey(rng, 0.2, 0.5), [0.3, 0.38, 0.18], between(rng, 0.0, 1.0)),
            },
            1 => {
                let green = [between(rng, 0.1, 0.4), between(rng, 0.25, 0.45), between(rng, 0.03, 0.2)];
                let (dark, light) = (between(rng, 0.15, 0.5), between(rng, 0.9, 1.7));
                Kind::Leaves {
                    scale: between(rng, 2.0, 6.0),
                    dark: green.map(|value| value * dark),
                    light: green.map(|value| value * light),
                    holes: between(rng, 0.0, 0.45),
                    sky: sky(rng),
                }
            }
            2 => Kind::Wall {
                pitch: [between(rng, 0.35, 1.1), between(rng, 0.4, 1.2)],
                slant: [between(rng, -0.3, 0.3), between(rng, -0.3, 0.3)],
                window: between(rng, 0.3, 0.7),
                wall: blend(grey(rng, 0.3, 0.8), [0.6, 0.4, 0.25], between(rng, 0.0, 0.6)),
                glass: grey(rng, 0.05, 0.5),
            },
            _ => Kind::Blur { scale: between(rng, 0.6, 2.5), colors: [tint(rng), grey(rng, 0.1, 0.9), grey(rng, 0.1, 0.6)] },
        };
        let clutter = (0..between(rng, 0.0, 3.5) as usize)
            .map(|_| Patch {
                center: [between(rng, -1.2, 1.2), between(rng, -1.2, 1.2)],
                half: [between(rng, 0.05, 0.5), between(rng, 0.05, 0.6)],
                color: if chance(rng, 0.5) { tint(rng) } else { grey(rng, 0.05, 0.9) },
            })
            .collect();
        Self { noise, kind, clutter }
    }

    pub(super) fn at(&self, [x, y]: Point) -> Color {
        let behind = match &self.kind {
            Kind::Open { horizon, sky, ground } => {
                if y < *horizon {
                    blend(sky[0], sky[1], (y + 1.0) * 0.35 + self.noise.rough(2.0 * x, 2.0 * y) * 0.3)
                } else {
                    ground.map(|value| value * (0.7 + 0.6 * self.noise.rough(3.0 * x, 9.0 * y)))
                }
            }
            Kind::Leaves { scale, dark, light, holes, sky } => {
                if self.noise.at(x * scale + 9.0, y * scale + 4.0) < *holes && self.noise.at(3.0 * x * scale, 3.0 * y * scale) < 0.6 {
                    *sky
                } else {
                    blend(*dark, *light, ((self.noise.rough(x * scale, y * scale) - 0.5) * 2.2 + 0.5).clamp(0.0, 1.0))
                }
            }
            Kind::Wall { pitch, slant, window, wall, glass } => {
                let (across, down) = ((x + slant[0] * y) / pitch[0], (y + slant[1] * x) / pitch[1]);
                let pane = |t: f32| t - t.floor() < *window;
                let soil = 0.8 + 0.4 * self.noise.rough(2.0 * x, 2.0 * y);
                let shade = 0.5 + self.noise.at(across.floor() + 0.5, down.floor() + 0.5);
                if pane(across) && pane(down) { glass.map(|value| value * shade) } else { wall.map(|value| value * soil) }
            }
            Kind::Blur { scale, colors } => {
                let first = blend(colors[0], colors[1], self.noise.at(x * scale, y * scale));
                blend(first, colors[2], self.noise.at(y * scale + 7.5, x * scale + 3.5))
            }
        };
        let over = |color, patch: &Patch| {
            let inside = (x - patch.center[0]).abs() < patch.half[0] && (y - patch.center[1]).abs() < patch.half[1];
            if inside { patch.color } else { color }
        };
        self.clutter.iter().fold(behind, over)
    }
}

fn grey(rng: &mut impl Rng, low: f32, high: f32) -> Color {
    [between(rng, low, high); 3]
}

fn tint(rng: &mut impl Rng) -> Color {
    blend(grey(rng, 0.1, 0.8), std::array::from_fn(|_| between(rng, 0.05, 0.85)), 0.65)
}
