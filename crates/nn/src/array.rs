//! Values of a batch, as layers hand them on.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Tensor, bail};

use crate::kernels::Element;

/// Values of a batch, `[N, ...]`.
///
/// On the CPU they lie in [`Memory`] and are what this crate's kernels work on; elsewhere they are a candle tensor. Copies share
/// their values.
#[derive(Clone, Debug)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

#[derive(Clone, Debug)]
pub(crate) enum Values {
    F32(Shared<f32>),
    F64(Shared<f64>),
    Device(Tensor),
}

/// Values on the CPU.
pub(crate) type Shared<T> = Arc<Lease<T>>;

/// Memory that is used again: an array's values return there with its last copy, and serve the next array of about their number.
///
/// Layers ask for the same sizes over and over. Asking the system each time costs as much as computing, for it hands out every
/// page zeroed and takes it back.
#[derive(Clone, Default)]
pub struct Memory(Arc<Shelves>);

/// What nobody uses now, by capacity.
#[derive(Default)]
pub(crate) struct Shelves {
    pub(crate) f32: Shelf<f32>,
    pub(crate) f64: Shelf<f64>,
}

pub(crate) type Shelf<T> = Mutex<BTreeMap<usize, Vec<Vec<T>>>>;

/// Values that return to their memory.
pub(crate) struct Lease<T: Element> {
    values: Vec<T>,
    memory: Memory,
}

impl Memory {
    /// Values of no meaning.
    pub(crate) fn lease<T: Element>(&self, len: usize) -> Lease<T> {
        let mut shelf = T::shelf(&self.0).lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = shelf.range_mut(len..=2 * len).find_map(|(_, free)| free.pop());
        drop(shelf);
        let mut values = fitting.unwrap_or_default();
        // No more than is asked for, or the shelf would not know it by its length.
        values.reserve_exact(len.saturating_sub(values.len()));
        values.resize(len, T::ZERO);
        Lease { values, memory: self.clone() }
    }
}

/// As many memories as there were threads at work at once: what a memory holds follows from the work, not from how threads met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memories(Arc<Mutex<Vec<Memory>>>);

impl Memories {
    /// Lends a memory to some work.
    pub(crate) fn lend<R>(&self, work: impl FnOnce(&Memory) -> R) -> R {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = free().pop().unwrap_or_default();
        let result = work(&memory);
        free().push(memory);
        result
    }
}

impl<T: Element> Deref for Lease<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T: Element> DerefMut for Lease<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T: Element> Drop for Lease<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        let mut shelf = T::shelf(&self.memory.0).lock().unwrap_or_else(PoisonError::into_inner);
        shelf.entry(values.capacity()).or_default().push(values);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl<T: Element> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.len())
    }
}

impl Array {
    /// The values of a tensor; on the CPU a copy, for `f32` and `f64`.
    pub fn new(tensor: &Tensor, memory: &Memory) -> Result<Self> {
        match tensor.dtype() {
            _ if !has_kernels(tensor) => Ok(Self::of_device(tensor.clone())),
            DType::F32 => Self::copy::<f32>(tensor, memory),
            DType::F64 => Self::copy::<f64>(tensor, memory),
            other => bail!("layers compute in f32 or f64, not {other:?}"),
        }
    }

    /// The values of a tensor, in this array's memory.
    pub fn like(&self, tensor: &Tensor) -> Result<Self> {
        Self::new(tensor, &self.memory())
    }

    fn copy<T: Element>(tensor: &Tensor, memory: &Memory) -> Result<Self> {
        with_values::<T, _>(&[tensor], |values| Self::host(memory, tensor.dims(), |copy| copy.copy_from_slice(values[0])))
    }

    /// A tensor that candle computes with, wherever it is.
    pub(crate) fn of_device(tensor: Tensor) -> Self {
        Self { shape: tensor.dims().to_vec(), values: Values::Device(tensor) }
    }

