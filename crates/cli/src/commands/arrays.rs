//! Arrays from files through a net, and back to files: what `infer`, `activations` and `attribute` share.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bezoar_core::{Device, Error, Part, Result};
use bezoar_formats::{Array, Values, onnx, read_array, write_array};
use bezoar_nn::{Architecture, AtPlace, Network};
use candle_core::{DType, Tensor, WithDType};
use clap::{Args, ValueEnum};

use crate::commands::block::part;
use crate::terminal::Terminal;

/// A net, images, and how they meet.
#[derive(Args)]
pub(crate) struct Arrays {
    /// The net: an ONNX model, a `network.safetensors` of a run, or with --architecture a file of parameters.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The architecture whose parameters the model's file holds (`.safetensors`, `.pt` or `.pth`, under torchvision's or timm's names): a
    /// block as of `model:` in a pipeline, such as `{ use: resnet, depth: 50, stem: imagenet }`, or a name alone.
    #[arg(long, value_name = "BLOCK")]
    architecture: Option<String>,
    /// The images as the net takes them: `[N, C, H, W]`, floats, `.npy` or `.safetensors`.
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
    /// Where the result goes, `.npy` or `.safetensors`.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The numbers that are computed with; f64 is slower and exact enough to compare with.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    /// What computes.
    #[arg(long, default_value_t = Device::Cpu)]
    device: Device,
    /// Images that are worked on together.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    F32,
    F64,
}

impl Arrays {
    /// The images, as they are in their file.
    pub(crate) fn images(&self) -> Result<Tensor> {
        let (shape, values) = read_array(&self.inputs)?.into_parts();
        let wrong = |problem: String| Error::data(self.inputs.display(), problem);
        if shape.len() != 4 {
            return Err(wrong(format!("holds {shape:?}, and images are [N, C, H, W]")));
        }
        if shape.contains(&0) {
            return Err(wrong("holds no images".into()));
        }
        match values {
            Values::F32(values) => tensor(values, shape),
            Values::F64(values) => tensor(values, shape),
            other => Err(format!("holds {:?}, and images are floats", other.dtype())),
        }
        .map_err(wrong)
    }

    /// The net for these images, on its device and in its precision.
    pub(crate) fn network(&self, images: &Tensor) -> Result<Network> {
        let dtype = match self.precision {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        };
        let place = self.inputs.display().to_string();
        let (_, channels, height, width) = images.dims4().at(&place)?;
        let network = match &self.architecture {
            Some(block) => read_parameters(&self.model, block, [channels, height, width])?,
            None => read_network(&self.model)?,
        };
        let wanted @ [c, h, w] = network.graph().input();
        if wanted != [channels, height, width] {
            return Err(Error::data(place, format!("holds {:?}, and the net takes [N, {c}, {h}, {w}]", images.dims())));
        }
        network.to(&bezoar_nn::device(self.device)?, dtype)
    }

    /// Hands the images to `work`, a batch at a time with the range of their rows, and writes what it makes of them, a row an image.
    pub(crate) fn through(
        &self,
        terminal: &Terminal,
        network: &Network,
        images: &Tensor,
        label: &str,
        mut work: impl FnMut(&Tensor, Range<usize>) -> Result<Tensor>,
    ) -> Result<()> {
        let cx = terminal.context(0, self.device)?;
        let count = images.dim(0).at(label)?;
        let progress = cx.task(label, count as u64);
        let mut results = Vec::new();
        for start in (0..count).step_by(self.batch as usize) {
            cx.check()?;
            let rows = start..count.min(start + self.batch as usize);
            let batch = images.narrow(0, start, rows.len()).and_then(|batch| batch.to_dtype(network.dtype())?.to_device(network.device()));
            let result = work(&batch.at(label)?, rows.clone())?;
            results.push(result.to_device(&candle_core::Device::Cpu).at(label)?);
            progress.advance(rows.len() as u64);
        }
        drop(progress);
        write_array(&self.output, &array(&Tensor::cat(&results, 0).at(label)?).at(label)?)
    }
}

/// Images of finite values, or what is wrong with them.
fn tensor<T: WithDType>(values: Vec<T>, shape: Vec<usize>) -> std::result::Result<Tensor, String> {
    if let Some(place) = values.iter().position(|value| !value.to_f64().is_finite()) {
        return Err(format!("image {} holds a value that is not finite", place / shape[1..].iter().product::<usize>()));
    }
    Tensor::from_vec(values, shape, &candle_core::Device::Cpu).map_err(|error| error.to_string())
}

/// The net of an ONNX model or of a run.
pub(crate) fn read_network(path: &Path) -> Result<Network> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("onnx") => {
            let model = onnx::read(path)?;
            bezoar_onnx::import(&model).map_err(|error| Error::data(path.display(), error))
        }
        Some("safetensors") => Network::load(path, Device::Cpu),
        _ => Err(Error::data(path.display(), "is no net that is known here")
            .with_help("nets are `.onnx` models, `network.safetensors` of a run, or parameters of an --architecture")),
    }
}

/// The net of an architecture, a block of YAML or a name, for images `[channels, height, width]`, with the parameters of a file.
pub(crate) fn read_parameters(path: &Path, block: &str, images: [usize; 3]) -> Result<Network> {
    let architecture: Part<dyn Architecture> = part("--architecture", block, &[])?;
    bezoar_models::load(&*architecture, images, path)
}

/// Class indices of images.
pub(crate) fn read_classes(path: &Path) -> Result<Vec<u32>> {
    let array = read_array(path)?;
    let wrong = |problem: &str| Error::data(path.display(), problem).with_help("class indices are whole numbers, one an image");
    let integers = array.to_integers().ok_or_else(|| wrong("holds floats"))?;
    if array.shape().len() != 1 {
        return Err(wrong("has more than one dimension"));
    }
    integers.into_iter().map(|class| u32::try_from(class).map_err(|_| wrong(&format!("holds the class {class}")))).collect()
}

fn array(tensor: &Tensor) -> candle_core::Result<Array> {
    let flat = tensor.flatten_all()?;
    let values = if tensor.dtype() == DType::F64 { Values::F64(flat.to_vec1()?) } else { Values::F32(flat.to_vec1()?) };
    Array::new(tensor.dims().to_vec(), values).map_err(|error| candle_core::Error::Msg(error.to_string()))
}
