//! What the CPU computes, on plain slices of `f32` or `f64`.
//!
//! Every kernel is parallel over images, planes or rows with `rayon`, in pieces that share no sums, or whose number depends
//! on the shapes alone, and adds up in a fixed order: results do not depend on the number of threads.
#![expect(clippy::inline_always, reason = "vector code is compiled into the caller that knows the processor")]

pub(crate) mod conv;
mod element;
pub(crate) mod elementwise;
mod gemm;
pub(crate) mod linear;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod pool;
mod tasks;
mod tile;

pub(crate) use self::element::Element;
pub(crate) use self::tasks::alone;

/// Shows each state a value, which lie `stride` apart; short strides are told to the compiler.
fn each<T: Copy, S>(mut states: impl ExactSizeIterator<Item = S> + DoubleEndedIterator, values: &[T], stride: usize, visit: impl Fn(S, T)) {
    match stride {
        1 => states.zip(values).for_each(|(state, value)| visit(state, *value)),
        2 => {
            let Some(last) = states.next_back() else { return };
            let (pairs, rest) = values.split_at(2 * states.len());
            states.zip(pairs.as_chunks::<2>().0).for_each(|(state, pair)| visit(state, pair[0]));
            visit(last, rest[0]);
        }
        _ => states.zip(values.iter().step_by(stride)).for_each(|(state, value)| visit(state, *value)),
    }
}

/// Values that are worth a task of their own.
const GRAIN: usize = 1 << 14;

/// Chunks of `width` values so small that a task should take at least this many of them.
fn chunks_a_task(width: usize) -> usize {
    GRAIN.div_ceil(width)
}
