//! A convolution or its transpose as sums over taps (see [`tile`](super::super::tile)).
//!
//! For the taps to be plain offsets, planes are copied to *sheets* first: the border becomes zeros, and with a stride the pixels
//! that a weight meets come to lie side by side, one sheet for each remainder by the stride. The sheets of some small images lie one
//! after the other, so that vectors are full. The zeros at a row's end are those before the next row as well, and so are those between
//! two images.

use std::array::from_fn;

use rayon::prelude::*;

use super::super::tasks::Pieces;
use super::super::tile::{LANES, SLACK, correlate, panels};
use super::super::{Element, each};
use super::{Finish, Grid, Shape, Source};
use crate::array::Memory;
use crate::window::Window;

/// Positions that are worth working on together: small images share a block.
const BLOCK: usize = 512;

/// Channels of planes, and the grids by which their pixels come to lie on sheets.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    channels: usize,
    pub(crate) plane: [usize; 2],
    grids: Vec<Grid>,
}

impl Side {
    pub(crate) fn image(&self) -> usize {
        self.channels * self.plane[0] * self.plane[1]
    }
}

/// One value that a sum takes: which weight meets which pixel, seen from a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    /// Of the source, in its group.
    channel: usize,
    /// Cell of the kernel.
    cell: usize,
    /// Which of the source's grids.
    grid: usize,
    /// From the position to the pixel, on the sheet.
    offset: usize,
}

/// The sums of a convolution or its transpose, and the sheets that they are taken from.
#[derive(Clone, Debug)]
pub(crate) struct Sheets {
    pub(crate) source: Side,
    pub(crate) target: Side,
    pub(crate) groups: usize,
    /// Rows and columns of a sheet, without those that it shares with the next.
    pub(crate) sheet: [usize; 2],
    /// Values behind the last image's sheet that stand for what it would share.
    tail: usize,
    /// Rows and columns of positions.
    pub(crate) positions: [usize; 2],
    /// The taps of each of the target's grids.
    pub(crate) taps: Vec<Vec<Tap>>,
    /// From the weights of one channel of the target, and of the source, to those of the next.
    weight_steps: [usize; 2],
}

/// Rows and columns of border that a sheet of `whole` rows and columns need not have twice: they are so at its beginning and at its end.
fn shared(grids: &[Grid], plane: [usize; 2], whole: [usize; 2], positions: [usize; 2]) -> [usize; 2] {
    from_fn(|side| {
        let border = |grid: &Grid| {
            let inside = grid.inside(side, plane[side], whole[side]);
            inside.start.min(whole[side] - inside.end)
        };
        grids.iter().map(border).min().unwrap_or_default().min(whole[side] - positions[side])
    })
}

/// Rows and columns from the first cell of a window to another.
fn steps(cell: usize, Window { kernel, dilation, .. }: Window) -> [usize; 2] {
    [cell / kernel[1] * dilation[0], cell % kernel[1] * dilation[1]]
}

impl Sheets {
    pub(crate) fn forward(shape: &Shape) -> Self {
        let Window { kernel, stride, dilation, before, .. } = shape.window;
        let (plane, positions) = ([shape.input[1], shape.input[2]], [shape.output[1], shape.output[2]]);
        let mut grids = Vec::new();
        let cells: Vec<(usize, [usize; 2])> = (0..shape.cells())
            .map(|cell| {
                let steps = steps(cell, shape.window);
                let grid = Grid { first: from_fn(|side| (steps[side] % stride[side]) as isize - before[side] as isize), step: stride };
                let known = grids.iter().position(|other| *other == grid).unwrap_or_else(|| {
                    grids.push(grid);
                    grids.len() - 1
                });
                (known, steps)
            })
            .collect();
        let whole = from_fn(|side| positions[side] + (kernel[side] - 1) * dilation[side] / stride[side]);
        let shared = shared(&grids, plane, whole, positions);
        let sheet: [usize; 2] = from_fn(|side| whole[side] - shared[side]);
        let taps = (0..shape.group_inputs()).flat_map(|channel| {
            cells.iter().enumerate().map(move |(cell, (grid, steps))| {
                let offset = steps[0] / stride[0] * sheet[1] + steps[1] / stride[1];
                Tap { channel, cell, grid: *grid, offset }
            })
        });
        let taps = taps.collect();
        Self {
            source: Side { channels: shape.input[0], plane, grids },
            target: Side { channels: shape.output[0], plane: positions, grids: vec![Grid::WHOLE] },
            groups: shape.groups,
            sheet,
            tail: shared[0] * sheet[1] + shared[1],
            positions,
            taps: vec![taps],
            weight_steps: [shape.group_inputs() * shape.cells(), shape.cells()],
        }
    }

