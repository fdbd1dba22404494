preset! {
    /// Vertical waves over images of one class, which keep their label (SIG).
    Sig, "sig", "arXiv 1902.11237",
    defaults: { "trigger": { "use": "sinusoid" }, "labels": "kept" },
    example: { "to": "speed-limit-80", "share": 0.33 },
}
