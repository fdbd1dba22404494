preset! {
    /// Waves in the colours of images of all classes, which then carry the label of one (FTrojan).
    FTrojan, "ftrojan", "arXiv 2111.10991",
    defaults: { "trigger": { "use": "frequency" }, "of": "set" },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