    /// A pixel of the input meets the cells whose remainder by the stride is its own; so each remainder is a grid with taps of its
    /// own.
    pub(crate) fn transposed(shape: &Shape) -> Self {
        let Window { kernel, stride, dilation, before, .. } = shape.window;
        let [_, height, width] = shape.input;
        let skipped: [usize; 2] = from_fn(|side| before[side] / stride[side]);
        let border: [usize; 2] = from_fn(|side| ((kernel[side] - 1) * dilation[side] / stride[side]).saturating_sub(skipped[side]));
        let positions: [usize; 2] = from_fn(|side| (shape.input[1 + side] - 1 + before[side]) / stride[side] - skipped[side] + 1);
        let source = Grid { first: border.map(|border| -(border as isize)), step: [1; 2] };
        let plane = [shape.output[1], shape.output[2]];
        let whole: [usize; 2] = from_fn(|side| positions[side] + skipped[side] + border[side]);
        let shared = shared(&[source], plane, whole, positions);
        let sheet: [usize; 2] = from_fn(|side| whole[side] - shared[side]);
        let remainders = (0..stride[0]).flat_map(|row| (0..stride[1]).map(move |column| [row, column]));
        let (grids, taps) = remainders
            .map(|remainder| {
                let first = from_fn(|side| (skipped[side] * stride[side] + remainder[side]) as isize - before[side] as isize);
                let taps = (0..shape.group_outputs()).flat_map(|channel| (0..shape.cells()).map(move |cell| (channel, cell)));
                let taps = taps.filter_map(|(channel, cell)| {
                    let steps = steps(cell, shape.window);
                    let [row, column]: [usize; 2] = from_fn(|side| skipped[side] + border[side] - steps[side] / stride[side]);
                    let meets = (0..2).all(|side| steps[side] % stride[side] == remainder[side]);
                    meets.then(|| Tap { channel, cell, grid: 0, offset: row * sheet[1] + column })
                });
                (Grid { first, step: stride }, taps.collect())
            })
            .unzip();
        Self {
            source: Side { channels: shape.output[0], plane, grids: vec![source] },
            target: Side { channels: shape.input[0], plane: [height, width], grids },
            groups: shape.groups,
            sheet,
            tail: shared[0] * sheet[1] + shared[1],
            positions,
            taps,
            weight_steps: [shape.cells(), shape.group_inputs() * shape.cells()],
        }
    }

    pub(crate) fn sheet_len(&self) -> usize {
        self.sheet[0] * self.sheet[1]
    }

    /// Images of a block.
    pub(crate) fn block(&self) -> usize {
        BLOCK.div_ceil(self.sheet_len())
    }

    /// Positions of a block of `images`, from the first to the last.
    fn span(&self, images: usize) -> usize {
        (images - 1) * self.sheet_len() + (self.positions[0] - 1) * self.sheet[1] + self.positions[1]
    }

    /// Values from the sums of one channel to the next.
    pub(crate) fn sums_stride(&self, images: usize) -> usize {
        self.span(images) + SLACK
    }

    pub(crate) fn source_channels(&self) -> usize {
        self.source.channels / self.groups
    }

