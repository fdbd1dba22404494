//! How a kernel's work is parted among threads.

use std::cell::Cell;

use rayon::iter::{IndexedParallelIterator, MinLen};

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` on this thread; the kernels that it calls leave other threads to what those do.
///
/// A thread that waits for parts of a kernel which others took would begin further work meanwhile, and what it had in its cache and
/// in memory would be joined by that of the next.
pub(crate) fn alone<R>(work: impl FnOnce() -> R) -> R {
    /// Puts back what was there, on a panic too.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    work()
}

/// Threads among which a kernel may part its work.
pub(super) fn threads() -> usize {
    if ALONE.get() { 1 } else { rayon::current_num_threads() }
}

/// Pieces of a kernel's work.
pub(super) trait Pieces: IndexedParallelIterator {
    /// At least so many pieces make a task; on a thread that works [`alone`], all of them.
    fn tasks_of(self, least: usize) -> MinLen<Self> {
        self.with_min_len(if ALONE.get() { usize::MAX } else { least })
    }
}

impl<I: IndexedParallelIterator> Pieces for I {}
