/// Why a distance cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A space has no points.
    #[error("a space needs at least one point")]
    Empty,
    /// A weight is not a positive number.
    #[error("weight {index} is {value}: weights are positive numbers")]
    Weight {
        /// Which point.
        index: usize,
        /// Its weight.
        value: f64,
    },
    /// Numbers of weights and of points or distances do not go together.
    #[error("{weights} weights go with {expected} {what}, not with {found}")]
    Count {
        /// How many weights there are.
        weights: usize,
        /// What they go with.
        what: &'static str,
        /// How many of these there would have to be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A distance is negative, not a number, or not the same in both directions.
    #[error("the distance from point {from} to point {to} is {value}: {problem}")]
    Distance {
        /// Row.
        from: usize,
        /// Column.
        to: usize,
        /// What stands there.
        value: f64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A point lies nowhere.
    #[error("point {index} lies at ({y}, {x}): coordinates are finite")]
    Point {
        /// Which point.
        index: usize,
        /// Its first coordinate.
        y: f64,
        /// Its second coordinate.
        x: f64,
    },
    /// A heatmap that no measure can be made of.
    #[error("the heatmap {problem}")]
    Heatmap {
        /// What is wrong with it.
        problem: String,
    },
    /// A setting out of its range.
    #[error("{name} is {value}, and has to be {range}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Points that lie nowhere, where places are compared.
    #[error("the space is known by its distances alone, and places are compared: make it of points")]
    NoPlane,
    /// Distances that are not of negative type, which the fast solver builds on.
    #[error("these distances are not of negative type (as Euclidean ones are): use the reference solver")]
    NotNegativeType,
    /// The computation left the range of floating-point numbers.
    #[error("{what} is not finite at epsilon {epsilon}: use a larger epsilon, or the fast solver")]
    NotFinite {
        /// What overflowed.
        what: &'static str,
        /// The regularisation.
        epsilon: f64,
    },
}

/// The result of all that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;
