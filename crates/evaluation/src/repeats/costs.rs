use std::collections::BTreeSet;

/// What the runs of a study cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// Each stage.
    pub stages: Vec<StageSummary>,
    /// The machines that the runs came to their end on, in words.
    pub machines: BTreeSet<String>,
}

/// What a stage cost over the runs of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSummary {
    /// The stage, such as `train`.
    pub stage: String,
    /// Runs that have it.
    pub runs: usize,
    /// Wall time in seconds, in the mean.
    pub seconds: f64,
    /// Wall time of the slowest run.
    pub slowest: f64,
    /// The most memory that a process held meanwhile, in bytes; none where no system told.
    pub peak_bytes: Option<u64>,
}

impl StageSummary {
    /// All stages in the order in which they come first, from the name, the seconds and the peak of each stage of each run.
    pub fn over<'a>(stages: impl IntoIterator<Item = (&'a str, f64, Option<u64>)>) -> Vec<Self> {
        let mut costs: Vec<Self> = Vec::new();
        for (stage, seconds, peak_bytes) in stages {
            let at = costs.iter().position(|cost| cost.stage == stage).unwrap_or_else(|| {
                costs.push(Self { stage: stage.to_owned(), runs: 0, seconds: 0.0, slowest: 0.0, peak_bytes: None });
                costs.len() - 1
            });
            let cost = &mut costs[at];
            cost.runs += 1;
            cost.seconds += (seconds - cost.seconds) / cost.runs as f64;
            cost.slowest = cost.slowest.max(seconds);
            cost.peak_bytes = cost.peak_bytes.max(peak_bytes);
        }
        costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_means_with_the_slowest_and_the_largest() {
        let stages = [("train", 2.0, Some(10)), ("detect", 1.0, None), ("train", 4.0, None), ("train", 9.0, Some(7))];
        let of =
            |stage: &str, runs, seconds, slowest, peak_bytes| StageSummary { stage: stage.to_owned(), runs, seconds, slowest, peak_bytes };
        assert_eq!(StageSummary::over(stages), [of("train", 3, 5.0, 9.0, Some(10)), of("detect", 1, 1.0, 1.0, None)]);
    }
}
