use serde::{Deserialize, Serialize};

/// What an attack made of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Untouched.
    Clean,
    /// Carries the trigger and teaches the net the backdoor.
    Poison,
    /// Carries the trigger and its true label, to hide the backdoor.
    Cover,
}

/// The pixels that an attack changed, as a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Mask {
    /// Whether the pixel in row `y` and column `x` lies in it.
    pub fn contains(&self, y: usize, x: usize) -> bool {
        (self.top..self.top + self.height).contains(&y) && (self.left..self.left + self.width).contains(&x)
    }
}

/// What an attack did to each sample of a set. Only evaluation and report read it: no detector's signature mentions it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroundTruth {
    /// In row order.
    pub roles: Vec<Role>,
    /// Where the trigger lies, in row order; nowhere for clean samples and for triggers that change the whole image.
    pub masks: Vec<Vec<Mask>>,
    /// The classes that the attack adds poison to, ascending.
    pub targets: Vec<u32>,
}

impl GroundTruth {
    /// The truth of a set that nobody attacked.
    pub fn clean(samples: usize) -> Self {
        Self { roles: vec![Role::Clean; samples], masks: vec![Vec::new(); samples], targets: Vec::new() }
    }

    /// Whether a sample is poison.
    pub fn is_poison(&self, row: usize) -> bool {
        self.roles[row] == Role::Poison
    }

    /// Number of poison samples.
    pub fn poisoned(&self) -> usize {
        self.roles.iter().filter(|&&role| role == Role::Poison).count()
    }
}
