use std::iter::Sum;

use bezoar_core::{Outcome, Verdict};

/// What the flags of one detector come to over some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Samples.
    pub(crate) samples: usize,
    /// Poison among them; 0 where nobody knows.
    pub(crate) poison: usize,
    /// Flagged among them.
    pub(crate) flagged: usize,
    /// Both poison and flagged.
    pub(crate) hits: usize,
}

impl Tally {
    /// One for each class, by label.
    pub(crate) fn by_class(outcome: &Outcome, verdict: &Verdict) -> Vec<Self> {
        let mut tallies = vec![Self::default(); outcome.images.classes().len()];
        for (row, sample) in outcome.images.samples().iter().enumerate() {
            let poison = outcome.truth.as_ref().is_some_and(|truth| truth.is_poison(row));
            let flagged = verdict.flagged[row];
            let tally = &mut tallies[sample.label as usize];
            tally.samples += 1;
            tally.poison += usize::from(poison);
            tally.flagged += usize::from(flagged);
            tally.hits += usize::from(poison && flagged);
        }
        tallies
    }

    /// Poison that was not flagged.
    pub(crate) fn misses(self) -> usize {
        self.poison - self.hits
    }

    /// Flagged though not poison.
    pub(crate) fn false_alarms(self) -> usize {
        self.flagged - self.hits
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, tally| Self {
            samples: sum.samples + tally.samples,
            poison: sum.poison + tally.poison,
            flagged: sum.flagged + tally.flagged,
            hits: sum.hits + tally.hits,
        })
    }
}
