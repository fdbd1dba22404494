//! The detector `exclusionary-reclassification`, after section *Exclusionary Reclassification* of *Detecting Backdoor Attacks on Deep Neural
//! Networks by Activation Clustering* (Chen et al.; arXiv 1811.03728).
//!
//! Another detector accuses; a net is trained without all the images that it accuses, by the pipeline's own recipe, and shown them. What is
//! poison under a wrong label it takes for the class that the images come from, since no trigger is known to it; what is clean it takes for
//! what the label says. So it clears a class that is accused for the size of a cluster alone.
//!
//! One training serves all classes, where the paper has one for each cluster. It clears label-consistent poison too, whose images show what
//! their label says. Where most of a class is poison and its clean rest is accused, the new net has only the poison to learn the class from: with
//! `both-parts` a second one is trained without the poison, and that part is accused that comes from one class.
//!
//! - `config`: what YAML can say of it, and its registration.
//! - `algorithm`: the method itself.

mod algorithm;
mod config;

pub use config::ExclusionaryReclassification;