    /// An array on the CPU. What `fill` gets has no meaning before.
    pub(crate) fn host<T: Element>(memory: &Memory, shape: &[usize], fill: impl FnOnce(&mut [T])) -> Self {
        let mut lease = memory.lease(shape.iter().product());
        fill(&mut lease);
        Self { shape: shape.to_vec(), values: T::wrap(Arc::new(lease)) }
    }

    /// An array on the CPU of another shape, in this one's memory.
    pub(crate) fn fill<T: Element>(&self, shape: &[usize], fill: impl FnOnce(&mut [T])) -> Self {
        Self::host(&self.memory(), shape, fill)
    }

    /// An array of one value, of another shape, beside this one.
    pub(crate) fn full(&self, value: f64, shape: &[usize]) -> Result<Self> {
        match &self.values {
            Values::F32(_) => Ok(self.fill(shape, |values| values.fill(value as f32))),
            Values::F64(_) => Ok(self.fill(shape, |values| values.fill(value))),
            Values::Device(tensor) => Ok(Self::of_device(Tensor::full(value, shape, tensor.device())?.to_dtype(tensor.dtype())?)),
        }
    }

    /// The type and the device of a tensor of these values.
    pub(crate) fn place(&self) -> (DType, Device) {
        match &self.values {
            Values::F32(_) => (DType::F32, Device::Cpu),
            Values::F64(_) => (DType::F64, Device::Cpu),
            Values::Device(tensor) => (tensor.dtype(), tensor.device().clone()),
        }
    }

    /// The values as a tensor of their own.
    pub fn to_tensor(&self) -> Result<Tensor> {
        match &self.values {
            Values::F32(lease) => Tensor::from_slice(lease, self.dims(), &Device::Cpu),
            Values::F64(lease) => Tensor::from_slice(lease, self.dims(), &Device::Cpu),
            Values::Device(tensor) => Ok(tensor.clone()),
        }
    }

    /// Arrays of the same shape but for their number of samples, one after the other, as a tensor.
    pub fn stack(parts: &[Self]) -> Result<Tensor> {
        match parts.first().map(|first| &first.values) {
            None => bail!("nothing to stack"),
            Some(Values::F32(_)) => Self::stack_host::<f32>(parts),
            Some(Values::F64(_)) => Self::stack_host::<f64>(parts),
            Some(Values::Device(_)) => Tensor::cat(&parts.iter().map(Self::tensor).collect::<Result<Vec<_>>>()?, 0),
        }
    }

    fn stack_host<T: Element>(parts: &[Self]) -> Result<Tensor> {
        let values = parts.iter().map(Self::slice::<T>).collect::<Result<Vec<_>>>()?.concat();
        let mut shape = parts[0].shape.clone();
        shape[0] = parts.iter().map(|part| part.shape[0]).sum();
        Tensor::from_vec(values, shape, &Device::Cpu)
    }

