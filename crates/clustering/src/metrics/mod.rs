//! Plugins that measure how far rows of a class are from each other.
//!
//! All but `euclidean` and `precomputed` take rows as heatmaps. None depends on the number of threads.

mod euclidean;
mod gromov_wasserstein;
mod lower_bound;
mod mean_distance;
mod precomputed;
mod wasserstein;

pub use euclidean::{Euclidean, Norm};
pub use gromov_wasserstein::{GromovWasserstein, Solver};
pub use lower_bound::{Bound, Memoli};
pub use mean_distance::MeanDistance;
pub use precomputed::Precomputed;
pub use wasserstein::Wasserstein;

use bezoar_core::{Context, Error, Features, Pairs, Pairwise, Result};
use bezoar_transport::Space;
use rayon::prelude::*;

use crate::distances::{LARGE, announce};

/// Directions of a heatmap's embedding: costs agree with those of all directions to six digits.
pub(crate) const RANK: usize = 64;

pub(crate) fn default_mass() -> f64 {
    0.99
}

/// The distances of these pairs of `rows` rows, each by `distance(tool, row, other)` with `other` before `row`, on all cores; each core makes a
/// tool of its own. What is below 0 by rounding, or by the bias that was taken away, is 0.
pub(crate) fn compared<T>(
    cx: &Context,
    label: &str,
    rows: usize,
    pairs: Pairs<'_>,
    tool: impl Fn() -> Result<T> + Sync,
    distance: impl Fn(&mut T, usize, usize) -> Result<f64> + Sync,
) -> Result<Vec<f32>> {
    let others = |row: usize| match pairs {
        Pairs::All => row,
        Pairs::With(with) => with.len(),
    };
    let other = |place: usize| match pairs {
        Pairs::All => place,
        Pairs::With(with) => with[place],
    };
    if pairs == Pairs::All {
        announce(cx, rows, Pairwise::bytes(rows));
    }
    let mut values = vec![0.0; (0..rows).map(others).sum()];
    let task = cx.task(label, values.len() as u64);
    let mut rest = values.as_mut_slice();
    let mut split = Vec::with_capacity(rows);
    for row in 0..rows {
        let (own, others) = rest.split_at_mut(others(row));
        split.push((row, own));
        rest = others;
    }
    // The longest rows first, so that no core is left with one at the end.
    split.into_par_iter().rev().with_max_len(1).try_for_each_init(
        || tool().map_err(|error| error.to_string()),
        |tool, (row, own)| {
            cx.check()?;
            let tool = tool.as_mut().map_err(Error::request)?;
            let done = own.len() as u64;
            for (place, to) in own.iter_mut().enumerate() {
                let other = other(place);
                let found = if other == row { 0.0 } else { distance(tool, row.max(other), row.min(other))? };
                if found.is_nan() {
                    return Err(Error::row(row, format!("its distance to row {other} is no number")));
                }
                *to = found.max(0.0) as f32;
            }
            task.advance(done);
            Ok::<(), Error>(())
        },
    )?;
    Ok(values)
}

/// Height and width of rows that are heatmaps, `[H, W]` or `[C, H, W]`.
pub(crate) fn size(features: &Features) -> Result<(usize, usize)> {
    match *features.shape() {
        [height, width] | [_, height, width] => Ok((height, width)),
        ref other => Err(Error::request(format!("rows of {other:?} are no heatmaps")).with_help("heatmaps are [H, W] or [C, H, W]")),
    }
}

/// Something made of each row as a heatmap, its channels summed: of the pixels that carry `mass` of it.
pub(crate) fn spaces<T: Send>(
    cx: &Context,
    features: &Features,
    mass: f64,
    of: impl Fn(&Space) -> Result<T, bezoar_transport::Error> + Sync,
) -> Result<Vec<T>> {
    let (height, width) = size(features)?;
    announce_spaces(cx, height, width);
    let made = (0..features.len()).into_par_iter().map(|row| {
        cx.check()?;
        let mut heat = vec![0.0; height * width];
        for channel in features.row(row).chunks_exact(height * width) {
            for (sum, value) in heat.iter_mut().zip(channel) {
                *sum += value;
            }
        }
        Space::from_heatmap(height, width, &heat, mass).and_then(|space| of(&space)).map_err(|error| refused(row, &error))
    });
    // Errors by the first row, whatever came first in time.
    made.collect::<Vec<Result<T>>>().into_iter().collect()
}

