//! What holds for every pair of spaces.

#![expect(clippy::float_cmp, reason = "what is exactly 0")]

use bezoar_transport::gromov::{
    Barycentre, Centre, Embedding, Fast, Fused, KMeans, LowerBound, Placed, Reference, Solver, barycentre, excess, k_means, lower_bound,
    reference,
};
use bezoar_transport::{Error, Space};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Weights of the entropy, and how many of 400 pairs may end in other minima there.
const EPSILONS: [(f64, usize); 2] = [(0.2, 4), (0.02, 4)];

const BOUNDS: [LowerBound; 3] = [LowerBound::First, LowerBound::Second, LowerBound::Third];

type Points = Vec<([f64; 2], f64)>;

/// Points of the plane, each with a weight.
fn points() -> impl Strategy<Value = Points> {
    proptest::collection::vec(((-1.0..1.0_f64, -1.0..1.0_f64), 0.05..1.0_f64), 4..30)
        .prop_map(|points| points.into_iter().map(|((y, x), weight)| ([y, x], weight)).collect())
}

fn space(points: &Points) -> Space {
    Space::from_points(points.iter().map(|(place, _)| *place).collect(), points.iter().map(|(_, weight)| *weight).collect()).unwrap()
}

fn cost(first: &Space, second: &Space, epsilon: f64) -> f64 {
    let [first, second] = [first, second].map(|space| Embedding::of(space, space.len()).unwrap());
    Solver::new(Fast::new(epsilon)).unwrap().distance(&first, &second).value
}

/// What a solver found.
struct Found {
    value: f64,
    /// What it minimises: the cost less epsilon times the entropy of the plan.
    objective: f64,
    converged: bool,
}

impl Found {
    fn of(value: f64, epsilon: f64, plan: impl IntoIterator<Item = f64>, converged: bool) -> Self {
        let entropy: f64 = plan.into_iter().filter(|weight| *weight > 0.0).map(|weight| -weight * weight.ln()).sum();
        Self { value, objective: value - epsilon * entropy, converged }
    }

    fn fast(first: &Space, second: &Space, epsilon: f64) -> Self {
        let [first, second] = [first, second].map(|space| Embedding::of(space, space.len()).unwrap());
        let (found, plan) = Solver::new(Fast::new(epsilon)).unwrap().plan(&first, &second);
        Self::of(found.value, epsilon, plan, found.converged)
    }

    fn reference(first: &Space, second: &Space, epsilon: f64) -> Self {
        let found = reference(first, second, &Reference { iterations: 20_000, ..Reference::new(epsilon) }).unwrap();
        Self::of(found.value, epsilon, found.plan.col_iter().flat_map(|column| column.iter().copied()), found.converged)
    }

    /// Whether both are the same minimum. Where it is a flat valley, in which a solver comes to no rest, its value is known less well.
    fn agrees(&self, other: &Self) -> bool {
        let tolerance = if self.converged && other.converged { 1e-6 } else { 1e-4 };
        (self.objective - other.objective).abs() < 1e-6 && (self.value - other.value).abs() < tolerance
    }
}

/// Pairs of spaces, always the same: in a few of a thousand, the ways of two solvers part.
fn pairs(number: usize, check: impl FnMut(&Points, &Points) -> bool) {
    pairs_but(number / 100, number, check);
}

/// Pairs of spaces, of which no more than `few` may end in other minima.
fn pairs_but(few: usize, number: usize, mut check: impl FnMut(&Points, &Points) -> bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut points = || -> Points {
        let number = rng.random_range(4..30);
        (0..number).map(|_| ([rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)], rng.random_range(0.05..1.0))).collect()
    };
    let parted = (0..number).filter(|_| !check(&points(), &points())).count();
    assert!(parted <= few, "{parted} of {number} pairs end in other minima");
}

#[test]
fn the_fast_solver_finds_what_the_reference_finds() {
    pairs(200, |a, b| {
        let (a, b) = (space(a), space(b));
        let (ours, right) = (Found::fast(&a, &b, 0.2), Found::reference(&a, &b, 0.2));
        ours.agrees(&right) || ours.objective < right.objective
    });
}

