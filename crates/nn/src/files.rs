//! Nets in safetensors files, their graph in the file's metadata.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use bezoar_core::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use crate::{AtPlace, Graph, Network, device};

/// The one entry of the metadata.
const NOTE: &str = "bezoar";

/// The version of the graph's JSON in saved nets. A cache that holds nets of another version has none that can be read.
pub const FORMAT: u32 = 2;

impl Network {
    /// Writes the net to a safetensors file that other programs can read too: tensors under PyTorch's names, the graph as JSON
    /// in the metadata. The file is there as a whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let note = serde_json::to_string(self.graph()).map_err(Error::request)?;
        write(path, self.parameters().iter().map(|(name, tensor)| (name.clone(), tensor)), note)
    }

    /// Reads a net that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When the file is no such file, is cut off, lacks a parameter or has one of a wrong shape, or holds a NaN or an infinity.
    pub fn load(path: &Path, wanted: bezoar_core::Device) -> Result<Self> {
        let (parameters, note) = read(path, &device(wanted)?)?;
        let graph: Graph = serde_json::from_str(&note).map_err(|error| Error::data(path.display(), format!("holds no net: {error}")))?;
        Self::new(graph, parameters).map_err(|error| Error::data(path.display(), error))
    }
}

/// Writes tensors as `f32` and a note to a file, which is there as a whole or not at all.
pub(crate) fn write<'a>(path: &Path, tensors: impl Iterator<Item = (String, &'a Tensor)>, note: String) -> Result<()> {
    let values = tensors.map(|(name, tensor)| {
        let host = tensor.to_device(&Device::Cpu).and_then(|host| host.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()).at(&name)?;
        let bytes: Vec<u8> = host.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok((name, tensor.dims().to_vec(), bytes))
    });
    let values = values.collect::<Result<Vec<_>>>()?;
    let refuse = |error| Error::data(path.display(), error);
    let views = values.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(refuse)?)));
    let file = serialize(views.collect::<Result<Vec<_>>>()?, Some([(NOTE.to_owned(), note)].into())).map_err(refuse)?;
    let partial = path.with_extension("partial");
    let written = File::create(&partial).and_then(|mut out| {
        out.write_all(&file)?;
        out.sync_all()
    });
    written.and_then(|()| std::fs::rename(&partial, path)).map_err(|error| Error::io(path, error))
}

/// The tensors and the note of a file that [`write`] wrote.
pub(crate) fn read(path: &Path, device: &Device) -> Result<(BTreeMap<String, Tensor>, String)> {
    let broken = |problem: &dyn std::fmt::Display| Error::data(path.display(), format!("no whole safetensors file: {problem}"));
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| broken(&error))?;
    let note = metadata.metadata().as_ref().and_then(|notes| notes.get(NOTE)).cloned();
    let note = note.ok_or_else(|| Error::data(path.display(), "its metadata has no entry `bezoar`: another program wrote it"))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| broken(&error))?;
    let tensors = file.iter().map(|(name, view)| {
        let place = format!("{}, tensor `{name}`", path.display());
        if view.dtype() != Dtype::F32 {
            return Err(Error::data(place, format!("is {:?}, not F32", view.dtype())));
        }
        let values: Vec<f32> = view.data().as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::data(place, format!("holds {value}")));
        }
        Ok((name.to_owned(), Tensor::from_vec(values, view.shape(), device).at(&place)?))
    });
    Ok((tensors.collect::<Result<_>>()?, note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{distance, net, random};

    #[test]
    fn nets_come_back_from_files_and_broken_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        let net = net(DType::F32);
        net.save(&path).unwrap();
        let back = Network::load(&path, bezoar_core::Device::Cpu).unwrap();
        assert_eq!(back.graph(), net.graph());
        let images = random(1, &[2, 2, 9, 8]).to_dtype(DType::F32).unwrap();
        assert!(distance(&back.forward(&images).unwrap(), &net.forward(&images).unwrap()) == 0.0);

        let load = || Network::load(&path, bezoar_core::Device::Cpu).unwrap_err().to_string();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 7, 100, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(load().contains("net.safetensors"));
        }
        let note = serde_json::to_string(net.graph()).unwrap();
        let save = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
            let mut parameters = net.parameters().clone();
            change(&mut parameters);
            write(&path, parameters.iter().map(|(name, tensor)| (name.clone(), tensor)), note.clone()).unwrap();
            load()
        };
        assert!(save(&|all| drop(all.remove("head.bias"))).contains("head.bias"));
        assert!(save(&|all| drop(all.insert("head.bias".into(), random(1, &[5])))).contains("[5]"));
        assert!(save(&|all| drop(all.insert("more".into(), random(1, &[5])))).contains("more"));
        assert!(save(&|all| drop(all.insert("head.bias".into(), Tensor::new(&[f32::NAN; 4], &Device::Cpu).unwrap()))).contains("NaN"));
    }
}
