//! 2-d convolution and its two gradients.
//!
//! - [`sheets`]: any convolution and its transpose, as sums over taps.
//! - [`winograd`]: those of stride 1, with fewer multiplications.
//! - [`weight_gradient`]: the gradient to the weights.

pub(crate) mod sheets;
mod weight_gradient;
mod winograd;

use std::array::from_fn;
use std::ops::Range;

use self::sheets::Sheets;
pub(crate) use self::weight_gradient::backward_weight;
use self::winograd::Winograd;
use super::Element;
use super::elementwise::stabilized_ratios;
use crate::array::Memory;
use crate::window::Window;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) images: usize,
    /// Channels, height and width of an input image.
    pub(crate) input: [usize; 3],
    /// Channels, height and width of an output image.
    pub(crate) output: [usize; 3],
    pub(crate) groups: usize,
    pub(crate) window: Window,
}

impl Shape {
    fn input_image(&self) -> usize {
        self.input.iter().product()
    }

    fn output_image(&self) -> usize {
        self.output.iter().product()
    }

    /// Input channels of a group.
    fn group_inputs(&self) -> usize {
        self.input[0] / self.groups
    }

    /// Output channels of a group.
    fn group_outputs(&self) -> usize {
        self.output[0] / self.groups
    }

    fn cells(&self) -> usize {
        self.window.cells()
    }

    fn weights(&self) -> usize {
        self.output[0] * self.group_inputs() * self.cells()
    }
}

/// Rows and columns of a kernel.
pub(crate) type Cells = [Range<usize>; 2];

impl Shape {
    /// The part of the kernel that sees the image from some position, and the same convolution with that alone: of a 3x3 kernel over
    /// images of one pixel, nothing but the centre does. A kernel that sees all of the image at once is one of one cell, over images whose
    /// pixels are channels.
    pub(crate) fn cropped(self) -> (Cells, Self) {
        let Window { kernel, stride, dilation, before, after } = self.window;
        let cells: Cells = from_fn(|side| {
            let last = (self.output[1 + side] - 1) * stride[side];
            let sees = |cell: &usize| {
                let step = cell * dilation[side];
                step < before[side] + self.input[1 + side] && last + step >= before[side]
            };
            let mut seeing = (0..kernel[side]).filter(sees);
            match (seeing.next(), seeing.next_back()) {
                (Some(first), last) if first * dilation[side] <= before[side] => first..last.unwrap_or(first) + 1,
                _ => 0..kernel[side],
            }
        });
        let window = Window {
            kernel: from_fn(|side| cells[side].len()),
            before: from_fn(|side| before[side] - cells[side].start * dilation[side]),
            after: from_fn(|side| after[side].saturating_sub((kernel[side] - cells[side].end) * dilation[side])),
            stride: from_fn(|side| if self.output[1 + side] == 1 && cells[side].len() == 1 { 1 } else { stride[side] }),
            dilation,
        };
        let sees_all = self.groups == 1 && window.before == [0; 2] && window.kernel == self.input[1..] && window.extent() == window.kernel;
        let seen = if sees_all && self.output[1..] == [1, 1] {
            Self { input: [self.input_image(), 1, 1], window: Window::new(1), ..self }
        } else {
            Self { window, ..self }
        };
        (cells, seen)
    }
}

/// How a convolution or its transpose is worked out.
#[derive(Clone, Debug)]
pub(crate) enum Method {
    Sheets(Sheets),
    Winograd(Winograd),
}

impl Method {
    /// The convolution: `y[n, o] = b[o] + Σ w[o, c, i, j] x[n, c, ..]`.
    pub(crate) fn forward(shape: &Shape) -> Self {
        if Winograd::suits(shape) { Self::Winograd(Winograd::forward(shape)) } else { Self::Sheets(Sheets::forward(shape)) }
    }

    /// The transposed convolution: from a loss's gradient to the output, that to the input.
    pub(crate) fn transposed(shape: &Shape) -> Self {
        if Winograd::suits(shape) { Self::Winograd(Winograd::transposed(shape)) } else { Self::Sheets(Sheets::transposed(shape)) }
    }

    /// How many values the weights become.
    pub(crate) fn packed_len(&self) -> usize {
        match self {
            Self::Sheets(sheets) => sheets.packed_len(),
            Self::Winograd(winograd) => winograd.packed_len(),
        }
    }

    /// Brings the weights `[O, C / groups, rows, columns]` into the form in which [`run`](Self::run) takes them.
    pub(crate) fn pack<T: Element>(&self, weights: &[T], packed: &mut [T]) {
        match self {
            Self::Sheets(sheets) => sheets.pack(weights, packed),
            Self::Winograd(winograd) => winograd.pack(weights, packed),
        }
    }

