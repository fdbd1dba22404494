//! Attacks on training sets, each a plugin: it poisons a data set and keeps the truth about what it did.
//!
//! - [`trigger`]: what attacks put on images. Plugins of their own, to be put together.
//! - [`Backdoor`]: any trigger on any images. The other attacks are presets of it.
//! - [`Craft`]: images made hard to recognise on a net that was trained on the clean ones, by projected gradient [`Ascent`].
//! - [`zoo`]: published attacks by their names.
//!
//! Attacks change pixels and labels and nothing else. Whether the backdoor works is measured after training
//! (`bezoar-evaluation`), on the triggered test images that every attack makes.

mod ascent;
mod backdoor;
mod campaign;
mod color;
mod craft;
mod place;
mod sampling;
pub mod trigger;
pub mod zoo;

pub use ascent::{Ascent, Direction, Norm};
pub use backdoor::{Backdoor, Labelling};
pub use campaign::{Cover, Whole};
pub use color::Color;
pub use craft::{Craft, Surrogate};
pub use place::{Corner, Place, Window};
