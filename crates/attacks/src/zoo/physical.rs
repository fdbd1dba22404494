preset! {
    /// A sticker as the camera sees it, on images of all classes, which then carry the label of one.
    ///
    /// It is on the image before augmentation, with a size, an angle and a place of its own each time.
    Physical, "physical", "arXiv 2004.04692",
    defaults: { "trigger": { "use": "physical-patch" }, "of": "set" },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
