//! Which images of a class are worth showing.

use bezoar_core::{GroundTruth, Verdict};

/// Images that are shown together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) kind: Kind,
    /// The images shown, highest score first.
    pub(super) rows: Vec<usize>,
    /// How many images there are of this kind.
    pub(super) total: usize,
}

/// Why images are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The highest scores of the class.
    Highest,
    /// Poison that is not flagged.
    Misses,
    /// Flagged though not poison.
    FalseAlarms,
    /// Flagged poison.
    Hits,
    /// Neither poison nor flagged.
    LeftAlone,
    /// Flagged, where there is no truth to compare with.
    Flagged,
    /// Not flagged, where there is no truth to compare with.
    NotFlagged,
    /// Around the middle of the class.
    Middle,
    /// The lowest scores of the class.
    Lowest,
}

/// At most `most` of the rows, evenly from first to last.
pub(super) fn evenly(rows: &[usize], most: usize) -> Vec<usize> {
    let count = most.min(rows.len());
    (0..count).map(|at| rows[at * rows.len() / count]).collect()
}

/// Groups of a class, whose rows are ranked: the `samples` highest scores, some from the middle and the end, and some of each combination of
/// flag and truth that there is. Without truth, combinations are flagged and not flagged.
pub(super) fn groups(ranked: &[usize], verdict: &Verdict, truth: Option<&GroundTruth>, samples: usize) -> Vec<Group> {
    let few = samples.div_ceil(6);
    let (highest, rest) = ranked.split_at(samples.min(ranked.len()));
    let (between, lowest) = rest.split_at(rest.len().saturating_sub(few));
    let middle = &between[between.len().saturating_sub(few) / 2..];
    let middle = &middle[..few.min(middle.len())];

    let by_score = [(Kind::Highest, highest), (Kind::Middle, middle), (Kind::Lowest, lowest)];
    let mut groups: Vec<Group> = by_score
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(kind, rows)| Group { kind, rows: rows.to_vec(), total: ranked.len() })
        .collect();
    let shown = |kind: Kind| groups.iter().flat_map(|group| &group.rows).any(|&row| outcome(row, verdict, truth) == kind);

    let outcomes = [Kind::Misses, Kind::FalseAlarms, Kind::Hits, Kind::LeftAlone, Kind::Flagged, Kind::NotFlagged];
    let by_outcome: Vec<Group> = outcomes
        .into_iter()
        .filter(|&kind| matches!(kind, Kind::Misses | Kind::FalseAlarms) || !shown(kind))
        .filter_map(|kind| {
            let all: Vec<usize> = ranked.iter().copied().filter(|&row| outcome(row, verdict, truth) == kind).collect();
            (!all.is_empty()).then(|| Group { kind, total: all.len(), rows: all.into_iter().take(few).collect() })
        })
        .collect();
    let after_highest = groups.len().min(1);
    groups.splice(after_highest..after_highest, by_outcome);
    groups
}

fn outcome(row: usize, verdict: &Verdict, truth: Option<&GroundTruth>) -> Kind {
    match (truth.map(|truth| truth.is_poison(row)), verdict.flagged[row]) {
        (Some(true), true) => Kind::Hits,
        (Some(true), false) => Kind::Misses,
        (Some(false), true) => Kind::FalseAlarms,
        (Some(false), false) => Kind::LeftAlone,
        (None, true) => Kind::Flagged,
        (None, false) => Kind::NotFlagged,
    }
}

#[cfg(test)]
mod tests {
    use bezoar_core::Role;
    use proptest::prelude::*;

    use super::*;

    fn verdict(scores: &[Option<f64>], flagged: &[bool]) -> Verdict {
        Verdict { scores: scores.to_vec(), flagged: flagged.to_vec(), ..Verdict::empty(0) }
    }

    #[test]
    fn ranks_go_by_score_then_row_and_leave_out_what_has_none() {
        let verdict = verdict(&[Some(1.0), None, Some(3.0), Some(1.0)], &[false; 4]);
        assert_eq!(verdict.ranked(&[0, 1, 2, 3]), [2, 0, 3]);
    }

    #[test]
    fn few_of_many_are_spread_evenly() {
        let rows: Vec<usize> = (0..10).collect();
        assert_eq!(evenly(&rows, 4), [0, 2, 5, 7]);
        assert_eq!(evenly(&rows, 20), rows);
        assert!(evenly(&rows, 0).is_empty() && evenly(&[], 4).is_empty());
    }

    #[test]
    fn without_truth_the_flagged_are_shown_wherever_they_rank() {
        let scores: Vec<Option<f64>> = (0..10).map(|row| Some(-f64::from(row))).collect();
        let ranks: Vec<usize> = (0..10).collect();
        let kinds = |flagged_row: usize| -> Vec<Kind> {
            let flagged: Vec<bool> = ranks.iter().map(|&row| row == flagged_row).collect();
            groups(&ranks, &verdict(&scores, &flagged), None, 1).iter().map(|group| group.kind).collect()
        };
        assert_eq!(kinds(0), [Kind::Highest, Kind::Middle, Kind::Lowest]);
        assert_eq!(kinds(2), [Kind::Highest, Kind::Flagged, Kind::Middle, Kind::Lowest]);
    }

    proptest! {
        #[test]
        fn every_combination_of_flag_and_truth_is_shown(
            samples in 1..20_usize,
            class in prop::collection::vec((0.0..1.0, any::<bool>(), any::<bool>()), 0..80),
        ) {
            let scores: Vec<Option<f64>> = class.iter().map(|&(score, _, _)| Some(score)).collect();
            let flagged: Vec<bool> = class.iter().map(|&(_, flag, _)| flag).collect();
            let mut truth = GroundTruth::clean(class.len());
            for (role, &(_, _, poison)) in truth.roles.iter_mut().zip(&class) {
                *role = if poison { Role::Poison } else { Role::Clean };
            }
            let verdict = verdict(&scores, &flagged);
            let ranked = verdict.ranked(&(0..class.len()).collect::<Vec<_>>());
            let groups = groups(&ranked, &verdict, Some(&truth), samples);

            for (row, &(_, flag, poison)) in class.iter().enumerate() {
                let alike = |&other: &usize| class[other].1 == flag && class[other].2 == poison;
                prop_assert!(groups.iter().flat_map(|group| &group.rows).any(alike), "nothing like row {row} is shown");
            }
            if let Some(highest) = groups.first() {
                prop_assert_eq!(&highest.rows[..], &ranked[..samples.min(ranked.len())]);
            }
            for group in &groups {
                prop_assert!(!group.rows.is_empty() && group.rows.len() <= group.total);
                prop_assert!(group.rows.iter().map(|row| ranked.iter().position(|r| r == row)).is_sorted());
            }
        }
    }
}
