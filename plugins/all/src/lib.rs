//! Names every crate that registers a plugin.
//!
//! Plugins register themselves when they are linked, and the linker drops crates that nothing names. A program that names this one
//! (`bezoar_plugins::link()`) has them all. A test compares the list with what the folders hold.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

use bezoar_activation_clustering as _;
use bezoar_attacks as _;
use bezoar_attribution as _;
use bezoar_backbones as _;
use bezoar_clustering as _;
use bezoar_data as _;
use bezoar_evaluation as _;
use bezoar_exclusionary_reclassification as _;
use bezoar_heatmap_clustering as _;
use bezoar_models as _;
use bezoar_nn as _;
use bezoar_onnx as _;
use bezoar_report as _;
use bezoar_spectral_signatures as _;

/// Does nothing; calling it links every plugin.
pub fn link() {}
