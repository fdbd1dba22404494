//! A photograph of a sign: where it stands, how the light falls, what the camera adds.

use rand::Rng;

use super::backdrop::{Backdrop, Noise, blend};
use super::draw::{Color, Plate, Point, half_turn};
use super::{between, chance};

/// Rendered pixels on a side of each pixel of the image.
pub(super) const FINENESS: usize = 3;

/// Everything about one photograph that chance decides, but for the grain.
pub(super) struct Scene {
    /// From the frame, -1 to 1 both ways, to the sign's plane, in homogeneous coordinates.
    to_sign: [[f32; 3]; 3],
    backdrop: Backdrop,
    pole: Option<Color>,
    wear: Wear,
    light: Light,
    /// Widths of the blur across and down, in pixels of the image.
    blur: [f32; 2],
    grain: f32,
}

/// What weather did to the sign.
struct Wear {
    fading: f32,
    dirt: f32,
    noise: Noise,
}

/// What falls on the sign and on all else.
struct Light {
    sign: f32,
    backdrop: f32,
    contrast: f32,
    cast: Color,
    haze: f32,
    shadow: Option<Shadow>,
}

/// The shadow of something with a straight edge.
struct Shadow {
    across: Point,
    offset: f32,
    softness: f32,
    depth: f32,
}

impl Scene {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let cast = between(rng, -0.14, 0.14);
        Self {
            to_sign: invert(place(rng)),
            backdrop: Backdrop::draw(rng),
            pole: chance(rng, 0.7).then(|| [between(rng, 0.3, 0.7); 3]),
            wear: Wear { fading: between(rng, 0.0, 0.35), dirt: between(rng, 0.0, 0.4), noise: Noise::draw(rng) },
            light: Light {
                sign: between(rng, 0.4, 1.25),
                backdrop: between(rng, 0.3, 1.2),
                contrast: between(rng, 0.7, 1.3),
                cast: [1.0 + cast, 1.0 + between(rng, -0.05, 0.05), 1.0 - cast],
                haze: between(rng, 0.0, 0.22),
                shadow: chance(rng, 0.35).then(|| Shadow {
                    across: half_turn(between(rng, -1.5, 1.5)),
                    offset: between(rng, -0.6, 0.6),
                    softness: between(rng, 0.02, 0.4),
                    depth: between(rng, 0.2, 0.5),
                }),
            },
            blur: if chance(rng, 0.75) { [between(rng, 0.0, 1.4), between(rng, 0.0, 1.4)] } else { [0.0; 2] },
            grain: between(rng, 0.0, 0.035),
        }
    }

    /// The photograph of `plate`, `size` by `size` pixels, RGB interleaved.
    pub(super) fn photograph(&self, plate: &Plate, size: usize, rng: &mut impl Rng) -> Vec<u8> {
        let side = size * FINENESS;
        let at = |k: usize| (2.0 * k as f32 + 1.0) / side as f32 - 1.0;
        let mut fine: Vec<Color> = (0..side * side).map(|i| self.light_at(plate, [at(i % side), at(i / side)])).collect();
        for (steps, width) in [([1, side], self.blur[0]), ([side, 1], self.blur[1])] {
            let reach = (width * FINENESS as f32 / 2.0) as usize;
            // Two boxes make a triangle, which is near enough to a lens.
            for _ in 0..2 * usize::from(reach > 0) {
                box_blur(&mut fine, side, steps, reach);
            }
        }
        (0..size * size).flat_map(|i| self.develop(&fine, side, [i % size, i / size], rng)).collect()
    }

    /// The light that reaches the camera from a point of the frame.
    fn light_at(&self, plate: &Plate, frame: Point) -> Color {
        let light = &self.light;
        let behind = self.backdrop.at(frame).map(|value| value * light.backdrop);
        let Some(point) = self.on_sign(frame) else { return behind };
        let Wear { fading, dirt, noise } = &self.wear;
        let shade = light.shadow.as_ref().map_or(1.0, |shadow| shadow.at(frame)) * light.sign;
        let post = self.pole.filter(|_| point[0].abs() < 0.09 && point[1] > -0.8);
        let behind = post.map_or(behind, |color| color.map(|value| value * shade));
        let [r, g, b, cover] = plate.at(point);
        let grey = (r + g + b) / 3.0;
        let soil = 1.0 - dirt * noise.at(2.5 * point[0] + 4.0, 2.5 * point[1] + 4.0);
        let sign = blend([r, g, b], [grey; 3], *fading).map(|value| value * soil * shade);
        std::array::from_fn(|i| sign[i] + behind[i] * (1.0 - cover))
    }

    fn on_sign(&self, [x, y]: Point) -> Option<Point> {
        let [u, v, w] = self.to_sign.map(|row| row[0] * x + row[1] * y + row[2]);
        (w > 0.0).then(|| [u / w, v / w])
    }

    /// One pixel of the image: what its fine pixels saw, through the camera.
    fn develop(&self, fine: &[Color], side: usize, [x, y]: [usize; 2], rng: &mut impl Rng) -> [u8; 3] {
        let Light { contrast, cast, haze, .. } = &self.light;
        let mut sum = [0.0; 3];
        for row in 0..FINENESS {
            let start = (y * FINENESS + row) * side + x * FINENESS;
            for color in &fine[start..start + FINENESS] {
                sum = std::array::from_fn(|i| sum[i] + color[i]);
            }
        }
        std::array::from_fn(|i| {
            let seen = sum[i] / (FINENESS * FINENESS) as f32 * cast[i];
            let hazy = seen + (0.7 - seen) * haze;
            let value = 0.5 + (hazy - 0.5) * contrast + self.grain * bell(rng);
            (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
        })
    }
}

