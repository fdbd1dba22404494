//! Merging batch norm into the weights before it.

use std::collections::BTreeMap;

use bezoar_core::Result;
use candle_core::Tensor;

use crate::graph::{Graph, GraphBuilder, NodeId};
use crate::op::Op;
use crate::{AtPlace, Network};

pub(crate) fn fold(network: &Network) -> Result<Network> {
    let graph = network.graph();
    let mut builder = GraphBuilder::new(graph.input())?;
    let mut parameters: BTreeMap<String, Tensor> = BTreeMap::new();
    let mut place = vec![builder.input()];
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| place[input.index()]).collect();
        if norm_before(graph, id).is_some() {
            place.push(inputs[0]);
            continue;
        }
        let keep =
            graph.parameters_of(id).into_iter().map(|parameter| (parameter.name.clone(), network.parameters()[&parameter.name].clone()));
        parameters.extend(keep);
        let mut op = node.op.clone();
        if let Some((norm, eps)) = norm_after(graph, id) {
            let (weight, bias) = merged(network, id, norm, eps).at(&node.name)?;
            parameters.insert(format!("{}.weight", node.name), weight);
            parameters.insert(format!("{}.bias", node.name), bias);
            if let Op::Conv2d { bias, .. } | Op::Linear { bias, .. } = &mut op {
                *bias = true;
            }
        }
        place.push(builder.add(&node.name, op, &inputs)?);
    }
    Network::new(builder.build()?, parameters)
}

/// The batch norm that alone takes this weighted node's output, channel by channel, and its eps.
fn norm_after(graph: &Graph, id: NodeId) -> Option<(NodeId, f64)> {
    let mut consumers = graph.consumers(id);
    // Batch norm is along the first axis, a linear layer along the last.
    let by_channel = match graph.node(id).op {
        Op::Conv2d { .. } => true,
        Op::Linear { .. } => graph.shape(id).len() == 1,
        _ => false,
    };
    match (by_channel, consumers.next(), consumers.next()) {
        (true, Some(norm), None) => match graph.node(norm).op {
            Op::BatchNorm { eps, .. } => Some((norm, eps)),
            _ => None,
        },
        _ => None,
    }
}

/// The weighted node that this batch norm is merged into.
fn norm_before(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let before = *graph.node(id).inputs.first()?;
    norm_after(graph, before).filter(|(norm, _)| *norm == id).map(|_| before)
}

/// Weights and bias that do what the layer and its batch norm did.
fn merged(network: &Network, id: NodeId, norm: NodeId, eps: f64) -> candle_core::Result<(Tensor, Tensor)> {
    let [scale, shift] = network.running_affine(norm, eps)?;
    let weight = network.weight(id)?;
    let mut rows = vec![1; weight.rank()];
    rows[0] = scale.elem_count();
    let bias = match network.parameter(id, "bias") {
        Some(bias) => ((bias * &scale)? + shift)?,
        None => shift,
    };
    Ok((weight.broadcast_mul(&scale.reshape(rows)?)?, bias))
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use crate::testing::{distance, net, random};

    #[test]
    fn a_folded_net_computes_the_same() {
        let net = net(DType::F32);
        let folded = net.fold_batch_norm().unwrap();
        let names: Vec<_> = folded.graph().nodes().iter().map(|node| node.name.as_str()).collect();
        assert!(!names.contains(&"a.norm") && !names.contains(&"hidden.norm"), "foldable: {names:?}");
        assert!(names.contains(&"joined.norm"), "after a concat there is nothing to fold into");
        let images = random(1, &[4, 2, 9, 8]).to_dtype(DType::F32).unwrap();
        assert!(distance(&folded.forward(&images).unwrap(), &net.forward(&images).unwrap()) < 1e-5);
        let (a, norm) = (folded.graph().find("a").unwrap(), net.graph().find("a.norm").unwrap());
        assert!(distance(&folded.forward_to(&images, a).unwrap(), &net.forward_to(&images, norm).unwrap()) < 1e-5);
    }
}
