preset! {
    /// Images of all classes turned by one angle, which then carry the label of one (BATT).
    Batt, "batt", "arXiv 2211.01806",
    defaults: { "trigger": { "use": "affine" }, "of": "set" },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
