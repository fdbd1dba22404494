use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LayerKind;

/// How a layer hands the relevance `R` of its output `y` on to its input `x`.
///
/// `J` is the layer's linear map with weights `W` and bias `b`, `Jᵀ` its transpose, `⊙` the product value by value, `v⁺ = max(v, 0)`,
/// `v⁻ = min(v, 0)`, and `stab` a [`Stabilizer`](bezoar_nn::ops::Stabilizer). The weighted rules are for convolutions, linear layers, and
/// batch norm as the affine map that it is outside training (arXiv 1902.10178).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// LRP-0: the ε-rule without ε; where the output is 0, its relevance is lost.
    Zero,
    /// LRP-ε with this ε: `x ⊙ Jᵀ(R / stab(y))` (Bach et al. 2015, equation 58). The bias absorbs its share.
    Epsilon(#[schemars(extend("exclusiveMinimum" = 0.0))] f64),
    /// LRP-γ with this γ, for inputs of either sign: what speaks for an output counts `1 + γ` times, be the output positive or
    /// negative (arXiv 2106.13200, after Montavon et al. 2019). γ = 0 is the ε-rule.
    Gamma(#[schemars(range(min = 0.0))] f64),
    /// LRP-z⁺: the ε-rule on what speaks for the output alone, `x⁺ W⁺ + x⁻ W⁻ + b⁺`.
    ZPlus,
    /// LRP-αβ: α times what speaks for the output, less β times what speaks against it (Bach et al. 2015, equation 60);
    /// `alpha - beta` is 1. β = 0 is z⁺.
    AlphaBeta {
        /// Weight of what speaks for the output, 1 or more.
        alpha: f64,
        /// Weight of what speaks against it.
        beta: f64,
    },
    /// LRP-z^B, for layers that see values between the bounds `l` and `h` of the images:
    /// `(x ⊙ Jᵀ[W] - l ⊙ Jᵀ[W⁺] - h ⊙ Jᵀ[W⁻]) (R / stab(W x - W⁺ l - W⁻ h))` (Montavon et al. 2017, table 1).
    ZBox,
    /// LRP-w²: `Jᵀ[W²](R / stab(W² 1 + b²))`, whatever the input (Montavon et al. 2017, table 1).
    WSquare,
    /// Squares of what each input gives, without bias: `x² ⊙ Jᵀ[W²](R / stab(W² x²))`. What the published code of Heatmap Clustering (arXiv
    /// 2204.12848) computes under the name of the ε-rule.
    Squares,
    /// LRP-♭: in equal parts to all inputs that an output sees, whatever they are (arXiv 1902.10178). For average pools too.
    Flat,
    /// The ε-rule on a map without weights, for sums, means, average pools and larger images: each input gets its share of the output.
    /// For layer norm too, whose deviation counts as a constant (AttnLRP, arXiv 2402.05602, equation 16).
    Norm,
    /// For products of layers, value by value or as matrices: the ε-rule for each factor, of which all that depend on the image get equal
    /// parts (AttnLRP, equations 14 and 15). A factor that is the same for every image gets nothing.
    Uniform,
    /// For softmax: `x ⊙ (R - s ΣR)`, its own derivative times its input (AttnLRP, equation 13). What is lost is the softmax's constant part.
    Taylor,
    /// `R` as it is. For activation functions, dropout and batch norm.
    Pass,
    /// Each value's relevance goes where the value came from, and adds up there: the winner under a max-pool, the part of a
    /// concatenation, the place before a change of shape.
    Route,
    /// `R` times the layer's derivative. Where all layers have it, relevance is the gradient.
    Gradient,
    /// The gradient where it is positive, for activation functions: guided backpropagation (arXiv 1412.6806).
    Guided,
}

/// Relevance that outputs hand on in shares of a denominator: `factor Σ_t s_t x_t ⊙ J_tᵀ(R / stab(Σ_t s_t z_t))` with `z_t = J_t x_t + b_t`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) factor: f64,
    pub(crate) of: Outputs,
    pub(crate) terms: Vec<Term>,
}

/// Which outputs hand on relevance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outputs {
    All,
    Positive,
    Negative,
}

/// One linear map of a share: the layer with its input, weights and bias changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) sign: f64,
    pub(crate) input: Input,
    pub(crate) weight: Weight,
    /// None for no bias.
    pub(crate) bias: Option<Weight>,
}

/// What a term sees in place of the layer's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Whole,
    Positive,
    Negative,
    Squared,
    One,
    /// The least that images can be there.
    Low,
    /// The most.
    High,
}

/// What a term makes of a weight or a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Weight {
    /// Positive ones times the first factor, negative ones times the second.
    Sides(f64, f64),
    Square,
    One,
}

impl Weight {
    pub(crate) const WHOLE: Self = Self::Sides(1.0, 1.0);
    const POSITIVE: Self = Self::Sides(1.0, 0.0);
    const NEGATIVE: Self = Self::Sides(0.0, 1.0);
}

impl Term {
    /// The layer as it is: its output is the layer's.
    pub(crate) const WHOLE: Self = Self::new(Input::Whole, Weight::WHOLE, Some(Weight::WHOLE));

    const fn new(input: Input, weight: Weight, bias: Option<Weight>) -> Self {
        Self { sign: 1.0, input, weight, bias }
    }

