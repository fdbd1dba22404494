use serde_json::json;

use super::label_consistent::{craft, presets};

preset! {
    /// A label-consistent attack with a pattern of low amplitude in the corners, used at full amplitude.
    ///
    /// Otherwise as `label-consistent`.
    Amplitude, "amplitude", "arXiv 1912.02771",
    defaults: {
        "trigger": { "use": "pattern", "amplitude": 64, "inset": 10 },
        "labels": "kept",
        "craft": craft(),
    },
    example: { "to": "speed-limit-80", "share": 0.33 },
    presets: {
        let pattern = json!({ "use": "pattern", "amplitude": 64, "inset": 10 });
        presets(&pattern, &pattern)
    },
}
