use std::path::PathBuf;

use bezoar_core::{Error, Result};
use bezoar_formats::onnx;
use bezoar_nn::{Graph, Network, Op};
use clap::{Args, Subcommand};

use crate::commands::arrays::{read_network, read_parameters};
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
        #[command(flatten)]
        net: Net,
    },
    /// Write a net as an ONNX model.
    Export {
        #[command(flatten)]
        net: Net,
        /// Where the ONNX model goes.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Merge batch norm into the layers before it.
        #[arg(long)]
        fold: bool,
    },
}

#[derive(Args)]
struct Net {
    /// An ONNX model, a `network.safetensors` of a run, or with --architecture a file of parameters.
    model: PathBuf,
    /// The architecture whose parameters the file holds: a block as of `model:` in a pipeline, or a name alone.
    #[arg(long, value_name = "BLOCK", requires = "images")]
    architecture: Option<String>,
    /// Channels, height and width of the architecture's images.
    #[arg(long, value_name = "CxHxW", requires = "architecture", value_parser = shape)]
    images: Option<[usize; 3]>,
}

impl Net {
    fn read(&self) -> Result<Network> {
        match (&self.architecture, self.images) {
            (Some(block), Some(images)) => read_parameters(&self.model, block, images),
            _ => read_network(&self.model),
        }
    }
}

/// Three sizes, such as `3x32x32`.
fn shape(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    sizes.and_then(|sizes| sizes.try_into().ok()).ok_or_else(|| "channels, height and width look like 3x32x32".to_owned())
}

impl Model {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<(), Error> {
        match &self.command {
            ModelCommand::Describe { net } => {
                terminal.result(&describe(net.read()?.graph()));
                Ok(())
            }
            ModelCommand::Export { net, output, fold } => {
                let network = net.read()?;
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
