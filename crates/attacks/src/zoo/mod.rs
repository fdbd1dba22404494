//! Published attacks by their names. Most are presets of [`Backdoor`](crate::Backdoor).

/// Declares a [`Backdoor`](crate::Backdoor) with other defaults, as a plugin of its own.
macro_rules! preset {
    (
        $(#[$doc:meta])*
        $type:ident, $name:literal, $paper:literal, defaults: $defaults:tt, example: $example:tt $(, presets: $presets:block)? $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $type(pub crate::Backdoor);

        impl bezoar_core::Plugin for $type {
            type Kind = dyn bezoar_core::Attack;
            const NAME: &'static str = $name;
            const PAPER: Option<&'static str> = Some($paper);

            fn defaults() -> serde_json::Value {
                serde_json::json!($defaults)
            }

            $(fn presets() -> Vec<bezoar_core::Preset> {
                $presets
            })?

            fn example() -> Self {
                Self(crate::Backdoor::preset(Self::defaults(), serde_json::json!($example)))
            }

            fn build(self) -> bezoar_core::Result<std::sync::Arc<dyn bezoar_core::Attack>> {
                Ok(std::sync::Arc::new(self.0.campaign($name)?))
            }
        }

        bezoar_core::register!($type);
    };
}

mod adaptive_blend;
mod adaptive_patch;
mod all_to_all;
mod amplitude;
mod badnets;
mod batt;
mod blended;
mod bpp;
mod ctrl;
mod ftrojan;
mod k_way;
mod label_consistent;
mod multi_trigger;
mod none;
mod physical;
mod sig;
mod sticker;
mod tact;
mod tint;
mod wanet;

pub use self::adaptive_blend::AdaptiveBlend;
pub use self::adaptive_patch::AdaptivePatch;
pub use self::all_to_all::AllToAll;
pub use self::amplitude::Amplitude;
pub use self::badnets::BadNets;
pub use self::batt::Batt;
pub use self::blended::Blended;
pub use self::bpp::Bpp;
pub use self::ctrl::Ctrl;
pub use self::ftrojan::FTrojan;
pub use self::k_way::KWay;
pub use self::label_consistent::LabelConsistent;
pub use self::multi_trigger::MultiTrigger;
pub use self::none::None;
pub use self::physical::Physical;
pub use self::sig::Sig;
pub use self::sticker::Sticker;
pub use self::tact::Tact;
pub use self::tint::Tint;
pub use self::wanet::WaNet;