#[test]
fn the_way_back_costs_as_much() {
    for (epsilon, few) in EPSILONS {
        pairs_but(few, 400, |a, b| Found::fast(&space(a), &space(b), epsilon).agrees(&Found::fast(&space(b), &space(a), epsilon)));
    }
}

/// The points turned, moved and in another order.
fn moved(points: &Points, rng: &mut ChaCha8Rng) -> Points {
    let (sine, cosine) = rng.random_range(0.0..6.3_f64).sin_cos();
    let (down, across) = (rng.random_range(-5.0..5.0), rng.random_range(-5.0..5.0));
    let turn = |[y, x]: [f64; 2]| [cosine * y - sine * x + down, sine * y + cosine * x + across];
    let mut moved: Points = points.iter().map(|&(place, weight)| (turn(place), weight)).collect();
    moved.shuffle(rng);
    moved
}

#[test]
fn motions_and_the_order_of_points_do_not_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (epsilon, few) in EPSILONS {
        pairs_but(few, 400, |a, b| {
            let moved = moved(a, &mut rng);
            Found::fast(&space(a), &space(b), epsilon).agrees(&Found::fast(&space(&moved), &space(b), epsilon))
        });
    }
}

#[test]
fn a_space_is_no_debiased_way_from_itself_elsewhere() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (epsilon, few) in EPSILONS {
        pairs_but(few, 400, |a, _| {
            let [here, there] = [a, &moved(a, &mut rng)].map(|points| Embedding::of(&space(points), points.len()).unwrap());
            let far = Solver::new(Fast::new(epsilon)).unwrap().debiased(&here, &there);
            far.abs() < 1e-5
        });
    }
}

#[test]
fn the_order_of_points_makes_no_debiased_way_between_places() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for (epsilon, few) in EPSILONS {
        pairs_but(few, 400, |a, _| {
            let mut shuffled = a.clone();
            shuffled.shuffle(&mut rng);
            let [here, there] = [a, &shuffled].map(|points| Placed::of(&space(points), points.len(), 1.0).unwrap());
            let far = Fused::new(Fast::new(epsilon), rng.random_range(0.0..1.0)).unwrap().debiased(&here, &there);
            far.abs() < 1e-5
        });
    }
}

