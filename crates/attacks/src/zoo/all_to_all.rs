preset! {
    /// A small square on images of each class, which then carry the label of the next (BadNets, all-to-all).
    AllToAll, "all-to-all", "arXiv 1708.06733",
    defaults: { "trigger": { "use": "patch" }, "labels": "next", "of": "set" },
    example: { "share": 0.1 },
}
