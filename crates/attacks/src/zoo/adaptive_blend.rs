preset! {
    /// A picture of which training images show random pieces, and cover images too (Adaptive-Blend).
    ///
    /// In training half of the 16 pieces shine through, weakly; when the backdoor is used, the whole picture does.
    AdaptiveBlend, "adaptive-blend", "OpenReview _wSHsgrVali",
    defaults: {
        "trigger": { "use": "blend", "alpha": 0.15, "test-alpha": 0.2, "pieces": { "grid": 4, "shown": 0.5 } },
        "of": "set",
        "cover": { "times": 1.0 },
    },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
