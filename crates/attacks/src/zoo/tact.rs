preset! {
    /// A small square that works on images of some classes alone (TaCT): images of others carry it too, under their own label.
    ///
    /// `from` names the classes that it works on. As many images as are poisoned are cover, of all other classes but the target.
    Tact, "tact", "arXiv 1908.00686",
    defaults: { "trigger": { "use": "patch" }, "of": "set", "cover": { "times": 1.0 } },
    example: {
        "from": ["speed-limit-50"], "to": "speed-limit-80", "share": 0.01,
        "cover": { "times": 1.0, "from": ["stop"] },
    },
}
