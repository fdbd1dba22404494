use std::sync::Arc;

use bezoar_core::{Clusterer, Clustering, Context, Error, Features, Plugin, Result, register};
use faer::prelude::Solve;
use faer::{Mat, Side};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::{Choice, Count, Criterion};
use crate::canonical::cluster_canonically;
use crate::neighbours::Rows;
use crate::partition::Search;

/// Gaussian mixture: `k` groups of normally distributed rows, by expectation maximisation (Dempster, Laird and Rubin 1977).
///
/// Begins with k-means; each row goes to its most probable group. Rows of any shape are taken as flat. Full covariances want many more
/// rows than dimensions: reduce first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GaussianMixture {
    /// Number of groups; or `{ by: bic, at-most: 8 }`, which may also find one.
    #[serde(default = "default_k")]
    pub k: Count,
    /// What groups look like.
    #[serde(default = "default_covariance")]
    pub covariance: Covariance,
    /// Most iterations.
    #[serde(default = "default_iterations")]
    #[schemars(range(min = 1))]
    pub iterations: usize,
    /// It ends when the mean log-likelihood of a row grows less than this.
    #[serde(default = "default_tolerance")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub tolerance: f64,
    /// What is added to every variance, as a share of the rows' own: keeps groups from collapsing to a point.
    #[serde(default = "default_floor")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub floor: f64,
}

/// What the groups of a mixture look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Covariance {
    /// Ellipsoids of any direction.
    Full,
    /// Ellipsoids along the axes.
    Diagonal,
}

fn default_k() -> Count {
    Count::Given(2)
}

fn default_covariance() -> Covariance {
    Covariance::Full
}

fn default_iterations() -> usize {
    200
}

fn default_tolerance() -> f64 {
    1e-5
}

fn default_floor() -> f64 {
    1e-6
}

impl Plugin for GaussianMixture {
    type Kind = dyn Clusterer;
    const NAME: &'static str = "gaussian-mixture";

    fn example() -> Self {
        Self {
            k: default_k(),
            covariance: default_covariance(),
            iterations: default_iterations(),
            tolerance: default_tolerance(),
            floor: default_floor(),
        }
    }

    fn build(self) -> Result<Arc<dyn Clusterer>> {
        self.k.check(Self::NAME, &[Criterion::Bic])?;
        Ok(Arc::new(self))
    }
}

register!(GaussianMixture);

impl Clusterer for GaussianMixture {
    fn min_rows(&self) -> usize {
        self.k.min_rows()
    }

    fn cluster(&self, cx: &Context, features: &Features) -> Result<Clustering> {
        cluster_canonically(features, self.min_rows(), |features| {
            let labels = match self.k {
                Count::Given(k) => self.fit(cx, features, k)?.labels,
                Count::Chosen(Choice { at_most, .. }) => {
                    let mut best: Option<(f64, Fit)> = None;
                    for k in 1..=at_most.min(features.len()) {
                        let fit = self.fit(cx, features, k)?;
                        let criterion = self.parameters(k, features.width()) * (features.len() as f64).ln() - 2.0 * fit.log_likelihood;
                        if best.as_ref().is_none_or(|best| criterion < best.0) {
                            best = Some((criterion, fit));
                        }
                    }
                    best.map_or_else(Vec::new, |best| best.1.labels)
                }
            };
            Ok(labels.into_iter().map(Some).collect::<Vec<_>>())
        })
    }
}

/// A mixture that has settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The most probable group of each row.
    pub labels: Vec<usize>,
    /// The log-likelihood of all rows.
    pub log_likelihood: f64,
}

/// One group: its share of the rows, its mean, and its covariance, of which the diagonal alone may be kept.
struct Component {
    share: f64,
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

impl GaussianMixture {
    /// Numbers that `k` groups have to be described by.
    fn parameters(&self, k: usize, width: usize) -> f64 {
        let covariance = match self.covariance {
            Covariance::Full => width * (width + 1) / 2,
            Covariance::Diagonal => width,
        };
        (k * (width + covariance) + k - 1) as f64
    }

