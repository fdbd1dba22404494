preset! {
    /// Four pixels, of which each training image shows one; together they are the trigger (Adaptive k-way).
    ///
    /// Cover images show one as well.
    KWay, "k-way", "OpenReview _wSHsgrVali",
    defaults: {
        "trigger": {
            "use": "one-of",
            "triggers": [
                { "use": "patch", "height": 1, "width": 1, "color": "#ff0000", "place": { "corner": { "at": "top-left", "inset": 2 } } },
                { "use": "patch", "height": 1, "width": 1, "color": "#00ff00", "place": { "corner": { "at": "top-right", "inset": 2 } } },
                { "use": "patch", "height": 1, "width": 1, "color": "#0000ff", "place": { "corner": { "at": "bottom-left", "inset": 2 } } },
                { "use": "patch", "height": 1, "width": 1, "color": "#ffff00", "place": { "corner": { "at": "bottom-right", "inset": 2 } } },
            ],
        },
        "of": "set",
        "cover": { "times": 1.0 },
    },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
