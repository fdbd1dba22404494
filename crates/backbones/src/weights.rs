//! Tensors of a file for candle's builders, with an account of what they asked for in vain.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bezoar_core::{Error, Result};
use bezoar_formats::{Values, state_dict};
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

/// The tensors of a file by name.
///
/// candle-transformers' builders go on without some tensors, with chance or nothing in their place; so each request that fails is kept
/// and told at the end.
#[derive(Clone)]
pub(crate) struct Weights {
    tensors: Arc<BTreeMap<String, Tensor>>,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Weights {
    /// The floats of a `.safetensors`, `.pt` or `.pth` file, as `f32` on a device.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(path: &Path, device: &Device) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for (name, array) in state_dict::read(path)? {
            let (shape, values) = array.into_parts();
            let values: Vec<f32> = match values {
                Values::F32(values) => values,
                Values::F64(values) => values.into_iter().map(|value| value as f32).collect(),
                _ => continue,
            };
            let tensor = Tensor::from_vec(values, shape, device).map_err(|error| Error::data(path.display(), error))?;
            tensors.insert(name, tensor);
        }
        Ok(Self::of(tensors))
    }

    pub(crate) fn of(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors: Arc::new(tensors), problems: Arc::default() }
    }

    /// The same under other names; none leaves a tensor out.
    pub(crate) fn renamed(&self, name: impl Fn(&str) -> Option<String>) -> Self {
        let renamed = self.tensors.iter().filter_map(|(old, tensor)| Some((name(old)?, tensor.clone())));
        Self { tensors: Arc::new(renamed.collect()), problems: Arc::clone(&self.problems) }
    }

    /// The same with one more tensor, instead of the file's if it has one.
    pub(crate) fn with(&self, name: &str, tensor: Tensor) -> Self {
        let mut tensors = BTreeMap::clone(&self.tensors);
        tensors.insert(name.to_owned(), tensor);
        Self { tensors: Arc::new(tensors), problems: Arc::clone(&self.problems) }
    }

    pub(crate) fn builder(&self, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, device.clone())
    }

    /// What was asked for and is not there, or of another shape.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, problem: String) -> candle_core::Error {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem.clone());
        candle_core::Error::Msg(problem)
    }
}

impl SimpleBackend for Weights {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.note(format!("`{name}` {:?} is missing", shape.dims())))?;
        if *tensor.shape() != shape {
            return Err(self.note(format!("`{name}` is {:?}, and the net takes {:?}", tensor.dims(), shape.dims())));
        }
        tensor.to_device(device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.note(format!("`{name}` is missing")))?;
        tensor.to_device(device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        let known = self.tensors.contains_key(name);
        if !known {
            let _ = self.note(format!("`{name}` is missing"));
        }
        known
    }
}
