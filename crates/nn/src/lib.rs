//! Nets as graphs of named layers: parameters are candle tensors, what layers hand on are [`Array`]s.
//!
//! - [`Graph`]: what a net computes, as data. [`GraphBuilder`] infers and checks shapes.
//! - [`Network`]: a graph with its parameters; scores, activations of any layer, batch norm folding.
//! - [`Array`]: values of a batch, on the CPU in [`Memory`] that is used again.
//! - [`ops`]: what layers compute and how gradients pass through them, on every device.
//! - [`train`]: training, with plugins for the [`optimizer`], the [`schedule`] and the [`augmentation`].
//!
//! Not here: architectures (see `bezoar-models`), relevance and heatmaps (see `bezoar-attribution`).

mod activation;
mod architecture;
mod array;
pub mod augmentation;
mod files;
mod fold;
mod gradient;
pub mod graph;
mod kernels;
mod loss;
mod network;
mod op;
pub mod ops;
#[cfg(test)]
mod testing;
mod training;
mod window;

pub use activation::Activation;
pub use architecture::Architecture;
pub use array::{Array, Memory};
pub use files::FORMAT;
pub use gradient::{Mode, Tape};
pub use graph::{Graph, GraphBuilder, Node, NodeId, Parameter, Role};
pub use loss::{Loss, cross_entropy};
pub use network::{Network, features};
pub use op::{Interpolation, Op};
pub use training::{Epoch, Score, TrainConfig, Trained, evaluate, optimizer, schedule, train};
pub use window::{Border, Window};

use bezoar_core::{Error, Result};
use candle_core::Device;

/// Says where a tensor operation failed.
pub trait AtPlace<T> {
    /// The same result; an error names `place`, a layer or a parameter.
    fn at(self, place: &str) -> Result<T>;
}

impl<T> AtPlace<T> for candle_core::Result<T> {
    fn at(self, place: &str) -> Result<T> {
        self.map_err(|error| Error::data(place, error))
    }
}

/// The device that a context asks for.
///
/// # Errors
/// When this build or machine does not have it.
pub fn device(wanted: bezoar_core::Device) -> Result<Device> {
    use bezoar_core::Device::{Auto, Cpu, Cuda, Metal};
    let refuse = |error: candle_core::Error| {
        let help = "build with the feature `cuda` or `metal` on a machine that has the device, or say `device: cpu`";
        Error::request(format!("device {wanted} is not to be had: {error}")).with_help(help)
    };
    match wanted {
        Auto => Ok(Device::new_cuda(0).or_else(|_| Device::new_metal(0)).unwrap_or(Device::Cpu)),
        Cpu => Ok(Device::Cpu),
        Cuda(number) => Device::new_cuda(number).map_err(refuse),
        Metal(number) => Device::new_metal(number).map_err(refuse),
    }
}

/// The device behind a wish, with `auto` resolved to what is there.
///
/// # Errors
/// When this build or machine does not have it.
pub fn resolve(wanted: bezoar_core::Device) -> Result<bezoar_core::Device> {
    use bezoar_core::Device::{Auto, Cpu, Cuda, Metal};
    Ok(match (device(wanted)?, wanted) {
        (Device::Cpu, _) => Cpu,
        (Device::Cuda(_), Auto) => Cuda(0),
        (Device::Metal(_), Auto) => Metal(0),
        _ => wanted,
    })
}
