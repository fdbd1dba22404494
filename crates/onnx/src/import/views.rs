//! Constants cut, turned and repeated: which value of one array stands where in another.

use bezoar_formats::{Array, Values};

use super::Problem;

/// An array seen through steps along its axes, as NumPy's strides are.
#[derive(Clone, Debug)]
pub(super) struct View {
    shape: Vec<usize>,
    steps: Vec<isize>,
    start: isize,
}

impl View {
    /// An array of this shape as it is.
    pub(super) fn of(shape: &[usize]) -> Self {
        let mut steps = vec![1isize; shape.len()];
        for axis in (1..shape.len()).rev() {
            steps[axis - 1] = steps[axis] * shape[axis] as isize;
        }
        Self { shape: shape.to_vec(), steps, start: 0 }
    }

    /// Its shape.
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The axes in another order, of which each is one.
    pub(super) fn transposed(self, order: &[usize]) -> Self {
        let shape = order.iter().map(|&axis| self.shape[axis]).collect();
        Self { shape, steps: order.iter().map(|&axis| self.steps[axis]).collect(), start: self.start }
    }

    /// So many places along an axis, from `start` on, `step` apart; all must exist.
    pub(super) fn sliced(mut self, axis: usize, start: usize, count: usize, step: isize) -> Self {
        self.start += start as isize * self.steps[axis];
        self.steps[axis] *= step;
        self.shape[axis] = count;
        self
    }

    /// Repeated along axes of 1 and new ones at the front until it has this shape.
    pub(super) fn broadcast(self, shape: &[usize]) -> Result<Self, Problem> {
        let refuse = || format!("the shape {:?} cannot become {shape:?}", self.shape);
        let new = shape.len().checked_sub(self.shape.len()).ok_or_else(refuse)?;
        let mut steps = vec![0; shape.len()];
        for (axis, (&size, &step)) in self.shape.iter().zip(&self.steps).enumerate() {
            match shape[new + axis] {
                wanted if wanted == size => steps[new + axis] = step,
                _ if size == 1 => {}
                _ => return Err(refuse()),
            }
        }
        Ok(Self { shape: shape.to_vec(), steps, start: self.start })
    }

    /// Where the value at the first indices stands, those left out being 0; indices count from the end where they are negative.
    pub(super) fn place(&self, indices: &[i64]) -> Option<usize> {
        let along = indices.iter().zip(self.shape.iter().zip(&self.steps)).map(|(&index, (&size, &step))| {
            let at = if index < 0 { index.checked_add(size as i64)? } else { index };
            usize::try_from(at).ok().filter(|at| *at < size).map(|at| at as isize * step)
        });
        along.sum::<Option<isize>>().map(|place| (self.start + place) as usize)
    }

    /// For each place in row-major order, where its value stands in the array.
    pub(super) fn places(&self) -> Vec<usize> {
        let mut places = vec![self.start];
        for (&size, &step) in self.shape.iter().zip(&self.steps) {
            places = places.into_iter().flat_map(|place| (0..size as isize).map(move |at| place + at * step)).collect();
        }
        places.into_iter().map(|place| place as usize).collect()
    }

    /// The array so seen.
    pub(super) fn take(&self, array: &Array) -> Result<Array, Problem> {
        picked(array, self.shape.clone(), &self.places())
    }
}

/// An array of the values at these places, all of which must exist.
pub(super) fn picked(array: &Array, shape: Vec<usize>, places: &[usize]) -> Result<Array, Problem> {
    fn pick<T: Copy>(values: &[T], places: &[usize]) -> Option<Vec<T>> {
        places.iter().map(|&place| values.get(place).copied()).collect()
    }
    let values = match array.values() {
        Values::Bool(values) => pick(values, places).map(Values::Bool),
        Values::U8(values) => pick(values, places).map(Values::U8),
        Values::I8(values) => pick(values, places).map(Values::I8),
        Values::I32(values) => pick(values, places).map(Values::I32),
        Values::I64(values) => pick(values, places).map(Values::I64),
        Values::F32(values) => pick(values, places).map(Values::F32),
        Values::F64(values) => pick(values, places).map(Values::F64),
    };
    super::array(shape, values.ok_or("looks beyond the end of a constant")?)
}

/// The shape that two shapes become in NumPy's broadcasting.
pub(super) fn common(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Problem> {
    let from_end = |x: &[usize], place: usize| x.len().checked_sub(place).map_or(1, |axis| x[axis]);
    let sizes = (1..=a.len().max(b.len())).rev().map(|place| match (from_end(a, place), from_end(b, place)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(format!("the shapes {a:?} and {b:?} cannot be broadcast to each other")),
    });
    sizes.collect()
}

/// What ONNX's `Slice` means along an axis of `len` places: the first, how many, and how far apart.
pub(super) fn range(start: i64, end: i64, step: i64, len: usize) -> Result<(usize, usize, isize), Problem> {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (start, end) = (from_end(start), from_end(end));
    let (start, distance) = match step {
        0 => return Err("takes steps of 0".into()),
        1.. => (start.clamp(0, len), end.clamp(0, len) - start.clamp(0, len)),
        _ => (start.clamp(0, (len - 1).max(0)), start.clamp(0, (len - 1).max(0)) - end.clamp(-1, len - 1)),
    };
    let count = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
    Ok((start as usize, count as usize, step as isize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(shape: &[usize]) -> Array {
        let count = shape.iter().product::<usize>() as i64;
        Array::new(shape.to_vec(), Values::I64((0..count).collect())).unwrap()
    }

    #[test]
    fn views_are_numpys() {
        let x = ints(&[2, 3]);
        assert_eq!(View::of(&[2, 3]).transposed(&[1, 0]).take(&x).unwrap().to_integers().unwrap(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(View::of(&[2, 3]).sliced(1, 2, 2, -2).take(&x).unwrap().to_integers().unwrap(), [2, 0, 5, 3]);
        let wide = View::of(&[3]).broadcast(&[2, 3]).unwrap();
        assert_eq!(wide.take(&ints(&[3])).unwrap().to_integers().unwrap(), [0, 1, 2, 0, 1, 2]);
        assert!(View::of(&[3]).broadcast(&[3, 2]).is_err());
    }

    #[test]
    fn slices_are_onnxs() {
        assert_eq!(range(0, i64::MAX, 1, 5), Ok((0, 5, 1)));
        assert_eq!(range(-2, -1, 1, 5), Ok((3, 1, 1)));
        assert_eq!(range(1, 5, 2, 5), Ok((1, 2, 2)));
        assert_eq!(range(-1, i64::MIN, -1, 5), Ok((4, 5, -1)));
        assert_eq!(range(4, 2, 1, 5), Ok((4, 0, 1)));
        assert!(range(0, 1, 0, 5).is_err());
    }
}