    /// The mixture of `k` groups, from the groups of k-means on.
    ///
    /// # Errors
    /// When a covariance is not positive definite, or the run is cancelled.
    pub fn fit(&self, cx: &Context, features: &Features, k: usize) -> Result<Fit> {
        let rows = Rows::of(features);
        let spread = rows.spread();
        if spread <= 0.0 {
            return Ok(Fit { labels: vec![0; features.len()], log_likelihood: 0.0 });
        }
        // In units of the spread, so that one floor suits rows of any scale.
        let centre = rows.centre(&(0..features.len()).collect::<Vec<_>>());
        let scaled = |row: &[f32]| row.iter().zip(&centre).map(|(&value, mean)| (f64::from(value) - mean) / spread).collect();
        let values: Vec<Vec<f64>> = features.rows().map(scaled).collect();
        let search = Search { k, restarts: 10, iterations: 300, tolerance: 1e-4 };
        let labels = search.run(cx, &rows, &mut cx.rng("k-means"))?.labels;
        let found = labels.iter().max().map_or(0, |last| last + 1);
        let mut shares: Vec<Vec<f64>> =
            (0..found).map(|group| labels.iter().map(|&label| f64::from(u8::from(label == group))).collect()).collect();
        let mut last = f64::NEG_INFINITY;
        let mut likelihoods = Vec::new();
        for _ in 0..self.iterations {
            cx.check()?;
            let components: Vec<Component> = shares.par_iter().map(|shares| self.component(&values, shares)).collect();
            let densities: Vec<Vec<f64>> =
                components.par_iter().map(|component| self.log_densities(&values, component)).collect::<Result<_>>()?;
            likelihoods = (0..values.len()).map(|row| log_sum(densities.iter().map(|densities| densities[row]))).collect();
            shares = densities
                .iter()
                .map(|densities| densities.iter().zip(&likelihoods).map(|(density, all)| (density - all).exp()).collect())
                .collect();
            let mean = likelihoods.iter().sum::<f64>() / values.len() as f64;
            if mean - last < self.tolerance {
                break;
            }
            last = mean;
        }
        let likeliest = |row: usize| (0..found).fold(0, |best, group| if shares[group][row] > shares[best][row] { group } else { best });
        let scale = (values.len() * features.width()) as f64 * spread.ln();
        Ok(Fit { labels: (0..values.len()).map(likeliest).collect(), log_likelihood: likelihoods.iter().sum::<f64>() - scale })
    }

    fn component(&self, values: &[Vec<f64>], shares: &[f64]) -> Component {
        let width = values[0].len();
        let total = shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let mut mean = vec![0.0; width];
        for (row, share) in values.iter().zip(shares) {
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += share / total * value);
        }
        let covariance = match self.covariance {
            Covariance::Diagonal => {
                let mut variances = vec![self.floor; width];
                for (row, share) in values.iter().zip(shares) {
                    for ((variance, value), mean) in variances.iter_mut().zip(row).zip(&mean) {
                        *variance += share / total * (value - mean) * (value - mean);
                    }
                }
                Mat::from_fn(width, 1, |row, _| variances[row])
            }
            Covariance::Full => {
                let root: Vec<f64> = shares.iter().map(|share| (share / total).sqrt()).collect();
                let centred = Mat::from_fn(values.len(), width, |row, column| (values[row][column] - mean[column]) * root[row]);
                let mut covariance = centred.transpose() * &centred;
                (0..width).for_each(|at| covariance[(at, at)] += self.floor);
                covariance
            }
        };
        Component { share: total / values.len() as f64, mean, covariance }
    }

