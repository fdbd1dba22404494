preset! {
    /// Waves in the colours of images of one class, which keep their label (CTRL).
    ///
    /// Published against self-supervised learning; here the net is trained on labels, as everywhere.
    Ctrl, "ctrl", "arXiv 2210.07346",
    defaults: { "trigger": { "use": "frequency", "magnitude": 100.0 }, "labels": "kept" },
    example: { "to": "speed-limit-80", "share": 0.33 },
}
