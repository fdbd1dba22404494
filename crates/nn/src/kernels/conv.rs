//! 2-d convolution and its two gradients: windows are laid out as columns of a matrix (im2col), GEMM does the rest.

use std::ops::Range;

use rayon::prelude::*;

use super::gemm::{Matrix, MatrixMut, Write, multiply};
use super::{Element, reachable};
use crate::graph::Window;

/// Values of the column matrix that one GEMM should get: large enough to repay packing the weights, small enough for the cache.
const TILE: usize = 1 << 18;

/// Positions that one GEMM should get at least: small images share one.
const POSITIONS: usize = 64;

/// Pieces into which a batch's weight gradient is cut at most; each is summed in order, then all are.
const PIECES: usize = 16;

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

/// Some images' output rows, all that one GEMM treats.
struct Tile {
    images: usize,
    rows: Range<usize>,
    positions: usize,
}

/// Memory that a thread uses again for each of its blocks.
#[derive(Default)]
struct Scratch<T> {
    columns: Vec<T>,
    output: Vec<T>,
}

impl Shape {
    fn input_plane(&self) -> usize {
        self.input[1] * self.input[2]
    }

    fn output_plane(&self) -> usize {
        self.output[1] * self.output[2]
    }

    fn input_image(&self) -> usize {
        self.input[0] * self.input_plane()
    }

    fn output_image(&self) -> usize {
        self.output[0] * self.output_plane()
    }

    /// Input channels of a group.
    fn group_inputs(&self) -> usize {
        self.input[0] / self.groups
    }

    /// Output channels of a group.
    fn group_outputs(&self) -> usize {
        self.output[0] / self.groups
    }

    /// Input values under a window: rows of the column matrix.
    fn depth(&self) -> usize {
        self.group_inputs() * self.window.kernel * self.window.kernel
    }

    fn weights(&self) -> usize {
        self.output[0] * self.depth()
    }

    /// Images that one GEMM treats together.
    ///
    /// The last of a batch may be fewer: their GEMM has the same size, for a GEMM's rounding depends on its size, and the result
    /// for an image must not depend on its batch.
    fn block(&self) -> usize {
        POSITIONS.div_ceil(self.output_plane())
    }

    /// Whether an image is its own column matrix.
    fn is_pointwise(&self) -> bool {
        self.window == Window::new(1)
    }

    fn tiles(&self, images: usize) -> impl Iterator<Item = Tile> + use<> {
        let [_, height, width] = self.output;
        let whole = images > 1 || self.is_pointwise();
        let rows = if whole { height } else { (TILE / (self.depth() * width)).clamp(1, height) };
        (0..height).step_by(rows).map(move |start| {
            let rows = start..(start + rows).min(height);
            Tile { images, positions: images * rows.len() * width, rows }
        })
    }

    /// The output channels of `group` in `tile` of a block of output images, as a matrix: in place for one image, else gathered.
    fn gather<'a, T: Element>(&self, tile: &Tile, group: usize, block: &'a [T], scratch: &'a mut Vec<T>) -> Matrix<'a, T> {
        let (channels, plane) = (self.group_outputs(), self.output_plane());
        if tile.images == 1 {
            let start = group * channels * plane + tile.rows.start * self.output[2];
            return Matrix::new(&block[start..], channels, tile.positions, plane);
        }
        scratch.resize(channels * tile.positions, T::ZERO);
        for (image, values) in block.chunks_exact(self.output_image()).enumerate() {
            for channel in 0..channels {
                let from = &values[(group * channels + channel) * plane..][..plane];
                scratch[channel * tile.positions + image * plane..][..plane].copy_from_slice(from);
            }
        }
        Matrix::new(scratch, channels, tile.positions, tile.positions)
    }

