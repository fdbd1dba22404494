use crate::LayerKind;

/// What is added to a denominator, with its sign, so that nobody divides by zero; zennit's default.
pub const STABILIZER: f64 = 1e-6;

/// How a layer hands the relevance `R` of its output `y` on to its input `x`.
///
/// `J` is the layer's linear map, `Jᵀ` its transpose, `⊙` the product value by value, and `stab(z) = z + ε s(z)` with
/// `s(z) = 1` for `z ≥ 0`, else -1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// LRP-ε with this ε: `x ⊙ Jᵀ(R / stab(y))` (Bach et al. 2015, equation 58). The bias absorbs its share.
    ///
    /// For convolutions, linear layers, and batch norm as the affine map that it is outside training (arXiv 1902.10178).
    Epsilon(f64),
    /// LRP-z⁺: the ε-rule on what speaks for the output alone, `x⁺ W⁺ + x⁻ W⁻ + b⁺`. For convolutions and linear layers.
    ZPlus,
    /// The ε-rule on a map without weights, for sums and average pools: each input gets its share of the output.
    Norm,
    /// `R` as it is. For activation functions and dropout.
    Pass,
    /// Each value's relevance goes where the value came from, and adds up there: the winner under a max-pool, the part of a
    /// concatenation, the place before a change of shape.
    Route,
}

/// One linear map of a rule: the layer with its input, weights and bias changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// What of the input it sees.
    pub input: Part,
    /// What of the weights it uses.
    pub weight: Part,
    /// What of the bias it adds, if any.
    pub bias: Option<Part>,
}

/// What is taken of each value of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// `max(v, 0)`.
    Positive,
    /// `min(v, 0)`.
    Negative,
}

impl Rule {
    /// Whether the rule has a meaning for layers of this kind.
    pub fn suits(self, kind: LayerKind) -> bool {
        use LayerKind::{Activation, AveragePool, BatchNorm, Concat, Convolution, Dropout, Flatten, Linear, MaxPool, Sum};
        match self {
            Self::Epsilon(_) => matches!(kind, Convolution | Linear | BatchNorm),
            Self::ZPlus => matches!(kind, Convolution | Linear),
            Self::Norm => matches!(kind, AveragePool | Sum),
            Self::Pass => matches!(kind, Activation | Dropout),
            Self::Route => matches!(kind, MaxPool | Concat | Flatten),
        }
    }

    /// The rule as linear maps `m` with outputs `z_m`: `R_in = Σ_m x_m ⊙ J_mᵀ(R / stab(Σ_m z_m))`. None for rules that only
    /// say where relevance goes.
    pub fn terms(self) -> &'static [Term] {
        match self {
            Self::Epsilon(_) | Self::Norm => &[Term::WHOLE],
            Self::ZPlus => &[
                Term { input: Part::Positive, weight: Part::Positive, bias: Some(Part::Positive) },
                Term { input: Part::Negative, weight: Part::Negative, bias: None },
            ],
            Self::Pass | Self::Route => &[],
        }
    }
}

impl Term {
    /// The layer as it is: its output is the layer's.
    pub const WHOLE: Self = Self { input: Part::Whole, weight: Part::Whole, bias: Some(Part::Whole) };
}