    /// All images' sums, from packed weights.
    pub(crate) fn run<T: Element>(&self, source: Source<'_, T>, packed: &[T], finish: Finish<'_, T>, target: &mut [T], memory: &Memory) {
        match self {
            Self::Sheets(sheets) => sheets.run(source, packed, finish, target, memory),
            Self::Winograd(winograd) => winograd.run(source, packed, finish, target, memory),
        }
    }
}

/// What the sums are taken of.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, T> {
    pub(crate) values: &'a [T],
    /// What each value is divided by first, and ε; see [`stabilized_ratios`].
    pub(crate) divisor: Option<(&'a [T], T)>,
}

impl<'a, T: Element> Source<'a, T> {
    pub(crate) fn plain(values: &'a [T]) -> Self {
        Self { values, divisor: None }
    }

    fn part(self, first: usize, images: usize, image: usize) -> Self {
        let part = |values: &'a [T]| &values[first * image..][..images * image];
        Self { values: part(self.values), divisor: self.divisor.map(|(values, epsilon)| (part(values), epsilon)) }
    }

    /// The values of a row of a plane, divided if they are to be, in `room` then.
    fn row<'b>(&self, places: Range<usize>, room: &'b mut [T]) -> &'b [T]
    where
        'a: 'b,
    {
        let values = &self.values[places.clone()];
        let Some((divisors, epsilon)) = self.divisor else { return values };
        let room = &mut room[..values.len()];
        stabilized_ratios(values, &divisors[places], epsilon, room);
        room
    }
}

/// What is done to each sum on its way back.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a, T> {
    /// Added to each channel.
    pub(crate) bias: Option<&'a [T]>,
    /// Whether negative values become zero then.
    pub(crate) rectified: bool,
    /// What each value is multiplied by then.
    pub(crate) factor: Option<&'a [T]>,
}

impl<T: Element> Finish<'_, T> {
    /// Nothing.
    pub(crate) const NONE: Self = Self { bias: None, rectified: false, factor: None };

    fn part(self, first: usize, images: usize, image: usize) -> Self {
        Self { factor: self.factor.map(|values| &values[first * image..][..images * image]), ..self }
    }

    /// Writes sums of some channels of an image of one pixel, which lie `stride` apart, to the target from `first` on.
    fn write_pixel(&self, channels: Range<usize>, sums: &[T], stride: usize, first: usize, target: &mut [T]) {
        let target = &mut target[first..first + channels.len()];
        target.iter_mut().zip(sums.iter().step_by(stride)).for_each(|(to, sum)| *to = *sum);
        if let Some(bias) = self.bias {
            target.iter_mut().zip(&bias[channels]).for_each(|(to, bias)| *to += *bias);
        }
        if self.rectified {
            for to in target.iter_mut() {
                *to = if *to < T::ZERO { T::ZERO } else { *to };
            }
        }
        if let Some(factors) = self.factor {
            target.iter_mut().zip(&factors[first..]).for_each(|(to, factor)| *to *= *factor);
        }
    }

    /// Writes sums of a channel to every `step`th place of the target from `first` on.
    fn write(&self, channel: usize, sums: &[T], first: usize, step: usize, target: &mut [T]) {
        let bias = self.bias.map_or(T::ZERO, |bias| bias[channel]);
        let least = if self.rectified { T::ZERO } else { T::LOWEST };
        let end = |sum: T| if sum + bias < least { least } else { sum + bias };
        let target = &mut target[first..];
        match (self.factor, step) {
            (None, 1) => target.iter_mut().zip(sums).for_each(|(to, sum)| *to = end(*sum)),
            (None, step) => target.iter_mut().step_by(step).zip(sums).for_each(|(to, sum)| *to = end(*sum)),
            (Some(factors), 1) => {
                let pairs = target.iter_mut().zip(&factors[first..]);
                pairs.zip(sums).for_each(|((to, factor), sum)| *to = end(*sum) * *factor);
            }
            (Some(factors), step) => {
                let pairs = target.iter_mut().zip(&factors[first..]).step_by(step);
                pairs.zip(sums).for_each(|((to, factor), sum)| *to = end(*sum) * *factor);
            }
        }
    }
}

/// Every so many pixels of a plane each way, from a first one on that may lie outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    first: [isize; 2],
    step: [usize; 2],
}

impl Grid {
    const WHOLE: Self = Self { first: [0; 2], step: [1; 2] };

    /// The numbers of the grid's rows (`side` 0) or columns (1) that are inside a plane, of the first `count`.
    fn inside(&self, side: usize, size: usize, count: usize) -> Range<usize> {
        let step = self.step[side] as isize;
        let before = |pixel: isize| ((pixel - self.first[side] + step - 1).div_euclid(step)).clamp(0, count as isize) as usize;
        before(0)..before(size as isize)
    }

    /// The place in a plane of `columns` columns of a pixel of the grid that is inside.
    fn place(&self, row: usize, column: usize, columns: usize) -> usize {
        let at = |side: usize, number: usize| (self.first[side] + (number * self.step[side]) as isize) as usize;
        at(0, row) * columns + at(1, column)
    }
}