    /// The column matrix of `group` in `tile` of a block of input images.
    fn columns<'a, T: Element>(&self, tile: &Tile, group: usize, block: &'a [T], scratch: &'a mut Vec<T>) -> Matrix<'a, T> {
        let (channels, plane) = (self.group_inputs(), self.input_plane());
        if tile.images == 1 && self.is_pointwise() {
            return Matrix::new(&block[group * channels * plane..], channels, tile.positions, plane);
        }
        scratch.resize(self.depth() * tile.positions, T::ZERO);
        for (image, values) in block.chunks_exact(self.input_image()).enumerate() {
            let values = &values[group * channels * plane..][..channels * plane];
            self.each_line(tile, image, |line, at| {
                let to = &mut scratch[at..][..self.output[2]];
                let Some(source) = line.source else { return to.fill(T::ZERO) };
                let from = &values[source..];
                to[..line.inside.start].fill(T::ZERO);
                to[line.inside.end..].fill(T::ZERO);
                let to = &mut to[line.inside];
                if self.window.stride == 1 {
                    to.copy_from_slice(&from[..to.len()]);
                } else {
                    to.iter_mut().zip(from.iter().step_by(self.window.stride)).for_each(|(to, from)| *to = *from);
                }
            });
        }
        Matrix::new(scratch, self.depth(), tile.positions, tile.positions)
    }

    /// Adds a column matrix back to where its values came from: the transpose of [`columns`](Self::columns).
    fn scatter_columns<T: Element>(&self, tile: &Tile, group: usize, columns: &[T], block: &mut [T]) {
        let (channels, plane) = (self.group_inputs(), self.input_plane());
        for (image, values) in block.chunks_exact_mut(self.input_image()).enumerate() {
            let values = &mut values[group * channels * plane..][..channels * plane];
            self.each_line(tile, image, |line, at| {
                let Some(source) = line.source else { return };
                let from = &columns[at..][..self.output[2]][line.inside];
                let to = &mut values[source..];
                if self.window.stride == 1 {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
                } else {
                    to.iter_mut().step_by(self.window.stride).zip(from).for_each(|(to, from)| *to += *from);
                }
            });
        }
    }

    /// Calls `visit` with each line of the column matrix that belongs to one output row of `image`, and the place of its first value.
    fn each_line(&self, tile: &Tile, image: usize, mut visit: impl FnMut(Line, usize)) {
        let Window { kernel, stride, padding, dilation } = self.window;
        let [_, height, width] = self.input;
        let offset = image * tile.rows.len() * self.output[2];
        for row in 0..self.depth() {
            let (channel, ky, kx) = (row / (kernel * kernel), row / kernel % kernel, row % kernel);
            let inside = reachable(kx * dilation, padding, stride, width, self.output[2]);
            for (line, y) in tile.rows.clone().enumerate() {
                let top = (y * stride + ky * dilation).checked_sub(padding).filter(|&top| top < height);
                let left = inside.start * stride + kx * dilation;
                let source = top.filter(|_| !inside.is_empty()).map(|top| (channel * height + top) * width + left - padding);
                visit(Line { source, inside: inside.clone() }, row * tile.positions + offset + line * self.output[2]);
            }
        }
    }
}

/// Where a line of the column matrix comes from.
struct Line {
    /// The first value that is inside the image, if any is.
    source: Option<usize>,
    /// The positions whose value is inside the image.
    inside: Range<usize>,
}

/// `y[n, o] = b[o] + Σ w[o, c, i, j] x[n, c, ..]`.
pub(crate) fn forward<T: Element>(shape: &Shape, x: &[T], weight: &[T], bias: Option<&[T]>) -> Vec<T> {
    let (depth, channels, plane) = (shape.depth(), shape.group_outputs(), shape.output_plane());
    let mut y = vec![T::ZERO; shape.images * shape.output_image()];
    let blocks = y.par_chunks_mut(shape.block() * shape.output_image()).zip(x.par_chunks(shape.block() * shape.input_image()));
    blocks.for_each_init(Scratch::default, |scratch, (y, x)| {
        if let Some(bias) = bias {
            y.chunks_exact_mut(plane).zip(bias.iter().cycle()).for_each(|(y, bias)| y.fill(*bias));
        }
        let write = if bias.is_some() { Write::Add } else { Write::Replace };
        for tile in shape.tiles(shape.block()) {
            for group in 0..shape.groups {
                let columns = shape.columns(&tile, group, x, &mut scratch.columns);
                let weight = Matrix::new(&weight[group * channels * depth..], channels, depth, depth);
                if tile.images == 1 {
                    let start = group * channels * plane + tile.rows.start * shape.output[2];
                    multiply(weight, columns, &mut MatrixMut::new(&mut y[start..], channels, tile.positions, plane), write);
                    continue;
                }
                scratch.output.resize(channels * tile.positions, T::ZERO);
                multiply(
                    weight,
                    columns,
                    &mut MatrixMut::new(&mut scratch.output, channels, tile.positions, tile.positions),
                    Write::Replace,
                );
                for (image, y) in y.chunks_exact_mut(shape.output_image()).enumerate() {
                    for channel in 0..channels {
                        let from = &scratch.output[channel * tile.positions + image * plane..][..plane];
                        let to = &mut y[(group * channels + channel) * plane..][..plane];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
                    }
                }
            }
        }
    });
    y
}

