use crate::{LayerKind, Rule, STABILIZER};

/// Which rule is for which layer: rows in order, the first that fits wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    rows: Vec<(LayerKind, Rule)>,
    stabilizer: f64,
}

/// Layers without weights, the same in every composite.
const BASE: [(LayerKind, Rule); 7] = [
    (LayerKind::Activation, Rule::Pass),
    (LayerKind::Dropout, Rule::Pass),
    (LayerKind::AveragePool, Rule::Norm),
    (LayerKind::Sum, Rule::Norm),
    (LayerKind::MaxPool, Rule::Route),
    (LayerKind::Concat, Rule::Route),
    (LayerKind::Flatten, Rule::Route),
];

impl Composite {
    /// These rows and no others.
    pub fn new(rows: impl IntoIterator<Item = (LayerKind, Rule)>) -> Self {
        Self { rows: rows.into_iter().collect(), stabilizer: STABILIZER }
    }

    /// These rows, then the usual rules for layers without weights.
    pub fn over_base(rows: impl IntoIterator<Item = (LayerKind, Rule)>) -> Self {
        Self::new(rows.into_iter().chain(BASE))
    }

    /// LRP-ε everywhere.
    pub fn epsilon(epsilon: f64) -> Self {
        Self::over_base([
            (LayerKind::Convolution, Rule::Epsilon(epsilon)),
            (LayerKind::Linear, Rule::Epsilon(epsilon)),
            (LayerKind::BatchNorm, Rule::Epsilon(epsilon)),
        ])
    }

    /// LRP-z⁺ on convolutions, LRP-ε on linear layers.
    pub fn epsilon_plus(epsilon: f64) -> Self {
        Self::over_base([
            (LayerKind::Convolution, Rule::ZPlus),
            (LayerKind::Linear, Rule::Epsilon(epsilon)),
            (LayerKind::BatchNorm, Rule::Epsilon(epsilon)),
        ])
    }

    /// The same with another ε in the denominators of all rules but [`Rule::Epsilon`], which has its own.
    #[must_use]
    pub fn with_stabilizer(self, stabilizer: f64) -> Self {
        Self { stabilizer, ..self }
    }

    /// The ε in the denominators of a rule.
    pub fn stabilizer(&self, rule: Rule) -> f64 {
        match rule {
            Rule::Epsilon(epsilon) => epsilon,
            _ => self.stabilizer,
        }
    }

    /// The rule for layers of this kind.
    pub fn rule(&self, kind: LayerKind) -> Option<Rule> {
        self.rows.iter().find(|row| row.0 == kind).map(|row| row.1)
    }
}
