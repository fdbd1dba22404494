//! What groups of heatmaps find under every distance and by every clusterer.

use super::study::{Column, Figure, Study};
use crate::section::Section;

pub(super) const CLUSTERERS: Study = Study {
    section: Section { name: "clusterers", made_by: "cargo xtask bench clusterers" },
    page: "clusterers.md",
    pipeline: "clusterers",
    settings: &[],
    names: &[],
    attacks: &[
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.33, size: 3 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15, size: 3 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.1, size: 3 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.05, size: 3 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.02, size: 3 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15, size: 2 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.02, size: 2 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.15, size: 1 }", None),
        ("{ use: sticker, from: speed-limit-50, to: speed-limit-80, share: 0.02, size: 1 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.33 }", None),
        ("{ use: label-consistent, to: speed-limit-80, share: 0.1 }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33, trigger: { amplitude: 128 } }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33, trigger: { amplitude: 64 } }", None),
        ("{ use: amplitude, to: speed-limit-80, share: 0.33, trigger: { amplitude: 32 } }", None),
    ],
    columns: &[
        Column { head: "success", figure: Figure::Net("attack-success") },
        Column { head: "m1", figure: Figure::Rates(0) },
        Column { head: "L2", figure: Figure::Rates(1) },
        Column { head: "Wasserstein", figure: Figure::Rates(2) },
        Column { head: "GW 0.1", figure: Figure::Rates(3) },
        Column { head: "GW 0.01", figure: Figure::Rates(4) },
        Column { head: "fused GW", figure: Figure::Rates(5) },
        Column { head: "spectral 8", figure: Figure::Rates(6) },
        Column { head: "HDBSCAN", figure: Figure::Rates(7) },
        Column { head: "aligned", figure: Figure::Rates(8) },
        Column { head: "recommended", figure: Figure::Rates(9) },
        Column { head: "seconds", figure: Figure::Seconds },
    ],
};
