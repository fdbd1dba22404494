use std::collections::BTreeSet;

use bezoar_core::{Error, Result};
use bezoar_nn::ops::{Form, Stabilizer};
use bezoar_nn::{Graph, NodeId};
use glob::Pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LayerKind, Rule, STABILIZER};

/// Which rule is for which layer: rows in order, the first that fits wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    rows: Vec<Row>,
    stabilizer: Stabilizer,
}

/// A rule and the layers that it is for: those of which all that is said here is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Row {
    /// Of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<LayerKind>,
    /// Of a name that fits this pattern, in which `*` stands for any characters and `?` for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is the first: convolutions and linear layers that the image reaches through layers without weights alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<bool>,
    /// How these layers hand relevance on.
    pub rule: Rule,
}

impl Row {
    /// A rule for all layers of a kind.
    pub fn kind(kind: LayerKind, rule: Rule) -> Self {
        Self { kind: Some(kind), name: None, first: None, rule }
    }

    /// A rule for the first layers of a kind.
    pub fn first(kind: LayerKind, rule: Rule) -> Self {
        Self { first: Some(true), ..Self::kind(kind, rule) }
    }

    /// A rule for the layers whose names fit a pattern.
    pub fn named(pattern: &str, rule: Rule) -> Self {
        Self { kind: None, name: Some(pattern.to_owned()), first: None, rule }
    }
}

/// Layers without weights, the same in almost every composite.
const BASE: [(LayerKind, Rule); 15] = [
    (LayerKind::Activation, Rule::Pass),
    (LayerKind::Dropout, Rule::Pass),
    (LayerKind::AveragePool, Rule::Norm),
    (LayerKind::Sum, Rule::Norm),
    (LayerKind::MaxPool, Rule::Route),
    (LayerKind::Concat, Rule::Route),
    (LayerKind::Flatten, Rule::Route),
    (LayerKind::Pad, Rule::Route),
    (LayerKind::Constant, Rule::Route),
    (LayerKind::Mean, Rule::Norm),
    (LayerKind::Upsample, Rule::Norm),
    (LayerKind::LayerNorm, Rule::Norm),
    (LayerKind::Product, Rule::Uniform),
    (LayerKind::MatrixProduct, Rule::Uniform),
    (LayerKind::Softmax, Rule::Taylor),
];

impl Composite {
    /// These rows and no others.
    pub fn new(rows: impl IntoIterator<Item = Row>) -> Self {
        Self { rows: rows.into_iter().collect(), stabilizer: Stabilizer { epsilon: STABILIZER, form: Form::Add } }
    }

    /// These rows, then the usual rules for layers without weights.
    pub fn over_base(rows: impl IntoIterator<Item = Row>) -> Self {
        Self::new(rows.into_iter().chain(BASE.map(|(kind, rule)| Row::kind(kind, rule))))
    }

    /// These rows; then `convolution` for convolutions, the ε-rule for linear layers and for batch norm that could not be merged, and
    /// the usual rules for layers without weights.
    fn epsilon_but(convolution: Rule, epsilon: f64, rows: impl IntoIterator<Item = Row>) -> Self {
        Self::over_base(rows.into_iter().chain([
            Row::kind(LayerKind::Convolution, convolution),
            Row::kind(LayerKind::Linear, Rule::Epsilon(epsilon)),
            Row::kind(LayerKind::BatchNorm, Rule::Epsilon(epsilon)),
        ]))
    }

    /// LRP-ε everywhere.
    pub fn epsilon(epsilon: f64) -> Self {
        Self::epsilon_but(Rule::Epsilon(epsilon), epsilon, [])
    }

    /// LRP-z⁺ on convolutions, LRP-ε on linear layers.
    pub fn epsilon_plus(epsilon: f64) -> Self {
        Self::epsilon_but(Rule::ZPlus, epsilon, [])
    }

    /// The same, but LRP-♭ on the first layers.
    pub fn epsilon_plus_flat(epsilon: f64) -> Self {
        Self::epsilon_but(Rule::ZPlus, epsilon, flat_first())
    }

    /// LRP-z^B on the first convolutions, LRP-γ on the others, LRP-ε on linear layers.
    pub fn epsilon_gamma_box(epsilon: f64, gamma: f64) -> Self {
        Self::epsilon_but(Rule::Gamma(gamma), epsilon, [Row::first(LayerKind::Convolution, Rule::ZBox)])
    }

    /// LRP-α2β1 on convolutions, LRP-ε on linear layers.
    pub fn epsilon_alpha2_beta1(epsilon: f64) -> Self {
        Self::epsilon_but(Rule::AlphaBeta { alpha: 2.0, beta: 1.0 }, epsilon, [])
    }

    /// The same, but LRP-♭ on the first layers.
    pub fn epsilon_alpha2_beta1_flat(epsilon: f64) -> Self {
        Self::epsilon_but(Rule::AlphaBeta { alpha: 2.0, beta: 1.0 }, epsilon, flat_first())
    }