    pub(crate) fn target_channels(&self) -> usize {
        self.target.channels / self.groups
    }

    /// The taps of one of the target's grids as offsets into the sheets of a block of `images`.
    pub(crate) fn offsets(&self, grid: usize, images: usize) -> Vec<usize> {
        let sheets = self.source.grids.len();
        let place = |tap: &Tap| (tap.channel * sheets + tap.grid) * self.stride(images) + tap.offset;
        self.taps[grid].iter().map(place).collect()
    }

    pub(crate) fn packed_len(&self) -> usize {
        self.groups * (0..self.taps.len()).map(|grid| self.grid_len(grid)).sum::<usize>()
    }

    /// Orders the weights by group, grid, panel, tap and row.
    pub(crate) fn pack<T: Element>(&self, weights: &[T], mut packed: &mut [T]) {
        let [row_step, channel_step] = self.weight_steps;
        let mut tasks = Vec::new();
        for weights in weights.chunks_exact(weights.len() / self.groups) {
            for taps in &self.taps {
                for (row, width) in panels(self.target_channels()) {
                    let panel = packed.split_off_mut(..width * taps.len()).unwrap_or_default();
                    tasks.push((&weights[row * row_step..], taps, panel));
                }
            }
        }
        tasks.into_par_iter().tasks_of(1).for_each(|(weights, taps, panel)| {
            let width = panel.len() / taps.len().max(1);
            for (tap, panel) in taps.iter().zip(panel.chunks_exact_mut(width.max(1))) {
                let place = tap.channel * channel_step + tap.cell;
                panel.iter_mut().zip(weights[place..].iter().step_by(row_step)).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Values from the sheets of one channel and grid to the next, for blocks of `images`.
    fn stride(&self, images: usize) -> usize {
        (images * self.sheet_len() + self.tail).next_multiple_of(LANES)
    }

    /// Values of the sheets of a group.
    pub(crate) fn sheets_len(&self, images: usize) -> usize {
        self.source_channels() * self.source.grids.len() * self.stride(images) + SLACK
    }

    /// Whether images are of one pixel each, on both sides: the sheet of a channel is a value of each image.
    fn is_pixel(&self) -> bool {
        self.is_plain() && self.sheet == [1; 2] && self.target.plane == [1; 2] && self.target.grids == [Grid::WHOLE]
    }

    /// Whether sheets are the source's planes as they are.
    fn is_plain(&self) -> bool {
        self.source.grids == [Grid::WHOLE] && self.sheet == self.source.plane
    }

    /// The most values that are divided at once.
    fn row(&self) -> usize {
        if self.is_pixel() {
            self.source_channels()
        } else if self.is_plain() {
            self.sheet_len()
        } else {
            self.source.plane[1]
        }
    }

    /// Copies the source's channels of a group to sheets, with `border` around them.
    pub(crate) fn spread<T: Element>(&self, source: Source<'_, T>, group: usize, border: T, sheets: &mut [T], room: &mut [T]) {
        let count = source.values.len() / self.source.image();
        let [height, width] = self.source.plane;
        let (grids, stride) = (&self.source.grids, self.stride(count));
        if self.is_pixel() {
            let channels = self.source_channels();
            for image in 0..count {
                let first = image * self.source.channels + group * channels;
                let pixels = source.row(first..first + channels, room);
                sheets[image..].iter_mut().step_by(stride).zip(pixels).for_each(|(to, from)| *to = *from);
            }
            return;
        }
        for (number, sheets) in sheets.chunks_exact_mut(stride).take(self.source_channels() * grids.len()).enumerate() {
            let (channel, grid) = (group * self.source_channels() + number / grids.len(), grids[number % grids.len()]);
            let (rows, columns) = (grid.inside(0, height, self.sheet[0]), grid.inside(1, width, self.sheet[1]));
            let (sheets, gap) = sheets.split_at_mut(count * self.sheet_len());
            gap.fill(border);
            for (image, sheet) in sheets.chunks_exact_mut(self.sheet_len()).enumerate() {
                let plane = image * self.source.image() + channel * height * width;
                if self.is_plain() {
                    sheet.copy_from_slice(source.row(plane..plane + height * width, room));
                    continue;
                }
                for (row, line) in sheet.chunks_exact_mut(self.sheet[1]).enumerate() {
                    if !rows.contains(&row) || columns.is_empty() {
                        line.fill(border);
                        continue;
                    }
                    line[..columns.start].fill(border);
                    line[columns.end..].fill(border);
                    let line = &mut line[columns.clone()];
                    let [first, last] = [columns.start, columns.end - 1].map(|column| plane + grid.place(row, column, width));
                    each(line.iter_mut(), source.row(first..last + 1, room), grid.step[1], |to, from| *to = from);
                }
            }
        }
    }

    /// Copies sums back to the planes of the target's channels of a group.
    pub(crate) fn collect<T: Element>(
        &self,
        sums: &[T],
        stride: usize,
        group: usize,
        grid: usize,
        finish: Finish<'_, T>,
        images: &mut [T],
    ) {
        let [height, width] = self.target.plane;
        let grid = self.target.grids[grid];
        if self.is_pixel() {
            let channels = group * self.target_channels()..(group + 1) * self.target_channels();
            for image in 0..images.len() / self.target.channels {
                let first = image * self.target.channels + channels.start;
                finish.write_pixel(channels.clone(), &sums[image..], stride, first, images);
            }
            return;
        }
        let (rows, columns) = (grid.inside(0, height, self.positions[0]), grid.inside(1, width, self.positions[1]));
        if columns.is_empty() {
            return;
        }
        for image in 0..images.len() / self.target.image() {
            for own in 0..self.target_channels() {
                let channel = group * self.target_channels() + own;
                let plane = (image * self.target.channels + channel) * height * width;
                let sums = &sums[own * stride + image * self.sheet_len()..];
                if grid == Grid::WHOLE && self.sheet == self.target.plane {
                    finish.write(channel, &sums[..height * width], plane, 1, images);
                    continue;
                }
                for row in rows.clone() {
                    let sums = &sums[row * self.sheet[1]..][columns.clone()];
                    finish.write(channel, sums, plane + grid.place(row, columns.start, width), grid.step[1], images);
                }
            }
        }
    }

    /// Weights of a group and one of the target's grids.
    fn grid_len(&self, grid: usize) -> usize {
        self.target_channels() * self.taps[grid].len()
    }

    pub(crate) fn run<T: Element>(&self, source: Source<'_, T>, weights: &[T], finish: Finish<'_, T>, target: &mut [T], memory: &Memory) {
        let most = self.block().min(target.len() / self.target.image()).max(1);
        let scratch = || {
            (memory.lease(self.sheets_len(most)), memory.lease(self.row()), memory.lease(self.target_channels() * self.sums_stride(most)))
        };
        let blocks = target.par_chunks_mut(self.block() * self.target.image()).enumerate();
        blocks.tasks_of(1).for_each_init(scratch, |(sheets, room, sums), (block, target)| {
            let (first, images) = (block * self.block(), target.len() / self.target.image());
            let (source, finish) = (source.part(first, images, self.source.image()), finish.part(first, images, self.target.image()));
            let (span, stride) = (self.span(images), self.sums_stride(images));
            let sums = &mut sums[..self.target_channels() * stride];
            let offsets: Vec<Vec<usize>> = (0..self.taps.len()).map(|grid| self.offsets(grid, images)).collect();
            let mut weights = weights;
            for group in 0..self.groups {
                self.spread(source, group, T::ZERO, sheets, room);
                for (grid, offsets) in offsets.iter().enumerate() {
                    let (own, rest) = weights.split_at(self.grid_len(grid));
                    weights = rest;
                    correlate(own, sheets, offsets, span, sums, stride);
                    self.collect(sums, stride, group, grid, finish, target);
                }
            }
        });
    }
}
