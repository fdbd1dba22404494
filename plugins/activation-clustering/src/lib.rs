//! The detector `activation-clustering`, after *Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering*
//! (Chen et al.; arXiv 1811.03728).
//!
//! Clean and poisoned images of a class reach the same label for different reasons, and the activations before the last layer
//! show it. The detector reduces them to ten dimensions and splits each class in two; the smaller part is accused.
//!
//! It assumes that poison is the smaller part and lies apart. It cannot see poison that is rare in its class, where the split
//! follows something else, or poison that an adaptive attack has blended in. The paper reduces by independent components;
//! this, like most implementations, by principal ones. The code of the Heatmap Clustering thesis clusters logits under this
//! name. The preset `recommended` trusts no size: it asks the net what a cluster has in common does to other images, and may accuse nobody.
//!
//! A preset of [`bezoar_clustering::Composition`]:
//!
//! - `config`: what YAML can say of it, its defaults, and its registration.

mod config;

pub use config::ActivationClustering;
