preset! {
    /// Several backdoors at once: each poisoned image carries one of six triggers, each of which works alone (MTBA, in parallel).
    ///
    /// The triggers are a patch, a picture that shines through, waves, waves in the colours, a warp and fewer levels of colour.
    MultiTrigger, "multi-trigger", "arXiv 2401.15295",
    defaults: {
        "trigger": {
            "use": "one-of",
            "triggers": [
                { "use": "patch" },
                { "use": "blend" },
                { "use": "sinusoid" },
                { "use": "frequency" },
                { "use": "warp" },
                { "use": "quantise" },
            ],
            "test": "one",
        },
        "of": "set",
    },
    example: { "to": "speed-limit-80", "share": 0.1 },
}
