preset! {
    /// Images of all classes in a slightly other light, which then carry the label of one (Color Backdoor).
    Tint, "tint", "doi 10.1109/CVPR52729.2023.00786",
    defaults: { "trigger": { "use": "tint" }, "of": "set" },
    example: { "to": "speed-limit-80", "share": 0.05 },
}
