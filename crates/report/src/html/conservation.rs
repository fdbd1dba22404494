//! What became of the relevance that representations share out: how far their heatmaps can be trusted to add up.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::format::{UNDEFINED, percent};

/// What a line of a balance says of a layer. Anything else in it is for its file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Layer {
    arrived: f64,
    handed_on: f64,
    bias: f64,
    epsilon: f64,
    lost: f64,
}

pub(super) fn section(balances: &BTreeMap<String, Value>) -> Markup {
    let lines: Vec<(&String, Layer)> = balances.iter().filter_map(|(name, balance)| Some((name, total(balance)?))).collect();
    if lines.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Where the relevance went" }
        p.note {
            "Of the relevance that arrived at layers, all of them together, in percent: what they handed on, and what was absorbed by biases, by the "
            "stabiliser ε, and by outputs for which nothing spoke. Each layer’s own is in " code { "balance.json" } "."
        }
        div.scroll tabindex="0" role="region" aria-label="Where the relevance went" {
            table {
                thead {
                    tr {
                        th scope="col" { "Representation" }
                        @for name in ["Handed on", "Biases", "ε", "Lost"] { th.number scope="col" { (name) } }
                    }
                }
                tbody {
                    @for (name, layer) in &lines {
                        tr {
                            th scope="row" { (name) }
                            @for part in [layer.handed_on, layer.bias, layer.epsilon, layer.lost] { td.number { (share(part, layer.arrived)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The sum over all layers; none of what is no list of layers.
fn total(balance: &Value) -> Option<Layer> {
    let layers: Vec<Layer> = Deserialize::deserialize(balance).ok()?;
    Some(layers.into_iter().fold(Layer::default(), |sum, layer| Layer {
        arrived: sum.arrived + layer.arrived,
        handed_on: sum.handed_on + layer.handed_on,
        bias: sum.bias + layer.bias,
        epsilon: sum.epsilon + layer.epsilon,
        lost: sum.lost + layer.lost,
    }))
}

fn share(part: f64, whole: f64) -> String {
    let share = part / whole;
    if share.is_finite() { percent(share) } else { UNDEFINED.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layers_add_up_and_strangers_are_left_out() {
        let layer =
            json!({ "layer": "conv", "rule": "epsilon", "arrived": 2.0, "handed-on": 1.0, "bias": 0.5, "epsilon": 0.25, "lost": 0.25 });
        let sum = total(&json!([layer, layer])).unwrap();
        assert_eq!((sum.arrived, sum.handed_on, sum.bias, sum.epsilon, sum.lost), (4.0, 2.0, 1.0, 0.5, 0.5));
        assert_eq!([share(1.0, 4.0), share(1.0, 0.0)], ["25.00", UNDEFINED]);
        assert!(total(&json!("nothing")).is_none());
        assert!(section(&BTreeMap::new()).into_string().is_empty());
    }
}