/// The gradient of a loss to the input, from its gradient `dy` to the output: the transposed convolution.
pub(crate) fn backward_input<T: Element>(shape: &Shape, dy: &[T], weight: &[T]) -> Vec<T> {
    let (depth, channels) = (shape.depth(), shape.group_outputs());
    let mut dx = vec![T::ZERO; shape.images * shape.input_image()];
    let blocks = dx.par_chunks_mut(shape.block() * shape.input_image()).zip(dy.par_chunks(shape.block() * shape.output_image()));
    blocks.for_each_init(Scratch::default, |scratch, (dx, dy)| {
        for tile in shape.tiles(shape.block()) {
            for group in 0..shape.groups {
                let dy = shape.gather(&tile, group, dy, &mut scratch.output);
                let weight = Matrix::new(&weight[group * channels * depth..], channels, depth, depth).transposed();
                if tile.images == 1 && shape.is_pointwise() {
                    let dx = &mut dx[group * depth * shape.input_plane()..];
                    multiply(weight, dy, &mut MatrixMut::new(dx, depth, tile.positions, tile.positions), Write::Replace);
                    continue;
                }
                scratch.columns.resize(depth * tile.positions, T::ZERO);
                multiply(weight, dy, &mut MatrixMut::new(&mut scratch.columns, depth, tile.positions, tile.positions), Write::Replace);
                shape.scatter_columns(&tile, group, &scratch.columns, dx);
            }
        }
    });
    dx
}

/// The gradient of a loss to the weights, summed over the images.
pub(crate) fn backward_weight<T: Element>(shape: &Shape, x: &[T], dy: &[T]) -> Vec<T> {
    let (depth, channels) = (shape.depth(), shape.group_outputs());
    let piece = shape.images.div_ceil(PIECES).max(1).next_multiple_of(shape.block());
    let pieces = x.par_chunks(piece * shape.input_image()).zip(dy.par_chunks(piece * shape.output_image()));
    let mut sums: Vec<Vec<T>> = pieces
        .map_init(Scratch::default, |scratch, (x, dy)| {
            let mut dw = vec![T::ZERO; shape.weights()];
            for (x, dy) in x.chunks(shape.block() * shape.input_image()).zip(dy.chunks(shape.block() * shape.output_image())) {
                for tile in shape.tiles(x.len() / shape.input_image()) {
                    for group in 0..shape.groups {
                        let columns = shape.columns(&tile, group, x, &mut scratch.columns).transposed();
                        let dy = shape.gather(&tile, group, dy, &mut scratch.output);
                        let dw = &mut dw[group * channels * depth..];
                        multiply(dy, columns, &mut MatrixMut::new(dw, channels, depth, depth), Write::Add);
                    }
                }
            }
            dw
        })
        .collect();
    let Some((total, rest)) = sums.split_first_mut() else { return vec![T::ZERO; shape.weights()] };
    let chunk = super::GRAIN;
    total.par_chunks_mut(chunk).enumerate().for_each(|(number, total)| {
        for part in rest.iter() {
            total.iter_mut().zip(&part[number * chunk..]).for_each(|(total, part)| *total += *part);
        }
    });
    sums.swap_remove(0)
}
