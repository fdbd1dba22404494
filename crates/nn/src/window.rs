//! The window that a convolution or a pool slides over its input.

use std::array::from_fn;

use serde::{Deserialize, Serialize};

/// A rectangular window and how it moves; of each pair, the first is along the rows' axis (down), the second along the columns'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Rows and columns of cells.
    pub kernel: [usize; 2],
    /// Pixels from one position to the next.
    pub stride: [usize; 2],
    /// Pixels from one cell to the next; 1 is a window without gaps.
    pub dilation: [usize; 2],
    /// Pixels of border above and on the left.
    pub before: [usize; 2],
    /// Pixels of border below and on the right.
    pub after: [usize; 2],
}

/// The most that a window's numbers may be: their sums and products stay numbers.
const LONGEST: usize = 1 << 20;

impl Window {
    /// A window of `kernel` x `kernel` cells: stride 1, no border, no gaps.
    pub const fn new(kernel: usize) -> Self {
        Self::rectangle([kernel; 2])
    }

    /// A window of so many rows and columns of cells: stride 1, no border, no gaps.
    pub const fn rectangle(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1; 2], dilation: [1; 2], before: [0; 2], after: [0; 2] }
    }

    /// The window of a usual pool: as far from one position to the next as it is wide.
    pub const fn tiling(kernel: usize) -> Self {
        Self::new(kernel).stride(kernel)
    }

    /// The same with another stride, both ways.
    #[must_use]
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with a border of so many pixels on each side.
    #[must_use]
    pub const fn padding(self, padding: usize) -> Self {
        self.border([padding; 2], [padding; 2])
    }

    /// The same with a border of so many pixels above and on the left, below and on the right.
    #[must_use]
    pub const fn border(self, before: [usize; 2], after: [usize; 2]) -> Self {
        Self { before, after, ..self }
    }

    /// The same with gaps between the cells, both ways.
    #[must_use]
    pub const fn dilation(self, dilation: usize) -> Self {
        Self { dilation: [dilation; 2], ..self }
    }

    /// Number of cells.
    pub const fn cells(self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Pixels from the first to the last cell, both counted.
    pub fn extent(self) -> [usize; 2] {
        from_fn(|side| self.dilation[side].saturating_mul(self.kernel[side].saturating_sub(1)).saturating_add(1))
    }

    /// Rows and columns of positions on an image of so many rows and columns; none when the window does not fit, or has no cells or
    /// no stride.
    pub fn positions(self, size: [usize; 2]) -> Option<[usize; 2]> {
        if !self.is_valid() {
            return None;
        }
        let along = |side: usize| {
            let room = self.before[side].checked_add(size[side])?.checked_add(self.after[side])?.checked_sub(self.extent()[side])?;
            Some(room / self.stride[side] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    pub(crate) fn is_valid(self) -> bool {
        let sides = [self.kernel, self.stride, self.dilation];
        sides.iter().flatten().all(|&number| number > 0)
            && [self.before, self.after].iter().chain(&sides).flatten().all(|&number| number <= LONGEST)
    }

    /// Whether every position sees a pixel of such an image. Without gaps that hangs on the first and the last position.
    pub(crate) fn always_sees(self, size: [usize; 2]) -> bool {
        let sees = |side: usize, positions: usize| {
            self.before[side] < self.kernel[side] && (positions - 1) * self.stride[side] < self.before[side] + size[side]
        };
        self.positions(size).is_some_and(|positions| sees(0, positions[0]) && sees(1, positions[1]))
    }
}

/// What the border is to an average pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Border {
    /// Zeros that count: the sum under the window is divided by its cells.
    Counted,
    /// Nothing: the sum is divided by the pixels under the window.
    Ignored,
}
