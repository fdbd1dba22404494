use bezoar_core::{Batch, Context, Result};
use bezoar_nn::{Array, AtPlace, Loss, Mode, Network, Tape, cross_entropy};
use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Projected gradient ascent: raises a net's loss on images, within a ball around each (arXiv 1706.06083).
///
/// Of all steps the one of the highest loss is kept; the start, where whole pixel values are no better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ascent {
    /// How far an image is from its start.
    pub norm: Norm,
    /// How far it may be, of 255 a value. Whole numbers are met exactly; there are no other pixels.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub radius: f64,
    /// What a step follows.
    pub direction: Direction,
    /// How far a step goes: by each value for `sign`, in Euclidean length for `gradient`; of 255.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub step: f64,
    /// Number of steps.
    #[schemars(range(min = 1, max = 10_000))]
    pub steps: usize,
}

/// How far two images are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// The largest difference of two values.
    LInf,
    /// The root of the sum of all squared differences.
    L2,
}

/// What a step follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The gradient's signs.
    Sign,
    /// The gradient.
    Gradient,
}

impl Norm {
    fn of(self, shifts: &[f32]) -> f64 {
        let shifts = shifts.iter().map(|shift| f64::from(*shift));
        match self {
            Self::LInf => shifts.fold(0.0, |largest, shift| largest.max(shift.abs())),
            Self::L2 => shifts.map(|shift| shift * shift).sum::<f64>().sqrt(),
        }
    }
}

/// What errors of tensors are about.
const PLACE: &str = "adversarial examples";

/// An image on its way: how far each value is from its start, now and where the loss was highest.
struct Climber {
    shifts: Vec<f32>,
    best: Vec<f32>,
    highest: f64,
    /// The loss at the start.
    first: f64,
}

impl Climber {
    fn new(size: usize, first: f64) -> Self {
        Self { shifts: vec![0.0; size], best: vec![0.0; size], highest: first, first }
    }

    fn look(&mut self, loss: f64) {
        if loss > self.highest {
            self.highest = loss;
            self.best.copy_from_slice(&self.shifts);
        }
    }
}

/// Some images where they start, and the net that looks at them.
struct Field<'a> {
    net: &'a Network,
    images: &'a Array,
    start: Vec<f32>,
    labels: &'a [u32],
}

impl Field<'_> {
    /// The loss of each image moved so far, and the pass that gave it.
    fn losses<'s>(&self, shifts: impl Iterator<Item = &'s f32>) -> Result<(Tape, Vec<Loss>)> {
        let moved = self.start.iter().zip(shifts).map(|(start, shift)| start + shift / 255.0).collect::<Vec<f32>>();
        let moved = Tensor::from_vec(moved, self.images.dims(), &Device::Cpu);
        let moved = moved.and_then(|moved| moved.to_dtype(self.net.dtype())?.to_device(self.net.device()));
        let tape = self.net.record(&moved.and_then(|moved| self.images.like(&moved)).at(PLACE)?, Mode::Use)?;
        let scores = tape.scores()?;
        let loss = |(row, label): (usize, &u32)| cross_entropy(&scores.narrow(0, row, 1).at(PLACE)?, &[*label]);
        let losses = self.labels.iter().enumerate().map(loss).collect::<Result<_>>()?;
        Ok((tape, losses))
    }
}

