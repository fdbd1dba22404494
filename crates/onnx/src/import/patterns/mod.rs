//! Functions that exporters spell out in several operators, put together again as one.

mod gates;
mod gelu;
mod layer_norm;
mod linear;

use std::collections::BTreeMap;

use bezoar_formats::Array;
use bezoar_formats::onnx::{Attribute, Model, Node};

use super::call;

/// How many operators a spelled-out function is deep, at most.
const DEEPEST: usize = 8;

/// The operator that a node is the last of, if it is one of a pattern.
type Pattern = fn(&Context<'_>, &Node) -> Option<Node>;

const PATTERNS: [Pattern; 6] = [gelu::exact, gelu::by_tanh, gates::swish, gates::hard_swish, layer_norm::spelled_out, linear::with_bias];

/// The nodes of a model, where the last of each pattern does the work of all; the others are left, and nothing may need them.
pub(super) fn fuse(model: &Model, makers: &BTreeMap<&str, usize>) -> Vec<Node> {
    let mut uses = BTreeMap::new();
    for name in model.nodes.iter().flat_map(|node| &node.inputs).chain(model.outputs.iter().map(|output| &output.name)) {
        *uses.entry(name.as_str()).or_insert(0) += 1;
    }
    let context = Context { model, makers, uses };
    model.nodes.iter().map(|node| PATTERNS.iter().find_map(|pattern| pattern(&context, node)).unwrap_or_else(|| node.clone())).collect()
}

/// What patterns are looked for in.
struct Context<'a> {
    model: &'a Model,
    makers: &'a BTreeMap<&'a str, usize>,
    uses: BTreeMap<&'a str, usize>,
}

/// A product: a number, and values under their names.
struct Product<'a> {
    factor: f64,
    names: Vec<&'a str>,
}

impl<'a> Context<'a> {
    /// The node that makes a value, if it is of this kind.
    fn made_by(&self, name: &str, operator: &str) -> Option<&'a Node> {
        let node = &self.model.nodes[*self.makers.get(name)?];
        (node.op_type == operator && node.domain.is_empty()).then_some(node)
    }

    /// A constant, also behind what leaves its numbers as they are.
    fn constant(&self, name: &str) -> Option<&'a Array> {
        let mut name = name;
        for _ in 0..DEEPEST {
            if let Some(array) = self.model.initializers.get(name) {
                return Some(array);
            }
            let node = &self.model.nodes[*self.makers.get(name)?];
            match (node.op_type.as_str(), node.attributes.get("value"), node.inputs.first()) {
                ("Constant", Some(Attribute::Tensor(array)), _) => return Some(array),
                ("Identity" | "Cast" | "CastLike", _, Some(input)) => name = input,
                _ => return None,
            }
        }
        None
    }

    /// The number that a constant is.
    fn scalar(&self, name: &str) -> Option<f64> {
        let made = self.made_by(name, "Constant").and_then(|node| match node.attributes.get("value_float") {
            Some(Attribute::Float(value)) => Some(f64::from(*value)),
            _ => None,
        });
        made.or_else(|| self.constant(name).and_then(call::scalar))
    }

    /// Whether a value is this number, as nearly as `f32` tells.
    fn is(&self, name: &str, number: f64) -> bool {
        self.scalar(name).is_some_and(|value| near(value, number))
    }

    /// The other input of a node of two inputs, of which one is this number.
    fn beside(&self, node: &'a Node, number: f64) -> Option<&'a str> {
        match node.inputs.as_slice() {
            [a, b] if self.is(b, number) => Some(a),
            [a, b] if self.is(a, number) => Some(b),
            _ => None,
        }
    }

    /// What a node multiplies, and what those values are products of in turn; what is called `whole` is not taken apart.
    fn product(&self, node: &'a Node, whole: Option<&str>) -> Option<Product<'a>> {
        let mut product = Product { factor: 1.0, names: Vec::new() };
        self.multiply(node, whole, &mut product, 0)?;
        product.names.sort_unstable();
        Some(product)
    }

    fn multiply(&self, node: &'a Node, whole: Option<&str>, product: &mut Product<'a>, depth: usize) -> Option<()> {
        let ([a, b], true) = (node.inputs.as_slice(), depth < DEEPEST && node.domain.is_empty()) else { return None };
        let factors = match node.op_type.as_str() {
            "Mul" => vec![a, b],
            "Div" => {
                product.factor /= self.scalar(b)?;
                vec![a]
            }
            _ => return None,
        };
        for name in factors {
            let inner = ["Mul", "Div"].iter().find_map(|operator| self.made_by(name, operator));
            if let Some(number) = self.scalar(name) {
                product.factor *= number;
            } else if let Some(inner) = inner.filter(|_| whole != Some(name.as_str()))
                && self.is_taken_apart(inner)
            {
                self.multiply(inner, whole, product, depth + 1)?;
            } else {
                product.names.push(name);
            }
            if product.names.len() > DEEPEST {
                return None;
            }
        }
        Some(())
    }

    /// Whether a node is a product that can be looked into: every product, and quotients by numbers.
    fn is_taken_apart(&self, node: &Node) -> bool {
        node.op_type == "Mul" || node.inputs.get(1).is_some_and(|divisor| self.scalar(divisor).is_some())
    }
}

impl Product<'_> {
    /// Whether it is this number times these values.
    fn is(&self, factor: f64, names: &[&str]) -> bool {
        let mut wanted = names.to_vec();
        wanted.sort_unstable();
        near(self.factor, factor) && self.names == wanted
    }
}

/// As nearly as `f32` and exporters' rounding tell.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-4 * b.abs()
}

/// A node in the place of another.
fn instead(last: &Node, operator: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> Node {
    Node {
        name: last.name.clone(),
        op_type: operator.to_owned(),
        domain: String::new(),
        inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
        outputs: last.outputs.clone(),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}
