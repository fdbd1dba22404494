//! The tables of the thesis behind arXiv 2204.12848, as far as we have them: ACC, TPR and TNR in percent over the attacked class.

/// A table of the thesis, and the study that makes ours.
pub(super) struct Table {
    /// The study, in pipelines/paper.
    pub(super) study: &'static str,
    /// Another study whose runs are runs of this one too: the same but for its name and its seeds.
    pub(super) also: Option<&'static str>,
    /// The values of the settings that all its attacks have.
    pub(super) title: &'static str,
    /// How many runs the thesis' values are the mean of.
    pub(super) runs: &'static str,
    /// Its methods, each with the study's detectors that are one, by the name of each in a run and in the table.
    pub(super) methods: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    pub(super) rows: &'static [Row],
    /// What a budget sets besides.
    pub(super) cheaper: &'static [&'static str],
}

/// What the thesis says of an attack.
pub(super) struct Row {
    /// The settings of the table's study.
    pub(super) settings: &'static str,
    /// Its success in percent, as the mean over the classes that triggered images are of.
    pub(super) success: Option<f64>,
    /// ACC, TPR and TNR of each method.
    pub(super) methods: &'static [Option<[Value; 3]>],
}

/// A value in percent.
pub(super) struct Value {
    pub(super) mean: f64,
    /// Its standard deviation over the runs.
    pub(super) deviation: Option<f64>,
}

impl Table {
    /// What the thesis says of an attack, if it has it.
    pub(super) fn row(&self, settings: &str) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.settings == settings)
    }

    /// Whether it has the attacks' success.
    pub(super) fn has_success(&self) -> bool {
        self.rows.iter().any(|row| row.success.is_some())
    }

    /// Our detectors in it.
    pub(super) fn detectors(&self) -> impl Iterator<Item = &'static str> {
        self.methods.iter().flat_map(|(_, ours)| ours.iter()).map(|(detector, _)| *detector)
    }

    /// Whether a run of this study is one of the table's.
    pub(super) fn takes(&self, study: &str) -> bool {
        self.study == study || self.also == Some(study)
    }
}

/// The detectors that are told nothing, each with the method that it is one of.
pub(super) const TOLD_NOTHING: [(&str, &str); 2] =
    [("HC", "heatmap-clustering (recommended)"), ("AC", "activation-clustering (recommended)")];

const HC: (&str, &[(&str, &str)]) = (
    "HC",
    &[
        ("heatmap-clustering (as-published)", "as-published"),
        ("heatmap-clustering (as-described)", "as-described"),
        (TOLD_NOTHING[0].1, "recommended"),
    ],
);
const AC: (&str, &[(&str, &str)]) = (
    "AC",
    &[("activation-clustering (as-published)", "as-published"), ("activation-clustering", "default"), (TOLD_NOTHING[1].1, "recommended")],
);

/// The net that label-consistent images are crafted on, trained as the suspect net is on a budget, but to the end.
const SURROGATE: &[&str] = &[
    "attack.craft.surrogate.train.epochs=5",
    "attack.craft.surrogate.train.batch=64",
    "attack.craft.surrogate.train.schedule={ use: one-cycle }",
    "attack.craft.surrogate.train.patience=null",
];

/// An attack whose success we do not have.
const fn row(settings: &'static str, methods: &'static [Option<[Value; 3]>]) -> Row {
    Row { settings, success: None, methods }
}

/// ACC, TPR and TNR of one run, or of several whose spread we do not have.
const fn means(means: [f64; 3]) -> [Value; 3] {
    spread(means, [None; 3])
}

/// ACC, TPR and TNR with their standard deviations.
const fn spread([acc, tpr, tnr]: [f64; 3], [of_acc, of_tpr, of_tnr]: [Option<f64>; 3]) -> [Value; 3] {
    [Value { mean: acc, deviation: of_acc }, Value { mean: tpr, deviation: of_tpr }, Value { mean: tnr, deviation: of_tnr }]
}

