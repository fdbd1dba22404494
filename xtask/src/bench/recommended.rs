//! What the recommended detectors find of attacks, and where there is none.

use super::study::{Column, Figure, Study};
use crate::section::Section;

pub(super) const RECOMMENDED: Study = Study {
    section: Section { name: "recommended", made_by: "cargo xtask bench recommended" },
    page: "recommended.md",
    pipeline: "recommended",
    settings: &[],
    names: &[],
    attacks: &[
        ("{ use: none }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.02 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.15, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: all-to-all, share: 0.1 }", None),
        ("{ use: multi-trigger, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: blended, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: blended, to: speed-limit-80, share: 0.05, of: class }", None),
        ("{ use: sig, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: tact, from: [speed-limit-50], to: speed-limit-80, share: 0.01, cover: { times: 1, from: [stop, yield] } }", None),
        ("{ use: adaptive-blend, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: adaptive-patch, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: k-way, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: wanet, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: bpp, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: ftrojan, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: batt, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: tint, to: speed-limit-80, share: 0.05 }", None),
    ],
    columns: &[
        Column { head: "poison", figure: Figure::Fact("poisoned training images") },
        Column { head: "success", figure: Figure::Net("attack-success") },
        Column { head: "squares accuse", figure: Figure::Significant(SQUARES) },
        Column { head: "TPR", figure: Figure::Attacked(SQUARES, "tpr") },
        Column { head: "FPR, whole set", figure: Figure::Whole(SQUARES, "fpr") },
        Column { head: "AUROC, class", figure: Figure::Attacked(SQUARES, "auroc") },
        Column { head: "shifts accuse", figure: Figure::Significant(SHIFTS) },
        Column { head: "TPR", figure: Figure::Attacked(SHIFTS, "tpr") },
        Column { head: "FPR, whole set", figure: Figure::Whole(SHIFTS, "fpr") },
        Column { head: "AUROC, class", figure: Figure::Attacked(SHIFTS, "auroc") },
        Column { head: "seconds", figure: Figure::Seconds },
    ],
};

/// Asks what squares do that heatmaps mark.
pub(super) const SQUARES: &str = "heatmap-clustering";

/// Asks what clusters of activations have in common.
pub(super) const SHIFTS: &str = "activation-clustering";