/// Two sets of points of a line with the same distances (Bloom 1977), which only their eccentricities tell apart.
#[test]
fn of_the_first_two_lower_bounds_either_may_be_the_sharper_one() {
    let line = |places: [f64; 6]| Space::from_points(places.map(|x| [0.0, x]).to_vec(), vec![1.0; 6]).unwrap();
    let (a, b) = (line([0.0, 1.0, 4.0, 10.0, 12.0, 17.0]), line([0.0, 1.0, 8.0, 11.0, 13.0, 17.0]));
    let [first, second, third] = BOUNDS.map(|bound| lower_bound(&a, &b, bound));
    assert!(second < 1e-12 && first > 1e-3 && third >= first, "{first}, {second}, {third}");
    let [first, second, _] =
        BOUNDS.map(|bound| lower_bound(&line([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), &line([0.0, 0.1, 0.2, 4.8, 4.9, 5.0]), bound));
    assert!(second > first, "{first}, {second}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn plans_have_the_weights_of_both_spaces((a, b) in (points(), points()), epsilon in 0.02..0.5_f64) {
        let (a, b) = (space(&a), space(&b));
        let embeddings = [&a, &b].map(|space| Embedding::of(space, space.len()).unwrap());
        let (_, plan) = Solver::new(Fast::new(epsilon)).unwrap().plan(&embeddings[0], &embeddings[1]);
        for (row, weight) in plan.chunks_exact(b.len()).zip(a.weights()) {
            prop_assert!((row.iter().sum::<f64>() - weight).abs() < 1e-5);
        }
        for (column, weight) in b.weights().iter().enumerate() {
            prop_assert!((plan.iter().skip(column).step_by(b.len()).sum::<f64>() - weight).abs() < 1e-5);
        }
    }

    /// No plan costs less than twice the moments allow, and none of ours more than the product of the weights.
    #[test]
    fn costs_lie_between_nothing_and_the_product_of_the_weights((a, b) in (points(), points()), epsilon in 0.02..0.5_f64) {
        let (a, b) = (space(&a), space(&b));
        let ((m1, m2), (n1, n2)) = (a.moments(), b.moments());
        let cost = cost(&a, &b, epsilon);
        prop_assert!(cost > -1e-6 && cost < m2 + n2 - 2.0 * m1 * n1 + 1e-6, "{cost}");
    }

    #[test]
    fn lower_bounds_lie_below_the_cost_and_the_third_above_the_others((a, b) in (points(), points()), epsilon in 0.02..0.5_f64) {
        let (a, b) = (space(&a), space(&b));
        let [first, second, third] = BOUNDS.map(|bound| lower_bound(&a, &b, bound));
        let cost = cost(&a, &b, epsilon);
        prop_assert!(first <= third + 1e-9 && second <= third + 1e-9 && third <= cost + 1e-6, "{first}, {second}, {third} and {cost}");
    }

    #[test]
    fn bounds_and_moments_of_isometric_spaces_are_equal(a in points(), angle in 0.0..6.3_f64, down in -5.0..5.0_f64) {
        let (sine, cosine) = angle.sin_cos();
        let moved: Points = a.iter().rev().map(|&([y, x], weight)| ([cosine * y - sine * x + down, sine * y + cosine * x], weight)).collect();
        let (here, there) = (space(&a), space(&moved));
        for bound in BOUNDS {
            prop_assert!(lower_bound(&here, &there, bound) < 1e-12, "{bound:?}");
        }
        prop_assert!((here.moments().0 - there.moments().0).abs() < 1e-12);
    }

    #[test]
    fn fused_costs_are_those_of_their_parts_at_the_ends((a, b) in (points(), points())) {
        let (a, b) = (space(&a), space(&b));
        let fused = |share: f64, rank: usize| {
            let [first, second] = [&a, &b].map(|space| Placed::of(space, rank, 2.0).unwrap());
            Fused::new(Fast::new(0.1), share).unwrap().distance(&first, &second).value
        };
        prop_assert!((fused(1.0, 30) - cost(&a, &b, 0.1)).abs() < 1e-9);
        prop_assert!((fused(0.0, 30) - fused(0.0, 0)).abs() < 1e-6, "shape has no part in it");
        let (shape, place, between) = (fused(1.0, 30), fused(0.0, 0), fused(0.5, 30));
        prop_assert!(between > -1e-6 && shape > -1e-6 && place > -1e-6);
    }

    #[test]
    fn what_a_translation_costs_is_its_squared_length(a in points(), (down, across) in (-1.0..1.0_f64, -1.0..1.0_f64)) {
        let moved: Points = a.iter().map(|&([y, x], weight)| ([y + down, x + across], weight)).collect();
        let [here, there] = [&a, &moved].map(|points| Placed::of(&space(points), 0, 1.0).unwrap());
        let cost = Fused::new(Fast::new(0.05), 0.0).unwrap().debiased(&here, &there);
        prop_assert!((cost - down * down - across * across).abs() < 2e-5, "{cost}");
    }

    #[test]
    fn embeddings_keep_all_distances(a in points()) {
        let space = space(&a);
        let embedding = Embedding::of(&space, space.len()).unwrap();
        prop_assert!(embedding.rank() < space.len());
        for from in 0..space.len() {
            for to in 0..space.len() {
                let squared: f64 = embedding.coordinates(from).iter().zip(embedding.coordinates(to)).map(|(x, y)| f64::from(x - y).powi(2)).sum();
                prop_assert!((squared - space.distance(from, to)).abs() < 1e-4, "{squared} and {}", space.distance(from, to));
            }
        }
    }

    /// What the clustering of arXiv 2204.12848 rests on at its epsilon: the barycentre is one number, the mean distance.
    #[test]
    fn at_a_large_epsilon_the_barycentre_collapses(all in proptest::collection::vec(points(), 2..5), seed in 0..100_u64) {
        let embeddings: Vec<Embedding> = all.iter().map(|points| Embedding::of(&space(points), 64).unwrap()).collect();
        let centre = Centre::random(5, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        let found = barycentre(centre, &embeddings.iter().collect::<Vec<_>>(), &Barycentre { points: 5, ..Barycentre::new(2.0) }).unwrap();
        let mean = all.iter().map(|points| space(points).moments().0).sum::<f64>() / all.len() as f64;
        for distance in found.distances {
            prop_assert!((distance - mean).abs() < 1e-4, "{distance} and {mean}");
        }
    }

    #[test]
    fn what_a_constant_centre_costs_too_much_is_how_far_it_is_from_the_mean_distance(a in points(), constant in 0.1..2.0_f64) {
        let (centre, settings) = (Centre::of(vec![constant; 25]).unwrap(), Barycentre { points: 5, ..Barycentre::new(2.0) });
        let a = space(&a);
        let found = excess(&centre, &Embedding::of(&a, 64).unwrap(), &settings).unwrap();
        let expected = (a.moments().0 - constant).powi(2);
        prop_assert!((found - expected).abs() < 1e-3 * expected + 1e-6, "{found} and {expected}");
    }
}

#[test]
fn rings_and_clumps_are_told_apart() {
    let ring = |radius: f64, points: usize| -> Points {
        let angle = |point: usize| point as f64 / points as f64 * std::f64::consts::TAU;
        (0..points).map(|point| ([radius * angle(point).sin() + 3.0 * radius, radius * angle(point).cos()], 1.0)).collect()
    };
    let clump = |size: usize| -> Points {
        (0..size * size).map(|i| ([(i / size) as f64, (i % size) as f64], if i == 0 { 20.0 } else { 1.0 })).collect()
    };
    let spaces: Vec<Embedding> = (0..24)
        .map(|i| if i % 3 == 0 { clump(4 + i % 2) } else { ring(1.0 + i as f64, 16 + i) })
        .map(|points| Embedding::of(&space(&points), 32).unwrap())
        .collect();
    for epsilon in [0.1, 0.01] {
        let settings = KMeans::new(2, Barycentre::new(epsilon));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| k_means(&spaces, &settings, &mut ChaCha8Rng::seed_from_u64(1), &|_| true).unwrap())
        };
        let found = with(1);
        assert!(found.converged);
        assert_eq!(found.labels, (0..24).map(|i| if i % 3 == 0 { found.labels[0] } else { found.labels[1] }).collect::<Vec<_>>());
        assert_ne!(found.labels[0], found.labels[1]);
        assert_eq!(with(2).costs, found.costs, "the number of threads does not matter");
    }
}