    const fn less(input: Input, weight: Weight, bias: Option<Weight>) -> Self {
        Self { sign: -1.0, input, weight, bias }
    }
}

impl Share {
    fn of_all(factor: f64, terms: impl Into<Vec<Term>>) -> Self {
        Self { factor, of: Outputs::All, terms: terms.into() }
    }

    /// What speaks for the output.
    fn favour(factor: f64) -> Self {
        Self::of_all(
            factor,
            [Term::new(Input::Positive, Weight::POSITIVE, Some(Weight::POSITIVE)), Term::new(Input::Negative, Weight::NEGATIVE, None)],
        )
    }

    /// What speaks against it.
    fn oppose(factor: f64) -> Self {
        Self::of_all(
            factor,
            [Term::new(Input::Positive, Weight::NEGATIVE, Some(Weight::NEGATIVE)), Term::new(Input::Negative, Weight::POSITIVE, None)],
        )
    }
}

impl Rule {
    /// Whether the rule has a meaning for layers of this kind.
    pub fn suits(self, kind: LayerKind) -> bool {
        use LayerKind::{
            Activation, AveragePool, BatchNorm, Concat, Constant, Convolution, Dropout, Flatten, LayerNorm, Linear, MatrixProduct, MaxPool,
            Mean, Pad, Product, Softmax, Sum, Upsample,
        };
        match self {
            Self::Zero
            | Self::Epsilon(_)
            | Self::Gamma(_)
            | Self::ZPlus
            | Self::AlphaBeta { .. }
            | Self::ZBox
            | Self::WSquare
            | Self::Squares => {
                matches!(kind, Convolution | Linear | BatchNorm)
            }
            Self::Flat => matches!(kind, Convolution | Linear | BatchNorm | AveragePool),
            Self::Norm => matches!(kind, AveragePool | Sum | Mean | Upsample | LayerNorm),
            Self::Uniform => matches!(kind, Product | MatrixProduct),
            Self::Taylor => matches!(kind, Softmax),
            Self::Pass => matches!(kind, Activation | Dropout | BatchNorm | LayerNorm),
            Self::Route => matches!(kind, MaxPool | Concat | Flatten | Pad | Constant),
            Self::Gradient => true,
            Self::Guided => matches!(kind, Activation),
        }
    }

    /// What is wrong with the rule's numbers, if anything.
    pub fn problem(self) -> Option<String> {
        match self {
            Self::Epsilon(epsilon) if !(epsilon > 0.0 && epsilon.is_finite()) => Some(format!("ε is {epsilon}, and must be positive")),
            Self::Gamma(gamma) if !(gamma >= 0.0 && gamma.is_finite()) => Some(format!("γ is {gamma}, and must not be negative")),
            Self::AlphaBeta { alpha, beta } if !(beta >= 0.0 && (alpha - beta - 1.0).abs() < 1e-9) => {
                Some(format!("α is {alpha} and β {beta}: β must not be negative, and α is 1 + β"))
            }
            _ => None,
        }
    }

    /// Whether an input that is 0 gets no relevance.
    pub(crate) fn spares_zeros(self) -> bool {
        !matches!(self, Self::ZBox | Self::WSquare | Self::Flat | Self::Gradient | Self::Guided)
    }

    /// The rule as shares of changed weights. None for rules that know no weights.
    pub(crate) fn shares(self) -> Vec<Share> {
        match self {
            Self::Zero | Self::Epsilon(_) => vec![Share::of_all(1.0, [Term::WHOLE])],
            Self::Gamma(gamma) => {
                let (up, down) = (Weight::Sides(1.0 + gamma, 1.0), Weight::Sides(1.0, 1.0 + gamma));
                let share = |of, [own, other]: [Weight; 2]| Share {
                    factor: 1.0,
                    of,
                    terms: vec![Term::new(Input::Positive, own, Some(own)), Term::new(Input::Negative, other, None)],
                };
                vec![share(Outputs::Positive, [up, down]), share(Outputs::Negative, [down, up])]
            }
            Self::ZPlus => vec![Share::favour(1.0)],
            Self::AlphaBeta { alpha, beta } if beta > 0.0 => vec![Share::favour(alpha), Share::oppose(-beta)],
            Self::AlphaBeta { alpha, .. } => vec![Share::favour(alpha)],
            Self::ZBox => vec![Share::of_all(
                1.0,
                [
                    Term::new(Input::Whole, Weight::WHOLE, Some(Weight::WHOLE)),
                    Term::less(Input::Low, Weight::POSITIVE, Some(Weight::POSITIVE)),
                    Term::less(Input::High, Weight::NEGATIVE, Some(Weight::NEGATIVE)),
                ],
            )],
            Self::WSquare => vec![Share::of_all(1.0, [Term::new(Input::One, Weight::Square, Some(Weight::Square))])],
            Self::Squares => vec![Share::of_all(1.0, [Term::new(Input::Squared, Weight::Square, None)])],
            Self::Flat => vec![Share::of_all(1.0, [Term::new(Input::One, Weight::One, None)])],
            Self::Norm | Self::Uniform | Self::Taylor | Self::Pass | Self::Route | Self::Gradient | Self::Guided => Vec::new(),
        }
    }
}
