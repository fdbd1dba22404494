use bezoar_core::{Error, ImageShape, Mask, Result};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the upper left corner of something small lies on an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Place {
    /// Anywhere it fits, drawn for each image.
    Anywhere,
    /// In a corner, so many pixels from both sides.
    Corner {
        /// Which one.
        at: Corner,
        /// Pixels between it and the image's sides.
        #[serde(default)]
        inset: usize,
    },
    /// In one of these rows and one of these columns, drawn for each image.
    OneOf {
        /// Rows.
        top: Vec<usize>,
        /// Columns.
        left: Vec<usize>,
    },
    /// In a window, drawn for each image.
    Window(Window),
}

/// One of an image's four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Window {
    /// First and last row, both included.
    pub top: [usize; 2],
    /// First and last column, both included.
    pub left: [usize; 2],
}

impl Corner {
    /// All four, row by row.
    pub const ALL: [Self; 4] = [Self::TopLeft, Self::TopRight, Self::BottomLeft, Self::BottomRight];

    /// Whether it is at the bottom, and whether it is on the right.
    pub fn sides(self) -> [bool; 2] {
        [matches!(self, Self::BottomLeft | Self::BottomRight), matches!(self, Self::TopRight | Self::BottomRight)]
    }
}

impl Place {
    /// Whether it is a place at all.
    ///
    /// # Errors
    /// When it names none, or a window that ends before it begins.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::OneOf { top, left } if top.is_empty() || left.is_empty() => Err(Error::request("`one-of` names no place")),
            Self::Window(Window { top, left }) if top[0] > top[1] || left[0] > left[1] => {
                Err(Error::request(format!("the window top {top:?}, left {left:?} ends before it begins")))
            }
            _ => Ok(()),
        }
    }

    /// Whether something of `size` rows and columns fits wherever it may come to lie on images of this shape.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_room(&self, size: [usize; 2], shape: ImageShape) -> Result<()> {
        let [rows, columns] = match self {
            Self::Anywhere => [0; 2],
            Self::Corner { inset, .. } => [*inset; 2],
            Self::OneOf { top, left } => [top, left].map(|at| at.iter().copied().max().unwrap_or_default()),
            Self::Window(Window { top, left }) => [top[1], left[1]],
        };
        let fits = |start: usize, size: usize, side: usize| start.checked_add(size).is_some_and(|end| end <= side);
        if fits(rows, size[0], shape.height) && fits(columns, size[1], shape.width) {
            return Ok(());
        }
        let at = match self {
            Self::Anywhere | Self::Corner { inset: 0, .. } => String::new(),
            Self::Corner { inset, .. } => format!(", {inset} from the sides,"),
            _ => format!(" at row {rows}, column {columns}"),
        };
        let problem = format!("{}x{} pixels{at} do not fit into images of {}x{}", size[0], size[1], shape.height, shape.width);
        Err(Error::request(problem).with_help("choose a place that fits, or fewer pixels"))
    }

    /// Where something of `size` rows and columns comes to lie, on an image of a shape that was checked.
    pub fn draw(&self, size: [usize; 2], shape: ImageShape, rng: &mut dyn Rng) -> Mask {
        let [top, left] = match self {
            Self::Anywhere => {
                let left = rng.random_range(0..=shape.width - size[1]);
                [rng.random_range(0..=shape.height - size[0]), left]
            }
            Self::Corner { at, inset } => {
                let [bottom, right] = at.sides();
                let near = |is_far: bool, side: usize, size: usize| if is_far { side - size - inset } else { *inset };
                [near(bottom, shape.height, size[0]), near(right, shape.width, size[1])]
            }
            Self::OneOf { top, left } => {
                let left = left[rng.random_range(0..left.len())];
                [top[rng.random_range(0..top.len())], left]
            }
            Self::Window(Window { top, left }) => {
                let left = rng.random_range(left[0]..=left[1]);
                [rng.random_range(top[0]..=top[1]), left]
            }
        };
        Mask { top, left, height: size[0], width: size[1] }
    }
}