pub(super) const TABLES: [Table; 6] = [
    Table {
        study: "table-3.2",
        also: None,
        title: "sticker of 3x3",
        runs: "one run",
        methods: &[HC, AC],
        rows: &[
            row("attack.share=0.33", &[Some(means([99.96, 99.88, 100.0])), Some(means([94.76, 90.77, 96.73]))]),
            row("attack.share=0.15", &[Some(means([100.0, 100.0, 100.0])), Some(means([76.51, 99.31, 72.48]))]),
            row("attack.share=0.1", &[Some(means([99.29, 92.9, 100.0])), Some(means([87.62, 96.17, 86.17]))]),
            row("attack.share=0.05", &[Some(means([99.48, 90.8, 99.94])), Some(means([57.92, 20.69, 59.88]))]),
            row("attack.share=0.02", &[Some(means([52.85, 0.0, 53.94])), Some(means([52.91, 0.0, 54.0]))]),
        ],
        cheaper: &[],
    },
    Table {
        study: "table-3.3",
        also: Some("table-3.2"),
        title: "sticker of 3x3, several seeds",
        runs: "the mean of five runs",
        methods: &[HC, AC],
        rows: &[
            row("attack.share=0.33", &[Some(spread([99.82, 99.46, 100.0], [Some(0.19), None, None])), Some(means([90.36, 94.41, 87.16]))]),
            row("attack.share=0.15", &[Some(spread([99.89, 99.32, 99.98], [Some(0.17), None, None])), Some(means([85.24, 96.56, 83.24]))]),
            row("attack.share=0.1", &[Some(spread([97.85, 95.93, 99.94], [Some(3.81), None, None])), Some(means([68.82, 77.92, 67.82]))]),
            row(
                "attack.share=0.05",
                &[
                    Some(spread([89.42, 87.43, 89.48], [Some(13.15), Some(24.0), None])),
                    Some(spread([57.77, 36.55, 58.88], [None, Some(40.0), None])),
                ],
            ),
            row(
                "attack.share=0.02",
                &[
                    Some(spread([56.42, 80.0, 55.89], [Some(4.3), Some(40.0), None])),
                    Some(spread([52.48, 24.12, 53.07], [None, Some(38.0), None])),
                ],
            ),
        ],
        cheaper: &[],
    },
    Table {
        study: "table-3.4",
        also: None,
        title: "stickers of 1x1 and 2x2",
        runs: "one run",
        methods: &[HC, AC],
        rows: &[
            row("attack.size=1 attack.share=0.33", &[Some(means([100.0, 100.0, 100.0])), None]),
            row("attack.size=1 attack.share=0.15", &[Some(means([100.0, 100.0, 100.0])), None]),
            row("attack.size=1 attack.share=0.05", &[Some(means([100.0, 100.0, 100.0])), None]),
            row("attack.size=1 attack.share=0.02", &[Some(means([100.0, 100.0, 100.0])), None]),
            row("attack.size=1 attack.share=0.01", &[Some(means([60.77, 47.06, 60.91])), None]),
            row("attack.size=2 attack.share=0.33", &[Some(means([100.0, 100.0, 100.0])), None]),
            row("attack.size=2 attack.share=0.15", &[Some(means([100.0, 100.0, 100.0])), None]),
            row("attack.size=2 attack.share=0.05", &[Some(means([100.0, 100.0, 100.0])), None]),
            row("attack.size=2 attack.share=0.02", &[Some(means([58.73, 100.0, 57.88])), None]),
        ],
        cheaper: &[],
    },
    Table {
        study: "table-3.5",
        also: None,
        title: "sticker of 3x3, raw pixels in grey",
        runs: "one run",
        methods: &[
            ("pixels, PCA", &[("activation-clustering (represent: pixels)", "ours")]),
            ("pixels, ICA", &[("activation-clustering (represent: pixels, reduce: ica)", "ours")]),
        ],
        rows: &[row("attack.share=0.33", &[Some(means([65.49, 51.54, 72.36])), Some(means([63.13, 31.99, 78.48]))])],
        cheaper: &[],
    },
    Table {
        study: "table-3.6",
        also: None,
        title: "label-consistent stickers",
        runs: "one run",
        methods: &[HC, AC],
        rows: &[
            Row {
                success: Some(91.0),
                ..row("attack.share=0.33", &[Some(means([99.58, 98.71, 100.0])), Some(means([99.09, 97.24, 100.0]))])
            },
            Row {
                success: Some(83.0),
                ..row("attack.share=0.15", &[Some(means([98.91, 96.69, 100.0])), Some(means([96.42, 89.15, 100.0]))])
            },
            Row {
                success: Some(90.0),
                ..row("attack.share=0.1", &[Some(means([99.82, 98.18, 100.0])), Some(means([98.97, 89.70, 100.0]))])
            },
            Row {
                success: Some(85.0),
                ..row("attack.share=0.05", &[Some(means([99.82, 96.34, 100.0])), Some(means([99.09, 84.15, 99.87]))])
            },
            Row {
                success: Some(84.0),
                ..row("attack.share=0.02", &[Some(means([55.33, 100.0, 54.42])), Some(means([56.3, 100.0, 55.41]))])
            },
        ],
        cheaper: SURROGATE,
    },
    Table {
        study: "table-3.7",
        also: None,
        title: "label-consistent stickers of reduced amplitude",
        runs: "one run",
        methods: &[HC, AC],
        rows: &[
            Row {
                success: Some(99.0),
                ..row("attack.trigger.amplitude=128", &[Some(means([99.7, 99.08, 100.0])), Some(means([99.45, 98.35, 100.0]))])
            },
            Row {
                success: Some(78.0),
                ..row("attack.trigger.amplitude=64", &[Some(means([90.79, 74.08, 99.01])), Some(means([92.06, 90.44, 92.86]))])
            },
            Row {
                success: Some(26.0),
                ..row("attack.trigger.amplitude=32", &[Some(means([81.58, 58.46, 92.95])), Some(means([78.97, 74.26, 81.28]))])
            },
        ],
        cheaper: SURROGATE,
    },
];