#[test]
fn heatmaps_keep_the_pixels_that_carry_the_mass() {
    let values = [0.0, 8.0, 1.0, 0.5, 0.5, 0.0];
    let space = Space::from_heatmap(2, 3, &values, 0.92).unwrap();
    assert_eq!(space.len(), 3, "the first that exceeds the mass is taken too");
    for (weight, right) in space.weights().iter().zip([8.0, 1.0, 0.5]) {
        assert!((weight - right / 9.5).abs() < 1e-12);
    }
    for ((from, to), squared) in [((0, 1), 1.0), ((0, 2), 2.0), ((1, 2), 5.0)] {
        assert!((space.distance(from, to) - f64::sqrt(squared / 5.0)).abs() < 1e-12);
    }
    assert_eq!(Space::from_heatmap(2, 3, &values, 1.0).unwrap().len(), 4, "pixels without mass are left out");
}

#[test]
fn a_single_point_is_a_space() {
    let one = Space::from_heatmap(2, 2, &[0.0, 0.0, 1.0, 0.0], 0.99).unwrap();
    assert_eq!((one.len(), one.moments()), (1, (0.0, 0.0)));
    let two = Space::from_points(vec![[0.0, 0.0], [0.0, 3.0]], vec![1.0, 1.0]).unwrap();
    assert!((cost(&one, &two, 0.1) - 0.5).abs() < 1e-6, "the mean square distance");
    assert_eq!(cost(&one, &one, 0.1), 0.0);
}