    /// Excitation backpropagation (arXiv 1608.00507): LRP-z⁺ on all layers with weights, activation functions by their derivative.
    pub fn excitation_backprop() -> Self {
        let weighted = [LayerKind::Convolution, LayerKind::Linear, LayerKind::BatchNorm].map(|kind| Row::kind(kind, Rule::ZPlus));
        Self::over_base(weighted.into_iter().chain([Row::kind(LayerKind::Activation, Rule::Gradient)]))
    }

    /// The gradient, by the chain rule alone.
    pub fn gradient() -> Self {
        Self::new([Row { kind: None, name: None, first: None, rule: Rule::Gradient }])
    }

    /// The gradient, but only where it and the activation are positive: guided backpropagation (arXiv 1412.6806).
    pub fn guided_backprop() -> Self {
        Self::new([Row::kind(LayerKind::Activation, Rule::Guided), Row { kind: None, name: None, first: None, rule: Rule::Gradient }])
    }

    /// The same with another stabiliser: its form is that of all denominators, its ε that of all rules but [`Rule::Epsilon`] and
    /// [`Rule::Zero`], which have their own.
    #[must_use]
    pub fn with_stabilizer(self, stabilizer: Stabilizer) -> Self {
        Self { stabilizer, ..self }
    }

    /// How an ε comes into all denominators.
    pub fn form(&self) -> Form {
        self.stabilizer.form
    }

    /// What stabilises the denominators of a rule.
    pub fn stabilizer(&self, rule: Rule) -> Stabilizer {
        match rule {
            Rule::Zero => Stabilizer { epsilon: 0.0, form: Form::Add },
            Rule::Epsilon(epsilon) => Stabilizer { epsilon, ..self.stabilizer },
            _ => self.stabilizer,
        }
    }

    /// What is wrong with the rows, whatever the net.
    ///
    /// # Errors
    /// When a row's pattern or numbers are no good.
    pub fn check(&self) -> Result<()> {
        self.patterns().map(|_| ())
    }

    /// The rows with their patterns.
    fn patterns(&self) -> Result<Vec<(&Row, Option<Pattern>)>> {
        let pattern = |row: &Row| {
            if let Some(problem) = row.rule.problem() {
                return Err(Error::request(format!("the composite's rule {:?} is no good: {problem}", row.rule)));
            }
            let Some(name) = &row.name else { return Ok(None) };
            let pattern = Pattern::new(name);
            pattern.map(Some).map_err(|error| Error::request(format!("the composite's pattern {name:?} is no good: {error}")))
        };
        self.rows.iter().map(|row| Ok((row, pattern(row)?))).collect()
    }

    /// The rule of each node of a graph but the input.
    ///
    /// # Errors
    /// As [`check`](Self::check), when a pattern fits no layer, and when a layer has no rule, or one that does not suit it.
    pub fn rules(&self, graph: &Graph) -> Result<Vec<Rule>> {
        let rows = self.patterns()?;
        for (_, pattern) in &rows {
            if let Some(pattern) = &pattern
                && !graph.nodes().iter().any(|node| pattern.matches(&node.name))
            {
                let names = graph.nodes().iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(Error::request(format!("no layer has a name like `{pattern}`")).with_help(format!("the layers are {names}")));
            }
        }
        let first = first_layers(graph);
        let rule = |id: NodeId| {
            let node = graph.node(id);
            let refuse = |problem: String| Error::request(format!("layer `{}` ({:?}) {problem}", node.name, node.op));
            let kind = LayerKind::of(&node.op).ok_or_else(|| refuse("is a second input".into()))?;
            let fits = |(row, pattern): &&(&Row, Option<Pattern>)| {
                row.kind.is_none_or(|wanted| wanted == kind)
                    && pattern.as_ref().is_none_or(|pattern| pattern.matches(&node.name))
                    && row.first.is_none_or(|wanted| wanted == first.contains(&id))
            };
            let (row, _) = rows.iter().find(fits).ok_or_else(|| refuse("has no rule in the composite".into()))?;
            if row.rule.suits(kind) { Ok(row.rule) } else { Err(refuse(format!("cannot be explained by the rule {:?}", row.rule))) }
        };
        graph.ids().skip(1).map(rule).collect()
    }
}

/// LRP-♭ on the first layers.
fn flat_first() -> [Row; 2] {
    [LayerKind::Convolution, LayerKind::Linear].map(|kind| Row::first(kind, Rule::Flat))
}

/// The layers with weights that the image reaches through layers without weights alone.
pub(crate) fn first_layers(graph: &Graph) -> BTreeSet<NodeId> {
    let mut behind = vec![false; graph.nodes().len()];
    let mut first = BTreeSet::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let after_weights = node.inputs.iter().any(|input| behind[input.index()]);
        if node.op.is_weighted() && !after_weights {
            first.insert(id);
        }
        behind[id.index()] = after_weights || node.op.is_weighted();
    }
    first
}
