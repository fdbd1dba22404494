use std::collections::VecDeque;

/// Changes of gradients along which curvature is remembered.
const MEMORY: usize = 8;

/// Limited-memory BFGS (Nocedal 1980): the last steps and what they changed in the gradient, as an estimate of the inverse Hessian.
#[derive(Default)]
pub(super) struct Curvature {
    /// Step, change of the gradient, and the inverse of their product.
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl Curvature {
    /// Remembers a step, unless the function curves downwards along it.
    pub(super) fn remember(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let product = inner(&step, &change);
        if product > 1e-8 * inner(&change, &change) {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back((step, change, 1.0 / product));
        }
    }

    /// The way down from a gradient; `unit` times the gradient as long as nothing is remembered.
    pub(super) fn descent(&self, gradient: &[f64], unit: f64) -> Vec<f64> {
        let mut way: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
        let mut factors = Vec::with_capacity(self.pairs.len());
        for (step, change, inverse) in self.pairs.iter().rev() {
            let factor = inverse * inner(step, &way);
            add(&mut way, change, -factor);
            factors.push(factor);
        }
        let scale = self.pairs.back().map_or(unit, |(_, change, inverse)| 1.0 / (inverse * inner(change, change)));
        for slope in &mut way {
            *slope *= scale;
        }
        for ((step, change, inverse), factor) in self.pairs.iter().zip(factors.iter().rev()) {
            let correction = factor - inverse * inner(change, &way);
            add(&mut way, step, correction);
        }
        way
    }
}

pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], other: &[f64], factor: f64) {
    for (to, other) in to.iter_mut().zip(other) {
        *to += factor * other;
    }
}
