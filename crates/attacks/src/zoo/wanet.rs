preset! {
    /// A smooth warp of images of all classes, which then carry the label of one (WaNet, with a static field).
    ///
    /// Cover images are warped by the same field and noise, and keep their label.
    WaNet, "wanet", "arXiv 2102.10369",
    defaults: { "trigger": { "use": "warp" }, "of": "set", "cover": { "times": 2.0 } },
    example: { "to": "speed-limit-80", "share": 0.1 },
}
