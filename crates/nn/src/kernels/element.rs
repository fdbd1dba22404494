//! The types of number that the kernels work on.

use candle_core::{CpuStorage, FloatDType};
use pulp::Simd;

use crate::array::{Shared, Shelf, Shelves, Values};

/// A type of number, and its vectors.
pub(crate) trait Element: FloatDType + Default + std::iter::Sum {
    const ZERO: Self;
    const ONE: Self;
    /// Below every other number.
    const LOWEST: Self;

    /// Memory of such numbers.
    fn shelf(shelves: &Shelves) -> &Shelf<Self>;

    fn wrap(values: Shared<Self>) -> Values;

    fn leased(values: &Values) -> Option<&Shared<Self>>;

    /// The values of a tensor of such numbers.
    fn storage(storage: &mut CpuStorage) -> Option<&mut Vec<Self>>;

    /// Several numbers that one instruction works on.
    type Vector<S: Simd>: Copy;

    fn root(self) -> Self;

    /// Numbers in a vector.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }

    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a * b + c`, rounded once where the processor can.
    fn multiply_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
}

macro_rules! element {
    ($number:ident, $variant:ident, $vector:ident, $splat:ident, $multiply_add:ident, $add:ident, $sub:ident) => {
        impl Element for $number {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = Self::NEG_INFINITY;

            fn shelf(shelves: &Shelves) -> &Shelf<Self> {
                &shelves.$number
            }

            fn wrap(values: Shared<Self>) -> Values {
                Values::$variant(values)
            }

            fn leased(values: &Values) -> Option<&Shared<Self>> {
                match values {
                    Values::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn storage(storage: &mut CpuStorage) -> Option<&mut Vec<Self>> {
                match storage {
                    CpuStorage::$variant(values) => Some(values),
                    _ => None,
                }
            }

            type Vector<S: Simd> = S::$vector;

            fn root(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$multiply_add(a, b, c)
            }

            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sub(a, b)
            }
        }
    };
}

element!(f32, F32, f32s, splat_f32s, mul_add_e_f32s, add_f32s, sub_f32s);
element!(f64, F64, f64s, splat_f64s, mul_add_e_f64s, add_f64s, sub_f64s);
