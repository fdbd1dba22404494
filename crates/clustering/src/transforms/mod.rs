//! Plugins that change the features of a class before they are clustered.

mod channel_sum;
mod min_max;
mod pca;
mod random_projection;
mod unit_mass;

pub use channel_sum::ChannelSum;
pub use min_max::MinMax;
pub use pca::Pca;
pub use random_projection::RandomProjection;
pub use unit_mass::UnitMass;
