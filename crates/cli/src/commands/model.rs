use std::path::PathBuf;

use bezoar_core::{Error, Result};
use bezoar_formats::onnx;
use bezoar_nn::{Graph, Op};
use clap::{Args, Subcommand};

use crate::commands::arrays::read_network;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Model {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Print a net's layers with the shapes that they give, their parameters and multiply-adds.
    Describe {
        /// An ONNX model, or a `network.safetensors` of a run.
        model: PathBuf,
    },
    /// Write a net as an ONNX model.
    Export {
        /// A `network.safetensors` of a run, or another ONNX model.
        model: PathBuf,
        /// Where the ONNX model goes.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Merge batch norm into the layers before it.
        #[arg(long)]
        fold: bool,
    },
}

impl Model {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<(), Error> {
        match &self.command {
            ModelCommand::Describe { model } => {
                terminal.result(&describe(read_network(model)?.graph()));
                Ok(())
            }
            ModelCommand::Export { model, output, fold } => {
                let network = read_network(model)?;
                let network = if *fold { network.fold_batch_norm()? } else { network };
                onnx::write(output, &bezoar_onnx::export(&network)?)
            }
        }
    }
}

/// An op's name, as saved nets have it.
fn kind(op: &Op) -> String {
    let saved = serde_json::to_value(op).unwrap_or_default();
    saved["op"].as_str().unwrap_or_default().to_owned()
}

fn describe(graph: &Graph) -> String {
    let name = |id| graph.node(id).name.as_str();
    let width = |text: &dyn Fn(bezoar_nn::NodeId) -> usize, least: usize| graph.ids().map(text).max().unwrap_or_default().max(least);
    let shape = |id| format!("{:?}", graph.shape(id));
    let (names, shapes) = (width(&|id| name(id).chars().count(), 5), width(&|id| shape(id).len(), 5));
    let mut text = format!("{:names$} {:shapes$} {:>12} {:>14}  what of what\n", "layer", "gives", "parameters", "multiply-adds");
    for id in graph.ids() {
        let node = graph.node(id);
        let inputs = node.inputs.iter().map(|input| name(*input)).collect::<Vec<_>>().join(", ");
        let (parameters, products) = (graph.parameter_count_of(id), graph.multiply_adds_of(id));
        text += &format!("{:names$} {:shapes$} {parameters:>12} {products:>14}  {} {inputs}\n", node.name, shape(id), kind(&node.op));
    }
    let (parameters, products) = (graph.parameter_count(), graph.multiply_adds());
    text + &format!("{:names$} {:shapes$} {parameters:>12} {products:>14}\n", "all", "")
}