    /// The logarithm of a component's share times its density at each row.
    fn log_densities(&self, values: &[Vec<f64>], Component { share, mean, covariance }: &Component) -> Result<Vec<f64>> {
        let width = mean.len();
        let (squares, log_determinant): (Vec<f64>, f64) = match self.covariance {
            Covariance::Diagonal => {
                let square = |row: &Vec<f64>| (0..width).map(|at| (row[at] - mean[at]).powi(2) / covariance[(at, 0)]).sum();
                (values.iter().map(square).collect(), (0..width).map(|at| covariance[(at, 0)].ln()).sum())
            }
            Covariance::Full => {
                let factor = covariance.llt(Side::Lower).map_err(|_| {
                    Error::request("gaussian-mixture: a group has no covariance that can be inverted").with_help("raise `floor`")
                })?;
                let centred = Mat::from_fn(width, values.len(), |at, row| values[row][at] - mean[at]);
                let solved = factor.solve(&centred);
                let square = |row: usize| (0..width).map(|at| centred[(at, row)] * solved[(at, row)]).sum();
                let lower = factor.L();
                ((0..values.len()).map(square).collect(), (0..width).map(|at| 2.0 * lower[(at, at)].ln()).sum())
            }
        };
        let constant = share.ln() - 0.5 * (log_determinant + width as f64 * std::f64::consts::TAU.ln());
        Ok(squares.into_iter().map(|square| constant - 0.5 * square).collect())
    }
}

/// The logarithm of a sum, from the logarithms of its terms.
fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let greatest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    greatest + terms.map(|term| (term - greatest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(width: usize, values: Vec<f32>) -> Features {
        Features::new(vec![width], values).unwrap()
    }

    /// Two flat clouds across each other, which k-means cannot part.
    fn cross() -> Features {
        let noise = |i: usize| (i * 7919 % 1009) as f32 / 1009.0 - 0.5;
        let point = |i: usize| {
            let (long, short) = (noise(i) * 20.0, noise(i + 500) * 0.4);
            if i.is_multiple_of(2) { [long, short] } else { [short, long + 6.0] }
        };
        rows(2, (0..600).flat_map(point).collect())
    }

    #[test]
    fn clouds_across_each_other_are_told_apart() {
        for covariance in [Covariance::Full, Covariance::Diagonal] {
            let mixture = GaussianMixture { covariance, ..GaussianMixture::example() };
            let found = mixture.cluster(&Context::quiet(0), &cross()).unwrap();
            let wrong = (0..600).filter(|&i| (found.labels[i] == found.labels[0]) != i.is_multiple_of(2)).count();
            assert!(wrong.min(600 - wrong) < 30, "{wrong}");
        }
    }

    #[test]
    fn the_number_of_groups_is_found() {
        let noise = |i: usize| ((i * 7919 % 1009) as f32 + (i * 104_729 % 997) as f32 + (i * 1_299_709 % 991) as f32) / 1000.0;
        let groups = rows(1, (0..300).map(|i| (i % 3) as f32 * 20.0 + noise(i)).collect());
        let chosen = GaussianMixture { k: Count::Chosen(Choice { by: Criterion::Bic, at_most: 5 }), ..GaussianMixture::example() };
        assert_eq!(chosen.cluster(&Context::quiet(0), &groups).unwrap().sizes(), [100; 3]);
        let one = rows(1, (0..300).map(noise).collect());
        assert_eq!(chosen.cluster(&Context::quiet(0), &one).unwrap().sizes(), [300]);
    }

    /// linfa 0.8.1 sums densities, not their logarithms' exponentials from the greatest on: where all underflow, all is NaN.
    #[test]
    fn rows_far_from_all_groups_belong_to_the_likeliest() {
        let mut values: Vec<f32> =
            (0..60).flat_map(|i| (0..40).map(move |j| ((i * 37 + j * 11) % 29) as f32 * 0.01 + (i % 2) as f32)).collect();
        values.extend([50.0; 40]);
        let diagonal = GaussianMixture { covariance: Covariance::Diagonal, ..GaussianMixture::example() };
        let fit = diagonal.fit(&Context::quiet(0), &rows(40, values), 2).unwrap();
        assert!(fit.log_likelihood.is_finite());
    }
}
