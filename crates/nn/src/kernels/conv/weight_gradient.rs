//! The gradient to a convolution's weights, summed over images and positions.

use std::ops::Range;

use rayon::prelude::*;

use super::super::tile::{LANES, Positions, accumulate};
use super::super::{Element, GRAIN};
use super::sheets::Sheets;
use super::{Shape, Source};
use crate::array::{Lease, Memory};

/// Pieces into which a batch's weight gradient is cut at most; each is summed in order, then all are. Adding many large ones up takes
/// longer than waiting for a thread.
fn pieces(weights: usize) -> usize {
    if weights > 1 << 19 { 4 } else { 8 }
}

/// The gradient of a loss to the weights, summed over the images.
pub(crate) fn backward_weight<T: Element>(shape: &Shape, x: &[T], dy: &[T], dw: &mut [T], memory: &Memory) {
    let sheets = Sheets::forward(shape);
    let piece = shape.images.div_ceil(pieces(shape.weights())).max(1).next_multiple_of(sheets.block());
    let pieces = x.par_chunks(piece * shape.input_image()).zip(dy.par_chunks(piece * shape.output_image()));
    let mut totals: Vec<Lease<T>> = pieces.map(|(x, dy)| sheets.products(x, dy, memory)).collect();
    let Some((total, rest)) = totals.split_first_mut() else { return dw.fill(T::ZERO) };
    total.par_chunks_mut(GRAIN).enumerate().for_each(|(number, total)| {
        for part in rest.iter() {
            total.iter_mut().zip(&part[number * GRAIN..]).for_each(|(total, part)| *total += *part);
        }
    });
    let (outputs, weights) = (shape.group_outputs(), shape.weights() / shape.output[0]);
    dw.par_chunks_mut(weights).enumerate().for_each(|(output, dw)| {
        let (group, row) = (output / outputs, output % outputs);
        let (panel, width) = lane_panels(outputs).take_while(|(first, _)| *first <= row).last().unwrap_or_default();
        let sums = &total[group * sheets.padded_len() + panel * weights + row - panel..];
        dw.iter_mut().zip(sums.iter().step_by(width)).for_each(|(dw, sum)| *dw = *sum);
    });
}

/// The rows of a matrix in panels of whole vectors, the last with room to spare: the first row of each, and how many.
fn lane_panels(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).step_by(2 * LANES).map(move |row| (row, if rows - row > LANES { 2 * LANES } else { LANES }))
}

impl Sheets {
    /// The weight gradients of a group, with the rows that its panels have to spare.
    fn padded_len(&self) -> usize {
        self.target_channels().next_multiple_of(LANES) * self.taps[0].len()
    }

    /// The weight gradient of some images: by group, panel, tap and row.
    fn products<T: Element>(&self, x: &[T], dy: &[T], memory: &Memory) -> Lease<T> {
        let most = self.block().min(x.len() / self.source.image());
        let [rows, columns] = self.positions;
        let (mut sheets, mut left) = (memory.lease(self.sheets_len(most)), memory.lease(most * rows * columns * 2 * LANES));
        let mut sums = memory.lease(self.groups * self.padded_len());
        sums.fill(T::ZERO);
        for (x, dy) in x.chunks(self.block() * self.source.image()).zip(dy.chunks(self.block() * self.target.image())) {
            let images = x.len() / self.source.image();
            let positions = Positions { images, sheet: self.sheet_len(), rows, columns, stride: self.sheet[1] };
            let taps = self.offsets(0, images);
            for (group, sums) in sums.chunks_exact_mut(self.padded_len()).enumerate() {
                self.spread(Source::plain(x), group, T::ZERO, &mut sheets, &mut []);
                for (row, width) in lane_panels(self.target_channels()) {
                    let channels = group * self.target_channels() + row..(group + 1) * self.target_channels();
                    let left = &mut left[..images * rows * columns * width];
                    self.interleave(dy, channels, width, left);
                    accumulate(left, width, &sheets, &taps, positions, &mut sums[row * taps.len()..][..width * taps.len()]);
                }
            }
        }
        sums
    }

    /// At most `width` of some channels of the target's images, position by position; zeros stand for those missing.
    fn interleave<T: Element>(&self, images: &[T], channels: Range<usize>, width: usize, to: &mut [T]) {
        let plane: usize = self.target.plane.iter().product();
        let count = channels.len().min(width);
        for (to, image) in to.chunks_exact_mut(plane * width).zip(images.chunks_exact(self.target.image())) {
            let planes = &image[channels.start * plane..][..count * plane];
            for (position, to) in to.chunks_exact_mut(width).enumerate() {
                let (values, spare) = to.split_at_mut(count);
                values.iter_mut().zip(planes[position..].iter().step_by(plane)).for_each(|(to, from)| *to = *from);
                spare.fill(T::ZERO);
            }
        }
    }
}