/// Values as numbers here.
fn values(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

impl Ascent {
    /// The images of a batch, with a higher loss for their labels.
    ///
    /// # Errors
    /// When the net does not take them, or the user stops.
    pub fn climb(&self, cx: &Context, net: &Network, batch: &Batch) -> Result<Batch> {
        let images = net.images(batch)?;
        let blocks = net.in_blocks(&images, |images, rows| self.block(cx, net, images, &batch.labels[rows]))?;
        let shifts: Vec<Vec<f32>> = blocks.into_iter().flatten().collect();
        let [size, channels] = [batch.shape.len(), batch.shape.channels];
        let mut pixels = batch.pixels.clone();
        for (image, shifts) in pixels.chunks_exact_mut(size).zip(&shifts) {
            for (at, value) in image.iter_mut().enumerate() {
                // Shifts are plane by plane, as nets have images.
                *value = (f32::from(*value) + shifts[at % channels * (size / channels) + at / channels]) as u8;
            }
        }
        Ok(Batch { pixels, ..batch.clone() })
    }

    /// How far each value of some images is moved, by whole numbers.
    fn block(&self, cx: &Context, net: &Network, images: &Array, labels: &[u32]) -> Result<Vec<Vec<f32>>> {
        let start = images.to_tensor().and_then(|images| values(&images)).at(PLACE)?;
        let size = start.len() / labels.len();
        let field = Field { net, images, start, labels };
        let (mut tape, mut losses) = field.losses(vec![0.0; size * labels.len()].iter())?;
        let mut climbers: Vec<Climber> = losses.iter().map(|loss| Climber::new(size, loss.mean)).collect();
        for _ in 0..self.steps {
            cx.check()?;
            let slopes: Vec<Tensor> = losses.into_iter().map(|loss| loss.gradient).collect();
            let gradient = net.image_gradient(tape, &Tensor::cat(&slopes, 0).at(PLACE)?)?;
            let gradient = values(&gradient).at(PLACE)?;
            for ((climber, gradient), start) in climbers.iter_mut().zip(gradient.chunks_exact(size)).zip(field.start.chunks_exact(size)) {
                self.step(&mut climber.shifts, gradient, start);
            }
            (tape, losses) = field.losses(climbers.iter().flat_map(|climber| &climber.shifts))?;
            climbers.iter_mut().zip(&losses).for_each(|(climber, loss)| climber.look(loss.mean));
        }
        let mut whole: Vec<Vec<f32>> = climbers.iter().map(|climber| self.whole(&climber.best)).collect();
        let (_, losses) = field.losses(whole.iter().flatten())?;
        for ((shifts, climber), loss) in whole.iter_mut().zip(&climbers).zip(&losses) {
            if loss.mean < climber.first {
                shifts.fill(0.0);
            }
        }
        Ok(whole)
    }

    /// One step uphill, back into the ball and among the values that pixels can have.
    fn step(&self, shifts: &mut [f32], gradient: &[f32], start: &[f32]) {
        let length = match self.direction {
            Direction::Sign => 1.0,
            Direction::Gradient => Norm::L2.of(gradient).max(f64::MIN_POSITIVE),
        };
        for (shift, slope) in shifts.iter_mut().zip(gradient) {
            let way = match self.direction {
                Direction::Sign if *slope == 0.0 => 0.0,
                Direction::Sign => f64::from(slope.signum()),
                Direction::Gradient => f64::from(*slope) / length,
            };
            *shift += (self.step * way) as f32;
        }
        let scale = match self.norm {
            Norm::LInf => 1.0,
            Norm::L2 => (self.radius / Norm::L2.of(shifts).max(f64::MIN_POSITIVE)).min(1.0),
        };
        for (shift, start) in shifts.iter_mut().zip(start) {
            let start = start * 255.0;
            let inside = match self.norm {
                Norm::LInf => shift.clamp(-self.radius as f32, self.radius as f32),
                Norm::L2 => *shift * scale as f32,
            };
            // Nearer to the start than before, so that the ball is not left.
            *shift = (start + inside).clamp(0.0, 255.0) - start;
        }
    }

    /// Whole numbers near these, in the ball.
    fn whole(&self, shifts: &[f32]) -> Vec<f32> {
        let nearest: Vec<f32> = shifts.iter().map(|shift| shift.round()).collect();
        if self.norm.of(&nearest) <= self.radius { nearest } else { shifts.iter().map(|shift| shift.trunc()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::{Context, ImageShape};
    use bezoar_nn::{GraphBuilder, Op, Window};
    use proptest::prelude::*;
    use rand::Rng;

    use super::*;

    /// A fresh net of a few layers.
    fn net(seed: u64) -> Network {
        let mut builder = GraphBuilder::new([3, 8, 9]).unwrap();
        let hidden = builder.add("hidden", Op::conv(6, Window::new(3).padding(1)), &[builder.input()]).unwrap();
        let rectified = builder.add("relu", Op::RELU, &[hidden]).unwrap();
        let flat = builder.add("flat", Op::Flatten, &[rectified]).unwrap();
        builder.add("scores", Op::linear(4), &[flat]).unwrap();
        Network::init(builder.build().unwrap(), &mut Context::quiet(seed).rng("net"), &Device::Cpu).unwrap()
    }

    /// Images of noise.
    fn batch(seed: u64) -> Batch {
        let shape = ImageShape::rgb(8, 9);
        let mut pixels = vec![0; 5 * shape.len()];
        Context::quiet(seed).rng("images").fill_bytes(&mut pixels);
        Batch { shape, labels: vec![0, 1, 2, 3, 0], pixels }
    }

    fn rows(batch: &Batch) -> impl Iterator<Item = (&[u8], u32)> {
        batch.pixels.chunks_exact(batch.shape.len()).zip(batch.labels.iter().copied())
    }

    fn loss(net: &Network, pixels: &[u8], label: u32, shape: ImageShape) -> f64 {
        let one = Batch { shape, labels: vec![label], pixels: pixels.to_vec() };
        cross_entropy(&net.forward(&net.images(&one).unwrap()).unwrap(), &[label]).unwrap().mean
    }

    fn ascents() -> impl Strategy<Value = Ascent> {
        let norms = prop_oneof![Just(Norm::LInf), Just(Norm::L2)];
        let directions = prop_oneof![Just(Direction::Sign), Just(Direction::Gradient)];
        let radius = prop_oneof![0.1..60.0f64, (1..40u8).prop_map(f64::from)];
        (norms, radius, directions, 0.2..40.0f64, 1..6usize).prop_map(|(norm, radius, direction, step, steps)| Ascent {
            norm,
            radius,
            direction,
            step,
            steps,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn images_stay_in_their_ball_and_lose_nothing(ascent in ascents(), seed in 0..50u64) {
            let (net, before) = (net(seed), batch(seed));
            let after = ascent.climb(&Context::quiet(0), &net, &before).unwrap();
            prop_assert_eq!(&after.labels, &before.labels);
            for ((start, label), (end, _)) in rows(&before).zip(rows(&after)) {
                let shifts: Vec<f32> = start.iter().zip(end).map(|(a, b)| f32::from(*b) - f32::from(*a)).collect();
                prop_assert!(ascent.norm.of(&shifts) <= ascent.radius);
                let [first, last] = [start, end].map(|pixels| loss(&net, pixels, label, before.shape));
                prop_assert!(last >= first - 1e-6 * first.abs().max(1.0), "{last} after {first}");
            }
        }

        #[test]
        fn an_image_does_not_depend_on_the_others(ascent in ascents(), seed in 0..50u64) {
            let (net, together) = (net(seed), batch(seed));
            let after = ascent.climb(&Context::quiet(0), &net, &together).unwrap();
            for ((pixels, label), (expected, _)) in rows(&together).zip(rows(&after)) {
                let one = Batch { shape: together.shape, labels: vec![label], pixels: pixels.to_vec() };
                prop_assert_eq!(ascent.climb(&Context::quiet(0), &net, &one).unwrap().pixels, expected);
            }
        }
    }

    #[test]
    fn the_loss_rises_in_both_norms() {
        for (norm, direction, radius, step) in [(Norm::LInf, Direction::Sign, 8.0, 2.0), (Norm::L2, Direction::Gradient, 80.0, 30.0)] {
            let ascent = Ascent { norm, radius, direction, step, steps: 8 };
            let (net, before) = (net(1), batch(1));
            let after = ascent.climb(&Context::quiet(0), &net, &before).unwrap();
            for ((start, label), (end, _)) in rows(&before).zip(rows(&after)) {
                let [first, last] = [start, end].map(|pixels| loss(&net, pixels, label, before.shape));
                assert!(last > first + 0.02, "{norm:?}: {last} after {first}");
            }
        }
    }
}