/// Bytes that a heatmap takes on a core while it is embedded, for each pair of its pixels: a distance in double and in single precision.
const BYTES_A_PAIR: usize = 12;

/// Says what tables of all pairs of a heatmap's pixels will take before they are made, if that is much.
fn announce_spaces(cx: &Context, height: usize, width: usize) {
    let bytes = (height * width).saturating_pow(2).saturating_mul(BYTES_A_PAIR);
    if bytes > LARGE {
        let size = bytes as f64 / 1e9;
        cx.note(&format!(
            "each heatmap of {height} x {width} pixels takes up to {size:.1} GB on each core: lower `mass`, or pool heatmaps, for less"
        ));
    }
}

fn refused(row: usize, error: &bezoar_transport::Error) -> Error {
    let refused = Error::row(row, error);
    match error {
        bezoar_transport::Error::Heatmap { .. } => {
            refused.with_help("such rows have no shape to compare: leave these images out, or compare by `euclidean`")
        }
        _ => refused,
    }
}

#[cfg(test)]
mod laws {
    //! What holds for every distance.

    use std::sync::Arc;

    use bezoar_core::{Distance, Plugin};

    use super::*;

    fn all() -> Vec<(&'static str, Arc<dyn Distance>)> {
        let gromov = GromovWasserstein::example;
        let plugins = [
            ("gromov-wasserstein", gromov().build()),
            ("debiased", GromovWasserstein { debiased: true, ..gromov() }.build()),
            ("fused", GromovWasserstein { fused: Some(0.5), debiased: true, ..gromov() }.build()),
            ("reference", GromovWasserstein { solver: Solver::Reference, ..gromov() }.build()),
            ("wasserstein", Wasserstein::example().build()),
            ("first", Memoli::example().build()),
            ("second", Memoli { bound: Bound::Second, ..Memoli::example() }.build()),
            ("third", Memoli { bound: Bound::Third, ..Memoli::example() }.build()),
            ("mean-distance", MeanDistance::example().build()),
            ("l2", Euclidean { norm: Norm::L2 }.build()),
            ("l1", Euclidean { norm: Norm::L1 }.build()),
            ("max", Euclidean { norm: Norm::Max }.build()),
            ("cosine", Euclidean { norm: Norm::Cosine }.build()),
        ];
        plugins.into_iter().map(|(name, plugin)| (name, plugin.unwrap())).collect()
    }

    /// A bar of three lengths at several places, upright and lying.
    fn heatmaps() -> Features {
        let mut values = Vec::new();
        for (length, top, left, upright) in
            [(3, 0, 0, true), (3, 2, 4, true), (3, 1, 2, false), (6, 0, 3, true), (6, 4, 0, false), (2, 5, 5, true)]
        {
            let mut heat = [0.0; 64];
            for step in 0..length {
                let (down, across) = if upright { (step, 0) } else { (0, step) };
                heat[(top + down) * 8 + left + across] = 1.0 + 0.5 * (step % 2) as f32;
            }
            values.extend(heat);
        }
        Features::new(vec![8, 8], values).unwrap()
    }

    fn between(distance: &dyn Distance, features: &Features) -> Pairwise {
        distance.between(&Context::quiet(0), features).unwrap()
    }

    #[test]
    fn distances_to_some_rows_are_those_of_all_pairs() {
        let heatmaps = heatmaps();
        for (name, distance) in all() {
            let (every, some) =
                (between(&*distance, &heatmaps), distance.compare(&Context::quiet(0), &heatmaps, Pairs::With(&[4, 1])).unwrap());
            for (row, some) in some.chunks(2).enumerate() {
                let right = [every.get(row, 4), every.get(row, 1)];
                assert!(
                    some.iter().zip(right).all(|(found, right)| (found - right).abs() <= 1e-6),
                    "{name}, row {row}: {some:?} and {right:?}"
                );
            }
        }
    }

