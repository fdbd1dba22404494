//! What the names in a model stand for, and where in their shapes the images are counted.

use std::rc::Rc;

use bezoar_formats::Array;
use bezoar_nn::NodeId;

use super::Problem;

/// What a name in the model stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// What a layer gives.
    Layer(Layer),
    /// The same for every image.
    Constant(Rc<Array>),
    /// What depends on a node that was refused.
    Refused,
}

/// What a layer gives, in the model's eyes: with the batch.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The layer.
    pub(super) id: NodeId,
    /// The shape with the batch; without, it is the layer's.
    pub(super) shape: Vec<usize>,
    /// Where in it the images are counted.
    pub(super) batch: Batch,
}

/// Where in a shape the images of a batch are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Batch {
    /// They have this axis for themselves, which samples do not have.
    Axis(usize),
    /// They are a part of this axis, as where the windows of all images are counted on.
    Within {
        /// The axis.
        axis: usize,
        /// What is counted on it outside of the images; their own parts are counted inside.
        outer: usize,
    },
}

impl Batch {
    /// The place of the axis.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Axis(axis) | Self::Within { axis, .. } => axis,
        }
    }

    /// The same on an axis at another place.
    pub(super) const fn moved(self, axis: usize) -> Self {
        match self {
            Self::Axis(_) => Self::Axis(axis),
            Self::Within { outer, .. } => Self::Within { axis, outer },
        }
    }

    /// The shape of so many images of which each has the shape `sample`.
    pub(super) fn full(self, sample: &[usize], images: usize) -> Vec<usize> {
        let mut shape = sample.to_vec();
        match self {
            Self::Axis(axis) => shape.insert(axis.min(sample.len()), images),
            Self::Within { axis, .. } => {
                if let Some(size) = shape.get_mut(axis) {
                    *size *= images;
                }
            }
        }
        shape
    }

    /// The shape of one of so many images that have this shape together.
    pub(super) fn sample(self, full: &[usize], images: usize) -> Vec<usize> {
        let mut shape = full.to_vec();
        match self {
            Self::Axis(axis) => drop(shape.remove(axis)),
            Self::Within { axis, .. } => shape[axis] /= images,
        }
        shape
    }
}

impl Layer {
    /// The axis of a sample that an axis of the whole is.
    pub(super) fn sample_axis(&self, axis: usize, images: usize) -> Result<usize, Problem> {
        match self.batch {
            Batch::Axis(batch) if axis == batch => Err(format!("works across the batch, the axis {axis} of {:?}", self.shape)),
            Batch::Within { axis: batch, .. } if axis == batch && images > 1 => {
                Err(format!("works across the batch, a part of the axis {axis} of {:?}", self.shape))
            }
            Batch::Axis(batch) if axis > batch => Ok(axis - 1),
            _ => Ok(axis),
        }
    }

    /// Where the batch is after a reshape: what is counted outside of it must stay outside.
    pub(super) fn batch_in(&self, target: &[usize], images: usize) -> Result<Batch, Problem> {
        let before: usize = self.shape[..self.batch.place()].iter().product();
        let outside = match self.batch {
            Batch::Axis(_) => before,
            Batch::Within { outer, .. } => before * outer,
        };
        let places = (0..target.len()).filter_map(|axis| {
            let before: usize = target[..axis].iter().product();
            let outer = outside / before.max(1);
            let fits = outer * before == outside && target[axis].is_multiple_of(outer * images);
            fits.then_some(if outer == 1 && target[axis] == images { Batch::Axis(axis) } else { Batch::Within { axis, outer } })
        });
        let places: Vec<Batch> = places.collect();
        let own = places.iter().find(|place| matches!(place, Batch::Axis(_)));
        let found = own.or(places.last()).copied();
        let found = found.or_else(|| (images == 1 && !target.is_empty()).then_some(Batch::Within { axis: 0, outer: 1 }));
        found.ok_or_else(|| format!("makes {target:?} of {:?}, which mixes {images} images", self.shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezoar_nn::GraphBuilder;

    fn layer(shape: &[usize], batch: Batch) -> Layer {
        Layer { id: GraphBuilder::new([1, 1, 1]).unwrap().input(), shape: shape.to_vec(), batch }
    }

    #[test]
    fn the_batch_is_found_again_after_reshapes() {
        let image = layer(&[2, 3, 8, 8], Batch::Axis(0));
        assert_eq!(image.batch_in(&[2, 192], 2), Ok(Batch::Axis(0)));
        let windows = Batch::Within { axis: 0, outer: 1 };
        assert_eq!(image.batch_in(&[6, 64], 2), Ok(windows));
        assert_eq!(layer(&[6, 64], windows).batch_in(&[2, 3, 64], 2), Ok(Batch::Axis(0)));
        let second = layer(&[5, 2, 4], Batch::Axis(1));
        assert_eq!(second.batch_in(&[5, 4, 2], 2), Ok(Batch::Within { axis: 1, outer: 1 }));
        let rows = Batch::Within { axis: 0, outer: 5 };
        assert_eq!(second.batch_in(&[10, 4], 2), Ok(rows));
        assert_eq!(layer(&[10, 4], rows).batch_in(&[5, 2, 4], 2), Ok(Batch::Axis(1)));
        assert!(second.batch_in(&[4, 10], 2).unwrap_err().contains("mixes 2 images"));
    }

    #[test]
    fn shapes_lose_and_regain_the_batch() {
        for batch in [Batch::Axis(1), Batch::Within { axis: 1, outer: 1 }] {
            assert_eq!(batch.full(&batch.sample(&[4, 6, 5], 6), 6), [4, 6, 5]);
        }
    }
}
