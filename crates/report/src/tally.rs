use bezoar_core::{GroundTruth, Verdict};

/// What the flags of one detector come to over some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Samples.
    pub(crate) samples: usize,
    /// Poison among them.
    pub(crate) poison: usize,
    /// Flagged among them.
    pub(crate) flagged: usize,
    /// Both poison and flagged.
    pub(crate) hits: usize,
}

impl Tally {
    pub(crate) fn of(rows: impl IntoIterator<Item = usize>, verdict: &Verdict, truth: &GroundTruth) -> Self {
        let mut tally = Self::default();
        for row in rows {
            let (poison, flagged) = (truth.is_poison(row), verdict.flagged[row]);
            tally.samples += 1;
            tally.poison += usize::from(poison);
            tally.flagged += usize::from(flagged);
            tally.hits += usize::from(poison && flagged);
        }
        tally
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
