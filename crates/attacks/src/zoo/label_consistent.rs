use bezoar_core::Preset;
use serde_json::{Value, json};

preset! {
    /// Images of one class that are hard to recognise, with a trigger and their true label (label-consistent, clean-label).
    ///
    /// A net that was trained on clean images says how to change each image so that its label is hard to see. The net that learns from the
    /// poisoned set then leans on the trigger, and takes every image that carries it for the class.
    LabelConsistent, "label-consistent", "arXiv 1912.02771",
    defaults: {
        "trigger": { "use": "patch", "color": "#f5ff00", "place": { "window": { "top": [16, 24], "left": [10, 22] } } },
        "labels": "kept",
        "craft": craft(),
    },
    example: { "to": "speed-limit-80", "share": 0.33 },
    presets: {
        let sticker = |place: Value| json!({ "use": "patch", "color": "#f5ff00", "place": place });
        presets(
            &sticker(json!({ "one-of": { "top": [16, 24], "left": [10, 22] } })),
            &sticker(json!({ "window": { "top": [16, 24], "left": [10, 22] } })),
        )
    },
}

/// Turner et al.'s ball and the steps that published re-implementations take in it.
pub(super) fn craft() -> Value {
    json!({
        "ascent": { "norm": "l-inf", "radius": 16.0, "direction": "sign", "step": 1.5, "steps": 100 },
        "surrogate": {
            "model": { "use": "compact-cnn" },
            "train": { "optimizer": { "use": "adam", "rate": 3e-3 }, "schedule": { "use": "one-cycle" } },
        },
    })
}

/// The thesis' settings over the triggers of its code and of its text.
pub(super) fn presets(published: &Value, described: &Value) -> Vec<Preset> {
    let surrogate = json!({
        "model": { "use": "paper-inception" },
        "train": { "optimizer": { "use": "adam", "rate": 1e-3 }, "schedule": { "use": "one-cycle" } },
    });
    let preset = |name, summary, trigger: &Value, steps: usize| {
        // Steps of 0.015 of the range of pixels.
        let ascent = json!({ "norm": "l2", "radius": 76_500.0, "direction": "sign", "step": 3.825, "steps": steps });
        Preset { name, summary, fields: json!({ "trigger": trigger, "craft": { "ascent": ascent, "surrogate": surrogate } }) }
    };
    vec![
        preset("as-published", "The thesis' code: ten steps in a ball that never binds, the paper's net as surrogate.", published, 10),
        preset("as-described", "The thesis' text: five such steps.", described, 5),
    ]
}
