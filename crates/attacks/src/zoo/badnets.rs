preset! {
    /// A small square on images of all classes, which then carry the label of one (BadNets).
    BadNets, "badnets", "arXiv 1708.06733",
    defaults: { "trigger": { "use": "patch" }, "of": "set" },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
