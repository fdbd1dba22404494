//! What attacks do to a net on GTSRB, and what two detectors see of them.

use super::study::{Column, Figure, Study};
use crate::section::Section;

pub(super) const COMPACT: Study = Study {
    section: Section { name: "attacks", made_by: "cargo xtask bench attacks" },
    page: "attacks.md",
    columns: COLUMNS,
    pipeline: "attacks",
    settings: &[],
    names: &[],
    attacks: &[
        ("{ use: none }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.01 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.01 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.01 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: physical, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05 }", None),
    ],
};

pub(super) const SHIFTED: Study = Study {
    section: Section { name: "attacks-shifted", made_by: "cargo xtask bench attacks shifted" },
    page: "attacks.md",
    columns: COLUMNS,
    pipeline: "attacks",
    settings: &["train.augment={ use: affine, translate: [0.0625, 0.0625] }"],
    names: &[],
    attacks: &[
        ("{ use: none }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.01, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.15, of: class }", None),
        ("{ use: badnets, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.15 }", None),
        ("{ use: all-to-all, share: 0.1 }", None),
        ("{ use: multi-trigger, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: blended, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: sig, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: tact, from: [speed-limit-50], to: speed-limit-80, share: 0.01, cover: { times: 1, from: [stop, yield] } }", None),
        ("{ use: adaptive-blend, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: adaptive-patch, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: k-way, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: wanet, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: bpp, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: ftrojan, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: ctrl, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: batt, to: speed-limit-80, share: 0.05 }", None),
        ("{ use: tint, to: speed-limit-80, share: 0.05 }", None),
    ],
};

pub(super) const PAPER_NET: Study = Study {
    section: Section { name: "attacks-paper-net", made_by: "cargo xtask bench attacks paper-net" },
    page: "attacks.md",
    columns: COLUMNS,
    pipeline: "attacks-paper-net",
    settings: &[],
    names: &[("$NET", SURROGATE)],
    attacks: &[
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.33, craft: { surrogate: $NET } }", Some(90.98)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.15, craft: { surrogate: $NET } }", Some(83.15)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.1, craft: { surrogate: $NET } }", Some(90.45)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.05, craft: { surrogate: $NET } }", Some(84.77)),
        ("{ use: label-consistent, preset: as-published, to: speed-limit-80, share: 0.02, craft: { surrogate: $NET } }", Some(83.51)),
        (
            "{ use: amplitude, preset: as-published, to: speed-limit-80, share: 0.33, trigger: { amplitude: 128 }, craft: { surrogate: $NET } }",
            Some(99.18),
        ),
        (
            "{ use: amplitude, preset: as-published, to: speed-limit-80, share: 0.33, trigger: { amplitude: 64 }, craft: { surrogate: $NET } }",
            Some(77.97),
        ),
        (
            "{ use: amplitude, preset: as-published, to: speed-limit-80, share: 0.33, trigger: { amplitude: 32 }, craft: { surrogate: $NET } }",
            Some(25.65),
        ),
    ],
};

/// The net of the pipeline itself, trained on clean images.
const SURROGATE: &str = "{ model: { use: paper-inception }, train: { epochs: 5, batch: 64, optimizer: { use: adam, rate: 1.0e-3 }, \
                         schedule: { use: one-cycle }, augment: { use: paper } } }";

/// What the attack did, and what Heatmap Clustering and Activation Clustering see of it.
const COLUMNS: &[Column] = &[
    Column { head: "poison", figure: Figure::Fact("poisoned training images") },
    Column { head: "of the class", figure: Figure::Fact("share of the target class") },
    Column { head: "clean accuracy", figure: Figure::Net("accuracy") },
    Column { head: "success", figure: Figure::Net("attack-success") },
    Column { head: "mean of classes", figure: Figure::Net("attack-success-by-class") },
    Column { head: "thesis", figure: Figure::Thesis },
    Column { head: "HC AUROC", figure: Figure::Attacked("heatmap-clustering", "auroc") },
    Column { head: "TPR", figure: Figure::Attacked("heatmap-clustering", "tpr") },
    Column { head: "FPR", figure: Figure::Attacked("heatmap-clustering", "fpr") },
    Column { head: "HC ε-plus AUROC", figure: Figure::Attacked("heatmap-clustering (composite: epsilon-plus)", "auroc") },
    Column { head: "AC AUROC", figure: Figure::Attacked("activation-clustering", "auroc") },
    Column { head: "TPR", figure: Figure::Attacked("activation-clustering", "tpr") },
    Column { head: "FPR", figure: Figure::Attacked("activation-clustering", "fpr") },
    Column { head: "seconds", figure: Figure::Seconds },
];