    #[test]
    fn channels_are_summed_and_threads_do_not_matter() {
        let heatmaps = heatmaps();
        let doubled: Vec<f32> = heatmaps.rows().flat_map(|row| row.iter().chain(row)).copied().collect();
        let doubled = Features::new(vec![2, 8, 8], doubled).unwrap();
        for (name, distance) in all() {
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| between(&*distance, &heatmaps))
            };
            let found = with(1);
            assert_eq!(found, with(3), "{name}");
            if !["l1", "l2", "max"].contains(&name) {
                for (one, two) in found.values().iter().zip(between(&*distance, &doubled).values()) {
                    assert!((one - two).abs() < 1e-5, "{name}: {one} and {two}");
                }
            }
        }
    }

    #[test]
    fn distances_of_shapes_see_no_motion_and_those_of_places_do() {
        for (name, distance) in all() {
            let found = between(&*distance, &heatmaps());
            let (moved, turned, longer) = (found.get(0, 1), found.get(0, 2), found.get(0, 3));
            match name {
                "debiased" | "first" | "second" | "third" | "mean-distance" => {
                    assert!(moved < 1e-6 && turned < 1e-6, "{name}: {moved}, {turned}");
                }
                "fused" | "wasserstein" => assert!(moved > 0.01 && turned > 0.001 && longer > 0.0, "{name}: {moved}, {turned}"),
                _ => {}
            }
            assert!(found.values().iter().all(|distance| *distance >= 0.0), "{name}");
        }
    }

    #[test]
    fn large_heatmaps_are_announced() {
        let notes = crate::stand_in::Notes::default();
        announce_spaces(&notes.context(), 64, 64);
        assert!(notes.taken().is_empty());
        announce_spaces(&notes.context(), 224, 224);
        assert_eq!(
            notes.taken(),
            ["each heatmap of 224 x 224 pixels takes up to 30.2 GB on each core: lower `mass`, or pool heatmaps, for less"]
        );
    }

    #[test]
    fn what_is_no_number_is_no_distance() {
        let cx = Context::quiet(0);
        let refused =
            compared(&cx, "compare", 3, Pairs::All, || Ok(()), |(), row, _| Ok(if row == 2 { f64::NAN } else { -1.0 })).unwrap_err();
        assert_eq!(refused.to_string(), "row 2 of the features: its distance to row 0 is no number");
        // The least weight that single precision knows beside one that it does not.
        let faint = Features::new(vec![2, 2], vec![3.0, 0.0, 0.0, 1e-45, 1.0, 2.0, 3.0, 0.0]).unwrap();
        let all = GromovWasserstein { mass: 1.0, ..GromovWasserstein::example() }.build().unwrap();
        assert!(between(&*all, &faint).values()[0].is_finite());
    }

    #[test]
    fn what_is_no_heatmap_is_refused() {
        let blank = Features::new(vec![2, 2], vec![0.0, 1.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0]).unwrap();
        let flat = Features::new(vec![4], vec![0.0; 8]).unwrap();
        for (name, distance) in all().into_iter().take(9) {
            let refused = |features| distance.between(&Context::quiet(0), features).unwrap_err().to_string();
            assert!(refused(&blank).starts_with("row 1 of the features: the heatmap is the same everywhere"), "{name}");
            assert_eq!(refused(&flat), "rows of [4] are no heatmaps", "{name}");
        }
    }

    #[test]
    fn one_pixel_is_a_heatmap_and_no_row_is_no_trouble() {
        let points = Features::new(vec![2, 2], vec![0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]).unwrap();
        for (name, distance) in all() {
            assert_eq!(between(&*distance, &points).values().len(), 1, "{name}");
            assert!(between(&*distance, &points.select(&[])).is_empty(), "{name}");
        }
    }
}
