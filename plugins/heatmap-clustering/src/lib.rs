//! The detector `heatmap-clustering`, after *Detecting Backdoor Poisoning Attacks on Deep Neural Networks by Heatmap
//! Clustering* (Schulth, Berghoff, Neu; arXiv 2204.12848).
//!
//! A backdoored net decides by the trigger where there is one and by the object elsewhere, so the heatmaps of a poisoned
//! class fall into two groups. The detector explains every image towards its given label, normalises the heatmaps and splits
//! each class in two; the smaller part is accused.
//!
//! It assumes that the net has learnt the trigger and that the trigger is small. It cannot see poison whose heatmaps look
//! like those of clean images, and under Euclidean distance triggers at several places make as many groups.
//!
//! Without a preset it is the method in short, under Euclidean distance. `as-described` is the paper's text, `as-published` its
//! code, which squares inputs and weights in its rule for relevance, stops at the first block's output, and starts barycentres
//! anew each time. `recommended` needs no oracle: it aligns heatmaps at their strongest squares and asks the net what these do
//! to other images.
//!
//! A preset of [`bezoar_clustering::Composition`]:
//!
//! - `config`: what YAML can say of it, its defaults, and its registration.

mod config;

pub use config::HeatmapClustering;
