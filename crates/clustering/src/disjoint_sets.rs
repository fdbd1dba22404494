//! Sets that are joined two by two.

/// Sets of numbers from 0, each named by one of them.
pub(crate) struct DisjointSets(Vec<usize>);

impl DisjointSets {
    /// Each number by itself.
    pub(crate) fn of(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// The name of the set that a number is in.
    pub(crate) fn name(&mut self, mut of: usize) -> usize {
        while self.0[of] != of {
            // Half of the way is as good as all of it, and needs no second walk.
            self.0[of] = self.0[self.0[of]];
            of = self.0[of];
        }
        of
    }

    /// Joins the set called `other` to the one called `name`.
    pub(crate) fn join(&mut self, name: usize, other: usize) {
        self.0[other] = name;
    }
}