    /// Its shape.
    pub fn dims(&self) -> &[usize] {
        &self.shape
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same values in another shape.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self> {
        if shape.iter().product::<usize>() != self.len() {
            bail!("{:?} do not make {shape:?}", self.shape);
        }
        let values = match &self.values {
            Values::Device(tensor) => Values::Device(tensor.reshape(shape)?),
            host => host.clone(),
        };
        Ok(Self { shape: shape.to_vec(), values })
    }

    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    pub(crate) fn memory(&self) -> Memory {
        match &self.values {
            Values::F32(lease) => lease.memory.clone(),
            Values::F64(lease) => lease.memory.clone(),
            Values::Device(_) => Memory::default(),
        }
    }

    /// The values of an array on the CPU.
    pub(crate) fn slice<T: Element>(&self) -> Result<&[T]> {
        match T::leased(&self.values) {
            Some(lease) => Ok(lease),
            None => bail!("the values of a layer must be on one device and of one type"),
        }
    }

    /// The tensor of an array elsewhere.
    pub(crate) fn tensor(&self) -> Result<&Tensor> {
        match &self.values {
            Values::Device(tensor) => Ok(tensor),
            _ => bail!("the values of a layer must be on one device"),
        }
    }
}

/// Whether what is done to this tensor is done by our own kernels.
pub(crate) fn has_kernels(tensor: &Tensor) -> bool {
    #[cfg(test)]
    if crate::testing::is_composing() {
        return false;
    }
    tensor.device().is_cpu()
}

/// Calls `f` with the values of tensors on the CPU.
pub(crate) fn with_values<T: Element, R>(tensors: &[&Tensor], f: impl FnOnce(&[&[T]]) -> R) -> Result<R> {
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let values = guards.iter().zip(&tensors).map(|((storage, layout), tensor)| match &**storage {
        candle_core::Storage::Cpu(storage) => Ok(&T::cpu_storage_as_slice(storage)?[layout.start_offset()..][..tensor.elem_count()]),
        _ => bail!("the parameters of a layer must be on its values' device"),
    });
    Ok(f(&values.collect::<Result<Vec<_>>>()?))
}

/// What is done with the values of several tensors.
type Change<'f, T> = Box<dyn FnOnce(Vec<&mut [T]>) + 'f>;

/// Calls `f` with the values of tensors on the CPU, to be changed. No two of them may share values.
pub(crate) fn edit<T: Element>(tensors: &[&Tensor], f: impl FnOnce(Vec<&mut [T]>)) -> Result<()> {
    fn hold<T: Element>(tensors: &[&Tensor], mut held: Vec<&mut [T]>, f: Change<'_, T>) -> Result<()> {
        let Some((first, rest)) = tensors.split_first() else {
            f(held);
            return Ok(());
        };
        let edit = move |values: &mut [T]| {
            let held = held.iter_mut().map(|values| &mut **values).chain([values]).collect();
            hold(rest, held, f)
        };
        first.inplace_op1(&Edit(Cell::new(Some(edit)), PhantomData))
    }
    hold(tensors, Vec::new(), Box::new(f))
}

/// A change of a tensor's values.
struct Edit<T, F>(Cell<Option<F>>, PhantomData<T>);

impl<T: Element, F: FnOnce(&mut [T]) -> Result<()>> InplaceOp1 for Edit<T, F> {
    fn name(&self) -> &'static str {
        "edit"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (Some((start, end)), Some(values)) = (layout.contiguous_offsets(), T::storage(storage)) else {
            bail!("only values of one type that lie side by side can be changed")
        };
        self.0.take().map_or(Ok(()), |edit| edit(&mut values[start..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_copies_share_it() {
        let memory = Memory::default();
        let place = |array: &Array| array.slice::<f32>().unwrap().as_ptr();
        let first = Array::host::<f32>(&memory, &[2, 50], |values| values.fill(1.0));
        let copy = first.reshape(&[100]).unwrap();
        let used = place(&first);
        drop(first);
        let other = Array::host::<f32>(&memory, &[100], |values| values.fill(2.0));
        assert!(place(&other) != used && copy.slice::<f32>().unwrap() == [1.0; 100], "a copy keeps the values");
        drop(copy);
        assert_eq!(place(&Array::host::<f32>(&memory, &[70], |_| ())), used, "of about the same size");
        assert_ne!(place(&Array::host::<f32>(&memory, &[20], |_| ())), used, "but not of a far smaller one");
        assert!(other.slice::<f64>().is_err() && other.tensor().is_err() && other.reshape(&[99]).is_err());
    }

    #[test]
    fn tensors_come_back() {
        let tensor = Tensor::new(&[[1f64, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap().t().unwrap();
        let array = Array::new(&tensor, &Memory::default()).unwrap();
        assert_eq!(array.to_tensor().unwrap().to_vec2::<f64>().unwrap(), [[1.0, 3.0], [2.0, 4.0]]);
        assert!(Array::new(&tensor.to_dtype(DType::U8).unwrap(), &Memory::default()).is_err());
    }
}
