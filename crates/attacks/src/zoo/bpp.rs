preset! {
    /// Fewer levels of colour in images of all classes, which then carry the label of one (BppAttack).
    Bpp, "bpp", "arXiv 2205.13383",
    defaults: { "trigger": { "use": "quantise" }, "of": "set" },
    example: { "to": "speed-limit-80", "share": 0.1 },
}
