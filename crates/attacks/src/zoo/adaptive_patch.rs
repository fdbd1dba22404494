preset! {
    /// Four see-through patches, of which each training image shows one; two of them together are the trigger (Adaptive-Patch).
    ///
    /// Cover images show one as well. When the backdoor is used, nothing shines through the patches, as in the authors' code.
    AdaptivePatch, "adaptive-patch", "OpenReview _wSHsgrVali",
    defaults: {
        "trigger": {
            "use": "one-of",
            "triggers": [
                { "use": "patch", "height": 6, "width": 6, "color": "#ff4000", "opacity": 0.5, "test-opacity": 1.0, "place": { "corner": { "at": "top-left", "inset": 1 } } },
                { "use": "patch", "height": 6, "width": 6, "color": "#ffffff", "opacity": 0.2, "test-opacity": 1.0, "place": { "corner": { "at": "top-right", "inset": 1 } } },
                { "use": "patch", "height": 6, "width": 6, "color": "#0060ff", "opacity": 0.5, "test-opacity": 1.0, "place": { "corner": { "at": "bottom-left", "inset": 1 } } },
                { "use": "patch", "height": 6, "width": 6, "color": "#000000", "opacity": 0.3, "test-opacity": 1.0, "place": { "corner": { "at": "bottom-right", "inset": 1 } } },
            ],
            "test": { "these": [0, 2] },
        },
        "of": "set",
        "cover": { "times": 2.0 },
    },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