impl Shadow {
    fn at(&self, [x, y]: Point) -> f32 {
        let depth = ((x * self.across[0] + y * self.across[1] - self.offset) / self.softness).clamp(0.0, 1.0);
        1.0 - self.depth * depth
    }
}

/// From the sign's plane to the frame: turned, tilted, moved, seen in perspective.
fn place(rng: &mut impl Rng) -> [[f32; 3]; 3] {
    const DISTANCE: f32 = 3.0;
    let (scale, x, y) = (between(rng, 0.6, 0.92), between(rng, -0.14, 0.14), between(rng, -0.14, 0.14));
    let [yaw, pitch, roll] = [0.32, 0.18, 0.1].map(|most| half_turn(between(rng, -most, most)));
    // Where the plane's two axes go when it is rolled, then pitched about the horizontal, then yawed about the vertical.
    let axis = |[u, v]: Point| {
        let (height, depth) = (v * pitch[0], v * pitch[1]);
        [u * yaw[0] + depth * yaw[1], height, depth * yaw[0] - u * yaw[1]].map(|value| value * scale)
    };
    let (right, down) = (axis(roll), axis([-roll[1], roll[0]]));
    [[right[0], down[0], x], [right[1], down[1], y], [right[2] / DISTANCE, down[2] / DISTANCE, 1.0]]
}

/// The inverse up to a positive factor, which homogeneous coordinates do not see.
fn invert(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let minor = |row: usize, column: usize| {
        let (r, c) = ([(row + 1) % 3, (row + 2) % 3], [(column + 1) % 3, (column + 2) % 3]);
        m[r[0]][c[0]] * m[r[1]][c[1]] - m[r[0]][c[1]] * m[r[1]][c[0]]
    };
    std::array::from_fn(|row| std::array::from_fn(|column| minor(column, row)))
}

/// Averages over `2 * reach + 1` pixels along lines: a step along a line and from line to line are given.
fn box_blur(image: &mut [Color], side: usize, [along, next]: [usize; 2], reach: usize) {
    let mut line = vec![[0.0; 3]; side];
    let width = (2 * reach + 1) as f32;
    for start in (0..side).map(|k| k * next) {
        for (k, value) in line.iter_mut().enumerate() {
            *value = image[start + k * along];
        }
        let clamped = |k: usize| line[k.saturating_sub(reach).min(side - 1)];
        for k in 0..side {
            let mut sum = [0.0; 3];
            for color in (k..=k + 2 * reach).map(clamped) {
                sum = std::array::from_fn(|i| sum[i] + color[i]);
            }
            image[start + k * along] = sum.map(|value| value / width);
        }
    }
}

/// A draw of mean 0 and deviation 1 from a bell-shaped curve: four bytes, added up.
fn bell(rng: &mut impl Rng) -> f32 {
    const DEVIATION: f32 = 147.8;
    let sum: i32 = rng.next_u32().to_le_bytes().into_iter().map(i32::from).sum();
    (sum - 510) as f32 / DEVIATION
}

#[cfg(test)]
mod tests {
    use bezoar_core::Context;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_inverse_leads_back(seed: u64) {
            let forward = place(&mut Context::quiet(seed).rng("place"));
            let scene = Scene { to_sign: invert(forward), ..Scene::draw(&mut Context::quiet(seed).rng("scene")) };
            for point in [[0.0, 0.0], [0.7, -0.4], [-0.9, 0.9]] {
                let [x, y, w] = forward.map(|row| row[0] * point[0] + row[1] * point[1] + row[2]);
                let back = scene.on_sign([x / w, y / w]).unwrap();
                prop_assert!((back[0] - point[0]).abs() < 1e-4 && (back[1] - point[1]).abs() < 1e-4, "{point:?} came back as {back:?}");
            }
        }
    }

    #[test]
    fn blur_spreads_a_point_and_keeps_its_sum() {
        let mut image = vec![[0.0; 3]; 81];
        image[4 * 9 + 4] = [9.0; 3];
        box_blur(&mut image, 9, [1, 9], 1);
        assert_eq!((image[4 * 9 + 3], image[4 * 9 + 5], image[4 * 9 + 6]), ([3.0; 3], [3.0; 3], [0.0; 3]));
        box_blur(&mut image, 9, [9, 1], 1);
        assert_eq!((image[3 * 9 + 3], image[5 * 9 + 5]), ([1.0; 3], [1.0; 3]));
    }

    #[test]
    fn grain_has_mean_zero_and_deviation_one() {
        let mut rng = Context::quiet(0).rng("grain");
        let draws: Vec<f32> = (0..20_000).map(|_| bell(&mut rng)).collect();
        let mean = draws.iter().sum::<f32>() / 20_000.0;
        let variance = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }
}
