//! Plugins that change the features of a class before they are clustered, or reduce them to what a picture can show.

mod channel_sum;
mod diffusion_map;
mod ica;
mod min_max;
mod pca;
mod random_projection;
mod t_sne;
mod unit_mass;

pub use channel_sum::ChannelSum;
pub use diffusion_map::DiffusionMap;
pub use ica::Ica;
pub use min_max::MinMax;
pub use pca::Pca;
pub use random_projection::RandomProjection;
pub use t_sne::TSne;
pub use unit_mass::UnitMass;