#[test]
fn what_is_no_space_is_refused_in_words() {
    let said = |result: Result<Space, Error>| result.unwrap_err().to_string();
    insta::assert_snapshot!([
        said(Space::from_heatmap(2, 2, &[1.0; 4], 0.99)),
        said(Space::from_heatmap(2, 2, &[1.0; 5], 0.99)),
        said(Space::from_heatmap(2, 2, &[1.0, f32::NAN, 0.0, 0.0], 0.99)),
        said(Space::from_heatmap(2, 2, &[1.0, 0.0, 0.0, 0.0], 0.0)),
        said(Space::from_points(vec![], vec![])),
        said(Space::from_points(vec![[0.0, 0.0]], vec![0.0])),
        said(Space::from_points(vec![[0.0, f64::INFINITY]], vec![1.0])),
        said(Space::from_points(vec![[0.0, 0.0]], vec![1.0, 1.0])),
        said(Space::from_distances(vec![0.0, 1.0, 2.0, 0.0], vec![1.0, 1.0])),
        said(Space::from_distances(vec![0.0, -1.0, -1.0, 0.0], vec![1.0, 1.0])),
        said(Space::from_distances(vec![0.0; 3], vec![1.0, 1.0])),
    ].join("\n"), @r"
    the heatmap is the same everywhere: no pixel stands out
    the heatmap has 5 values, not 2 x 2
    the heatmap holds NaN at row 0, column 1
    mass is 0, and has to be above 0 and at most 1
    a space needs at least one point
    weight 0 is 0: weights are positive numbers
    point 0 lies at (0, inf): coordinates are finite
    2 weights go with 2 points, not with 1
    the distance from point 0 to point 1 is 1: the way back is of another length
    the distance from point 0 to point 1 is -1: distances are finite and not negative
    2 weights go with 4 distances, not with 3
    ");
}

#[test]
fn what_cannot_be_solved_is_refused() {
    assert!(Solver::new(Fast::new(0.0)).is_err() && Solver::new(Fast::new(f64::NAN)).is_err());
    let square = |stretch: f64| Space::from_points(vec![[0.0, 0.0], [0.0, 1.0], [stretch, 0.0]], vec![1.0; 3]).unwrap();
    let underflown = reference(&square(1.0), &square(3.0), &Reference::new(1e-4)).unwrap_err();
    assert!(matches!(underflown, Error::NotFinite { .. }), "{underflown}");
    assert!(reference(&square(1.0), &square(3.0), &Reference::new(0.05)).unwrap().converged);
    let hurried = Reference { iterations: 1, ..Reference::new(0.05) };
    assert!(!reference(&square(1.0), &square(3.0), &hurried).unwrap().converged);
    // Three points at distance 1 from each other and 0.1 from a fourth: no squares of distances in any space.
    let star: Vec<f64> = (0..16)
        .map(|i| {
            if i / 4 == i % 4 {
                0.0
            } else if i / 4 == 3 || i % 4 == 3 {
                0.1
            } else {
                1.0
            }
        })
        .collect();
    let star = Space::from_distances(star, vec![1.0; 4]).unwrap();
    assert_eq!(Embedding::of(&star, 4).unwrap_err(), Error::NotNegativeType);
    assert!(Embedding::of(&star, 0).is_err());
    assert!(barycentre(Centre::random(5, &mut ChaCha8Rng::seed_from_u64(0)).unwrap(), &[], &Barycentre::new(0.1)).is_err());
    assert!(Centre::random(1, &mut ChaCha8Rng::seed_from_u64(0)).is_err());
}
