//! What the recommended detector finds of attacks, and where there is none.

use super::study::{Column, Figure, Study};
use crate::section::Section;

pub(super) const RECOMMENDED: Study = Study {
    section: Section { name: "recommended", made_by: "cargo xtask bench recommended" },
    page: "aligned-patch.md",
    pipeline: "recommended",
    settings: &[],
    names: &[],
    attacks: &[
        ("{ use: none }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.02 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33 }", None),
    ],
    columns: &[
        Column { head: "poison", figure: Figure::Fact("poisoned training images") },
        Column { head: "success", figure: Figure::Net("attack-success") },
        Column { head: "classes accused", figure: Figure::Significant(DETECTOR) },
        Column { head: "TPR", figure: Figure::Attacked(DETECTOR, "tpr") },
        Column { head: "FPR, whole set", figure: Figure::Whole(DETECTOR, "fpr") },
        Column { head: "AUROC, class", figure: Figure::Attacked(DETECTOR, "auroc") },
        Column { head: "AUROC, whole set", figure: Figure::Whole(DETECTOR, "auroc") },
        Column { head: "seconds", figure: Figure::Seconds },
    ],
};

pub(super) const DETECTOR: &str = "heatmap-clustering";
