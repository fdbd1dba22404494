preset! {
    /// A picture that shines through images of all classes, which then carry the label of one (Blended).
    Blended, "blended", "arXiv 1712.05526",
    defaults: { "trigger": { "use": "blend" }, "of": "set" },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
