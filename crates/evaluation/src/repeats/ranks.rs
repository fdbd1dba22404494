use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::paired::doubled_ranks;

/// The studentised range of 2 to 20 groups at 5 %, divided by √2 (Demšar 2006, table 5a).
const STUDENTISED: [f64; 19] = [
    1.959_964, 2.343_701, 2.569_032, 2.727_774, 2.849_705, 2.948_320, 3.030_878, 3.101_730, 3.163_684, 3.218_654, 3.268_004, 3.312_739,
    3.353_618, 3.391_230, 3.426_041, 3.458_425, 3.488_685, 3.517_073, 3.543_799,
];

/// How several detectors rank over the same nets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ranks {
    /// Nets on which all figures are defined.
    pub nets: usize,
    /// The mean rank of each detector, 1 for the best.
    pub ranks: Vec<f64>,
    /// Nemenyi's critical difference at 5 %: mean ranks that lie nearer to each other do not differ significantly. None of more than 20
    /// detectors.
    pub critical_difference: Option<f64>,
}

/// The mean ranks of detectors over nets, the highest figure first (Demšar 2006, section 3.2.2). A row of `figures` is a net. None of
/// fewer than two detectors, or without nets.
pub fn average_ranks(figures: &[Vec<f64>]) -> Option<Ranks> {
    let detectors = figures.first()?.len();
    if detectors < 2 {
        return None;
    }
    let mut sums = vec![0; detectors];
    for net in figures {
        let ranks = doubled_ranks(&net.iter().map(|figure| -figure).collect::<Vec<_>>());
        sums.iter_mut().zip(ranks).for_each(|(sum, rank)| *sum += rank);
    }
    let (k, nets) = (detectors as f64, figures.len() as f64);
    let critical = STUDENTISED.get(detectors - 2).map(|studentised| studentised * (k * (k + 1.0) / (6.0 * nets)).sqrt());
    Some(Ranks { nets: figures.len(), ranks: sums.iter().map(|&sum| sum as f64 / (2.0 * nets)).collect(), critical_difference: critical })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_share_their_ranks() {
        let ranks = average_ranks(&[vec![0.9, 0.8, 0.9], vec![0.5, 0.7, 0.6]]).unwrap();
        assert_eq!(ranks.ranks, [2.25, 2.0, 1.75]);
        assert_eq!(average_ranks(&[]), None);
        assert_eq!(average_ranks(&[vec![1.0]]), None);
    }

    /// The example of Demšar's article: four classifiers on fourteen data sets.
    #[test]
    fn the_critical_difference_is_that_of_the_published_example() {
        let figures = vec![vec![0.1, 0.2, 0.3, 0.4]; 14];
        let critical = average_ranks(&figures).unwrap().critical_difference.unwrap();
        assert!((critical - 1.25).abs() < 0.01, "{critical}");
    }

    proptest! {
        #[test]
        fn ranks_average_to_the_middle(figures in (2..6_usize).prop_flat_map(|k| prop::collection::vec(prop::collection::vec(-1.0..1.0_f64, k), 1..8))) {
            let ranks = average_ranks(&figures).unwrap().ranks;
            let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
            prop_assert!((mean - (ranks.len() + 1) as f64 / 2.0).abs() < 1e-9);
        }
    }
}
