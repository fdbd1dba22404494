use std::sync::Arc;

use bezoar_core::{Context, Distance, Features, Part, Plugin, Result, Transform, register};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canonical::change_canonically;
use crate::distances::pairwise;
use crate::graph::{Graph, Spectrum};
use crate::principal::peak;

/// Places the rows of a class so that those between which many short paths lead are near each other (diffusion map; Coifman and Lafon 2006).
///
/// Rows are joined to their nearest `neighbours`, and components of that graph by the shortest edges. A walk on it from row to row has eigenvectors `ψ`,
/// of unit length under its stationary distribution, and eigenvalues `λ`; the coordinates of a row are its entries in the `dimensions` greatest but
/// the constant one, times `λ^time`. Distances between rows are then how differently walks of that many steps end that begin there. The
/// largest entry of each coordinate is positive; equal eigenvalues have coordinates that follow from the seed. Rows of any shape are taken as flat.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiffusionMap {
    /// Number of coordinates; fewer for fewer rows.
    #[serde(default = "default_dimensions")]
    #[schemars(range(min = 1))]
    pub dimensions: usize,
    /// The nearest rows that each row is joined to, itself not counted.
    #[serde(default = "default_neighbours")]
    #[schemars(range(min = 1))]
    pub neighbours: usize,
    /// Steps of the walk: the more, the less small structure counts.
    #[serde(default = "default_time")]
    #[schemars(range(min = 0.0))]
    pub time: f64,
    /// How far rows are apart; Euclidean if left out. Memory then grows with the square of the class.
    #[serde(default)]
    pub distance: Option<Part<dyn Distance>>,
}

fn default_dimensions() -> usize {
    10
}

fn default_neighbours() -> usize {
    10
}

fn default_time() -> f64 {
    1.0
}

impl Plugin for DiffusionMap {
    type Kind = dyn Transform;
    const NAME: &'static str = "diffusion-map";

    fn example() -> Self {
        Self { dimensions: default_dimensions(), neighbours: default_neighbours(), time: default_time(), distance: None }
    }

    fn build(self) -> Result<Arc<dyn Transform>> {
        Ok(Arc::new(self))
    }
}

register!(DiffusionMap);

impl Transform for DiffusionMap {
    fn transform(&self, cx: &Context, features: Features) -> Result<Features> {
        change_canonically(&features, |features| {
            if features.rows().all(|row| row == features.row(0)) {
                return Features::new(vec![1], vec![0.0; features.len()]);
            }
            let graph = match &self.distance {
                Some(distance) => Graph::of_pairs(cx, &pairwise(cx, distance, features)?, self.neighbours, 1)?,
                None => Graph::of_rows(cx, features, self.neighbours, 1)?,
            };
            let Spectrum { values, vectors } = graph.spectrum(self.dimensions + 1, &mut cx.rng("spectrum"))?;
            let volume: f64 = graph.degrees().sum();
            let scales: Vec<f64> = graph.degrees().map(|degree| (volume / degree).sqrt()).collect();
            let coordinate = |(value, vector): (&f64, &Vec<f64>)| {
                let entries: Vec<f64> = vector.iter().zip(&scales).map(|(entry, scale)| entry * scale).collect();
                // Of walks that go to and fro, eigenvalues are negative: their size counts.
                let decay = (1.0 - value).abs().powf(self.time).copysign(peak(entries.iter().copied()));
                entries.into_iter().map(|entry| (entry * decay) as f32).collect::<Vec<_>>()
            };
            let coordinates: Vec<Vec<f32>> = values.iter().zip(&vectors).skip(1).map(coordinate).collect();
            let values = (0..features.len()).flat_map(|row| coordinates.iter().map(move |coordinate| coordinate[row]));
            Features::new(vec![coordinates.len()], values.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduce(map: &DiffusionMap, features: &Features) -> Features {
        map.transform(&Context::quiet(0), features.clone()).unwrap()
    }

    #[test]
    fn a_spiral_is_unrolled() {
        let point = |i: usize| {
            let angle = 2.0 + i as f32 * 0.05;
            [angle * angle.cos(), angle * angle.sin()]
        };
        let spiral = Features::new(vec![2], (0..200).flat_map(point).collect()).unwrap();
        for distance in [None, Some(Part::from_json(serde_json::json!({ "use": "euclidean" })).unwrap())] {
            let found = reduce(&DiffusionMap { dimensions: 1, neighbours: 3, distance, ..DiffusionMap::example() }, &spiral);
            let along: Vec<f32> = found.rows().map(|row| row[0]).collect();
            assert!(along.is_sorted() || along.iter().rev().is_sorted(), "the way along the spiral is the first coordinate");
        }
    }

    #[test]
    fn coordinates_are_of_unit_variance_on_the_walk_and_shrink_with_time() {
        let line = Features::new(vec![1], (0..60).map(|i| (i * i) as f32).collect()).unwrap();
        let at = |time: f64| reduce(&DiffusionMap { dimensions: 3, neighbours: 5, time, distance: None }, &line);
        let length = |features: &Features, column: usize| features.rows().map(|row| f64::from(row[column]).powi(2)).sum::<f64>();
        let (now, later) = (at(0.0), at(8.0));
        let graph = Graph::of_rows(&Context::quiet(0), &line, 5, 1).unwrap();
        let volume: f64 = graph.degrees().sum();
        for column in 0..3 {
            // Rows are drawn by the walk in the long run.
            let variance: f64 = now.rows().zip(graph.degrees()).map(|(row, degree)| f64::from(row[column]).powi(2) * degree / volume).sum();
            assert!((variance - 1.0).abs() < 1e-5, "{variance}");
            assert!(length(&later, column) < length(&now, column));
        }
        assert!(length(&later, 2) / length(&now, 2) < length(&later, 0) / length(&now, 0), "small structure fades first");
    }

    #[test]
    fn few_or_equal_rows_make_no_trouble() {
        assert_eq!(reduce(&DiffusionMap::example(), &Features::new(vec![2], vec![1.0; 10]).unwrap()).values(), [0.0; 5]);
        assert_eq!(reduce(&DiffusionMap::example(), &Features::new(vec![1], vec![1.0, 2.0, 4.0]).unwrap()).shape(), [2]);
    }
}
