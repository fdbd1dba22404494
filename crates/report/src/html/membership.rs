//! Clusters by name and colour.

use bezoar_core::Verdict;

/// Clusters that have a colour of their own.
const COLORED: u32 = 8;

/// Where a detector puts an image within its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Membership {
    /// In a cluster, by number.
    Cluster(u32),
    /// In none.
    Noise,
    /// The detector does not cluster.
    Unclustered,
}

impl Membership {
    pub(super) fn of(verdict: &Verdict, row: usize) -> Self {
        match verdict.clusters.get(row) {
            Some(Some(cluster)) => Self::Cluster(*cluster),
            Some(None) => Self::Noise,
            None => Self::Unclustered,
        }
    }

    /// The CSS class that gives the colour.
    pub(super) fn class(self) -> String {
        match self {
            Self::Cluster(cluster) if cluster < COLORED => format!("cluster-{cluster}"),
            Self::Cluster(_) => "cluster-more".to_owned(),
            Self::Noise => "cluster-none".to_owned(),
            Self::Unclustered => "cluster-0".to_owned(),
        }
    }

    /// What a legend calls all that has this colour.
    pub(super) fn legend(self) -> String {
        match self {
            Self::Cluster(cluster) if cluster >= COLORED => format!("cluster {COLORED} and further"),
            other => other.name(),
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Cluster(cluster) => format!("cluster {cluster}"),
            Self::Noise => "in no cluster".to_owned(),
            Self::Unclustered => "not clustered".to_owned(),
        }
    }
}
