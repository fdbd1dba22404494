use std::collections::BTreeSet;

use bezoar_core::{Context, Input, Measurement, Origin, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Paired, Ranks, Summary, average_ranks, holm};
use crate::{attack_worked, figure, success_measured, success_missed};

/// The axis whose cells are repeats of each other.
pub const SEED: &str = "seed";

/// The parts of a pipeline that come after the net: runs that differ in these alone have one net.
const AFTER_NET: [&str; 3] = ["detect", "evaluate", "report"];

/// What detectors are compared by.
const COMPARED: [(&str, Scope); 2] = [("auroc", Scope::Attacked), ("f1", Scope::All)];

/// One cell of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cell {
    /// Its value of each axis; empty where it does not set the axis.
    pub settings: Vec<String>,
    /// The folder of its run.
    pub run: String,
    /// Why there is no result; none where there is one.
    pub problem: Option<String>,
}

/// The figures of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Results {
    /// Version of this format: 2.
    pub version: u32,
    /// The study's name.
    pub name: String,
    /// The paths that cells differ in.
    pub axes: Vec<String>,
    /// All cells, in the order of the matrix.
    pub cells: Vec<Cell>,
    /// Cells that differ in the seed alone, together.
    pub groups: Vec<Group>,
    /// Whether any run says how well its attack works.
    pub success_measured: bool,
    /// Each two detectors over the nets on which the attack is known to have worked, clean controls not among them; over all nets where no run
    /// says how well its attack works.
    pub comparisons: Vec<Comparison>,
    /// All detectors over these nets.
    pub rankings: Vec<Ranking>,
    /// What detectors were told beyond data and model, each input of each detector once.
    pub told: Vec<Told>,
}

/// An input of a detector, in any of a study's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Told {
    /// The detector.
    pub detector: String,
    /// What it was told, such as `suspects`.
    pub input: String,
    /// Who said it.
    pub origin: Origin,
}

/// The runs of one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Group {
    /// The value of each axis; that of the seed is empty.
    pub settings: Vec<String>,
    /// The finished runs, as positions in the list of cells.
    pub cells: Vec<usize>,
    /// How many of them have an attack that stayed below the success which it needed. Figures hold these runs too.
    pub failed: usize,
    /// What was measured over the whole set and over the attacked classes.
    pub figures: Vec<Figure>,
}

/// A figure over the runs of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Figure {
    /// What was measured.
    pub metric: String,
    /// Of which detector; none for figures of the net.
    pub detector: Option<String>,
    /// Over what.
    pub scope: Scope,
    /// Over the runs in which it is defined.
    pub summary: Summary,
}

/// Two detectors over the same nets. A detector's figure on a net is its mean over the net's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Comparison {
    /// What is compared.
    pub metric: String,
    /// Over what.
    pub scope: Scope,
    /// One detector.
    pub first: String,
    /// The other one.
    pub second: String,
    /// The first less the second.
    pub paired: Paired,
    /// The p-value, corrected for all pairs of detectors (Holm 1979).
    pub corrected: f64,
}

/// How detectors rank over the same nets. A detector's figure on a net is its mean over the net's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ranking {
    /// What they are ranked by.
    pub metric: String,
    /// Over what.
    pub scope: Scope,
    /// The detectors.
    pub detectors: Vec<String>,
    /// Their ranks.
    pub ranks: Ranks,
}

impl Results {
    /// The figures of cells, each with its measurements if it is finished. A run that several cells stand for, since they say the same in other
    /// words, counts once. Random draws come from `cx`, by what is measured, so that a further cell changes no interval but those that it
    /// belongs to.
    pub fn of(cx: &Context, name: &str, axes: &[String], cells: Vec<(Cell, Option<Vec<Measurement>>)>) -> Self {
        let (cells, measured): (Vec<Cell>, Vec<Option<Vec<Measurement>>>) = cells.into_iter().unzip();
        let own = |at: &usize| cells[..*at].iter().all(|other| other.run != cells[*at].run);
        let runs = (0..cells.len()).filter(own).filter_map(|at| Some((&cells[at], measured[at].as_deref()?)));
        let success_measured = measured.iter().flatten().any(|run| success_measured(run));
        let nets = nets(axes, runs.filter(|(_, run)| !success_measured || attack_worked(run)));
        Self {
            version: 2,
            name: name.to_owned(),
            axes: axes.to_vec(),
            groups: groups(cx, axes, &cells, &measured),
            success_measured,
            comparisons: COMPARED.iter().flat_map(|(metric, scope)| comparisons(cx, metric, scope, &nets)).collect(),
            rankings: COMPARED.iter().filter_map(|(metric, scope)| ranking(metric, scope, &nets)).collect(),
            told: Vec::new(),
            cells,
        }
    }

    /// How many nets the finished runs have.
    pub fn nets(&self) -> usize {
        let mut runs = BTreeSet::new();
        let finished = self.cells.iter().filter(|cell| cell.problem.is_none() && runs.insert(&cell.run));
        finished.map(|cell| net(&self.axes, cell)).collect::<BTreeSet<_>>().len()
    }

    /// The axes in which runs of one net differ.
    pub fn axes_after_net(&self) -> Vec<&str> {
        self.axes.iter().map(String::as_str).filter(|axis| is_after_net(axis)).collect()
    }

    /// Notes what a detector was told in a run.
    pub fn tell(&mut self, detector: &str, inputs: &[Input]) {
        for Input { name, origin, .. } in inputs {
            let told = Told { detector: detector.to_owned(), input: name.clone(), origin: *origin };
            if !self.told.contains(&told) {
                self.told.push(told);
            }
        }
    }
}

fn is_after_net(axis: &str) -> bool {
    axis.split('.').next().is_some_and(|stage| AFTER_NET.contains(&stage))
}

/// The settings that a cell's net is made with.
fn net<'a>(axes: &[String], cell: &'a Cell) -> Vec<&'a str> {
    axes.iter().zip(&cell.settings).filter(|(axis, _)| !is_after_net(axis)).map(|(_, value)| value.as_str()).collect()
}

/// The runs of one net.
type Net<'a> = Vec<&'a [Measurement]>;

/// Runs by net, in the order in which nets come first.
fn nets<'a>(axes: &[String], runs: impl Iterator<Item = (&'a Cell, &'a [Measurement])>) -> Vec<Net<'a>> {
    let mut nets: Vec<(Vec<&str>, Net<'a>)> = Vec::new();
    for (cell, run) in runs {
        let settings = net(axes, cell);
        match nets.iter_mut().find(|(of, _)| *of == settings) {
            Some((_, runs)) => runs.push(run),
            None => nets.push((settings, vec![run])),
        }
    }
    nets.into_iter().map(|(_, runs)| runs).collect()
}

/// A detector's figure on a net, in the mean over its runs; none where no run has it.
fn mean_figure(net: &Net<'_>, metric: &str, detector: &str, scope: &Scope) -> Option<f64> {
    let values: Vec<f64> = net.iter().filter_map(|run| figure(run, metric, Some(detector), scope)).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn groups(cx: &Context, axes: &[String], cells: &[Cell], measured: &[Option<Vec<Measurement>>]) -> Vec<Group> {
    let mut groups: Vec<(Vec<String>, Vec<usize>)> = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        let settings: Vec<String> =
            axes.iter().zip(&cell.settings).map(|(axis, value)| if axis == SEED { String::new() } else { value.clone() }).collect();
        let group = groups.iter().position(|(of, _)| *of == settings).unwrap_or_else(|| {
            groups.push((settings, Vec::new()));
            groups.len() - 1
        });
        let members = &mut groups[group].1;
        if measured[at].is_some() && members.iter().all(|&other| cells[other].run != cell.run) {
            members.push(at);
        }
    }
    let group = |(settings, cells): (Vec<String>, Vec<usize>)| {
        let runs: Vec<&[Measurement]> = cells.iter().filter_map(|&at| measured[at].as_deref()).collect();
        let failed = runs.iter().filter(|run| success_missed(run).is_some()).count();
        Group { failed, figures: figures(cx, &settings, &runs), settings, cells }
    };
    groups.into_iter().map(group).collect()
}

/// What was measured over the whole set and over the attacked classes, each figure over all runs that have it.
fn figures(cx: &Context, settings: &[String], runs: &[&[Measurement]]) -> Vec<Figure> {
    let mut measured: Vec<(&Measurement, Vec<f64>)> = Vec::new();
    for one in runs.iter().copied().flatten().filter(|one| !matches!(one.scope, Scope::Class(_))) {
        let is_it = |(other, _): &&mut (&Measurement, _)| {
            (&one.metric, &one.detector, &one.scope) == (&other.metric, &other.detector, &other.scope)
        };
        match measured.iter_mut().find(is_it) {
            Some((_, values)) => values.extend(one.value),
            None => measured.push((one, one.value.into_iter().collect())),
        }
    }
    let figure = |(Measurement { metric, detector, scope, .. }, values): (&Measurement, Vec<f64>)| {
        let mut rng = cx.rng(&format!("{settings:?} {metric} {detector:?} {scope:?}"));
        let summary = Summary::of(&values, &mut rng)?;
        Some(Figure { metric: metric.clone(), detector: detector.clone(), scope: scope.clone(), summary })
    };
    measured.into_iter().filter_map(figure).collect()
}

/// The detectors of which a figure is measured, in the order of the runs.
fn detectors<'a>(metric: &str, scope: &Scope, nets: &[Net<'a>]) -> Vec<&'a str> {
    let mut detectors = Vec::new();
    for one in
        nets.iter().flatten().flat_map(|run| run.iter()).filter(|one| one.metric == metric && one.scope == *scope && one.value.is_some())
    {
        if let Some(detector) = one.detector.as_deref().filter(|name| !detectors.contains(name)) {
            detectors.push(detector);
        }
    }
    detectors
}

fn comparisons(cx: &Context, metric: &str, scope: &Scope, nets: &[Net<'_>]) -> Vec<Comparison> {
    let detectors = detectors(metric, scope, nets);
    let mut comparisons: Vec<Comparison> = Vec::new();
    for (at, &first) in detectors.iter().enumerate() {
        for &second in &detectors[at + 1..] {
            let of = |detector, net| mean_figure(net, metric, detector, scope);
            let pairs: Vec<(f64, f64)> = nets.iter().filter_map(|net| of(first, net).zip(of(second, net))).collect();
            let paired = Paired::of(&pairs, &mut cx.rng(&format!("{metric} {scope:?} {first} {second}")));
            comparisons.extend(paired.map(|paired| Comparison {
                metric: metric.to_owned(),
                scope: scope.clone(),
                first: first.to_owned(),
                second: second.to_owned(),
                paired,
                corrected: paired.p_value,
            }));
        }
    }
    let corrected = holm(&comparisons.iter().map(|comparison| comparison.paired.p_value).collect::<Vec<_>>());
    comparisons.iter_mut().zip(corrected).for_each(|(comparison, corrected)| comparison.corrected = corrected);
    comparisons
}

fn ranking(metric: &str, scope: &Scope, nets: &[Net<'_>]) -> Option<Ranking> {
    let detectors = detectors(metric, scope, nets);
    let all = |net: &Net<'_>| detectors.iter().map(|detector| mean_figure(net, metric, detector, scope)).collect::<Option<Vec<f64>>>();
    let ranks = average_ranks(&nets.iter().filter_map(all).collect::<Vec<_>>())?;
    Some(Ranking { metric: metric.to_owned(), scope: scope.clone(), detectors: detectors.into_iter().map(str::to_owned).collect(), ranks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_detector(metric: &str, detector: &str, scope: Scope, value: Option<f64>) -> Measurement {
        Measurement { metric: metric.to_owned(), detector: Some(detector.to_owned()), scope, value }
    }

    fn of_net(metric: &str, value: f64) -> Measurement {
        Measurement { metric: metric.to_owned(), detector: None, scope: Scope::All, value: Some(value) }
    }

    /// Two shares with three seeds each, one of which did not finish.
    fn results(first: f64) -> Results {
        let cell = |share: &str, seed: usize, auroc: Option<f64>| {
            let problem = auroc.is_none().then(|| "out of memory".to_owned());
            let cell = Cell { settings: vec![share.to_owned(), seed.to_string()], run: format!("s-{share}-{seed}"), problem };
            let measured = auroc.map(|auroc| {
                vec![
                    of_net("attack-success", 0.9),
                    of_detector("auroc", "a", Scope::Attacked, Some(auroc)),
                    of_detector("auroc", "b", Scope::Attacked, Some(0.5)),
                    of_detector("auroc", "a", Scope::Class("stop".to_owned()), Some(0.0)),
                    of_detector("tpr", "b", Scope::Attacked, None),
                ]
            });
            (cell, measured)
        };
        let cells = vec![
            cell("0.1", 0, Some(first)),
            cell("0.1", 1, Some(0.9)),
            cell("0.1", 2, None),
            cell("0.2", 0, Some(1.0)),
            cell("0.2", 1, Some(0.25)),
            cell("0.2", 2, Some(0.75)),
        ];
        Results::of(&Context::quiet(0), "test", &["attack.share".to_owned(), SEED.to_owned()], cells)
    }

    #[test]
    fn seeds_are_repeats_and_failed_cells_count_in_no_mean() {
        let results = results(0.7);
        let [tenth, fifth] = &results.groups[..] else { panic!("two shares") };
        assert_eq!((&tenth.settings[..], &tenth.cells[..]), (&["0.1".to_owned(), String::new()][..], &[0, 1][..]));
        let of_a = |group: &Group| group.figures.iter().find(|figure| figure.detector.as_deref() == Some("a")).unwrap().summary;
        assert_eq!((of_a(tenth).runs, of_a(fifth).runs), (2, 3));
        assert!((of_a(tenth).mean - 0.8).abs() < 1e-12 && (of_a(fifth).mean - 2.0 / 3.0).abs() < 1e-12);
        let names: Vec<_> = fifth.figures.iter().map(|figure| figure.metric.as_str()).collect();
        assert_eq!(names, ["attack-success", "auroc", "auroc"], "neither classes nor what is never defined");
    }

    #[test]
    fn detectors_are_compared_over_the_cells_that_have_both() {
        let results = results(0.7);
        let [comparison] = &results.comparisons[..] else { panic!("{:?}", results.comparisons) };
        assert_eq!((comparison.first.as_str(), comparison.second.as_str(), comparison.paired.nets), ("a", "b", 5));
        assert!((comparison.paired.difference - 0.22).abs() < 1e-12);
        assert_eq!(results.rankings[0].ranks.ranks, [1.2, 1.8]);
    }

    #[test]
    fn a_run_counts_once_however_many_cells_say_it() {
        let cell = |seed: &str, run: &str, a: f64| {
            let cell = Cell { settings: vec![seed.to_owned()], run: run.to_owned(), problem: None };
            let of = |detector, value| of_detector("auroc", detector, Scope::Attacked, Some(value));
            (cell, Some(vec![of_net("attack-success", 1.0), of("a", a), of("b", 0.5)]))
        };
        let cells = vec![cell("", "s-0", 0.9), cell("0", "s-0", 0.9), cell("1", "s-1", 0.6)];
        let results = Results::of(&Context::quiet(0), "test", &[SEED.to_owned()], cells);
        assert_eq!(results.groups.iter().map(|group| group.cells.clone()).collect::<Vec<_>>(), [[0, 2]]);
        assert_eq!((results.nets(), results.comparisons[0].paired.nets, results.rankings[0].ranks.nets), (2, 2, 2));
        assert!((results.comparisons[0].paired.difference - 0.25).abs() < 1e-12);
    }

    #[test]
    fn runs_that_share_a_net_are_one_pair() {
        let axes = ["attack.share", SEED, "detect.0.min-size", "evaluate"].map(str::to_owned);
        let cell = |seed: &str, size: &str, a: f64| {
            let settings = ["0.1", seed, size, "all"].map(str::to_owned).to_vec();
            let of = |detector, value| of_detector("auroc", detector, Scope::Attacked, Some(value));
            let measured = vec![of_net("attack-success", 1.0), of("a", a), of("b", 0.5)];
            (Cell { settings, run: format!("s-{seed}-{size}"), problem: None }, Some(measured))
        };
        let of_one: Vec<_> = (0..7_u8).map(|size| cell("0", &size.to_string(), 0.7 + f64::from(size) / 100.0)).collect();
        let results = Results::of(&Context::quiet(0), "test", &axes, of_one.clone());
        let paired = results.comparisons[0].paired;
        assert_eq!((results.nets(), results.groups.len(), results.rankings[0].ranks.nets), (1, 7, 1));
        assert_eq!((paired.nets, paired.interval, paired.p_value), (1, None, 1.0));
        assert!((paired.difference - 0.23).abs() < 1e-12, "the mean over the variants: {}", paired.difference);
        assert_eq!(results.axes_after_net(), ["detect.0.min-size", "evaluate"]);

        let further = of_one.into_iter().chain([cell("1", "0", 0.9)]).collect();
        let results = Results::of(&Context::quiet(0), "test", &axes, further);
        assert_eq!((results.nets(), results.comparisons[0].paired.nets), (2, 2), "another seed is another net");
    }

    #[test]
    fn clean_controls_and_failed_attacks_compare_no_detectors() {
        let cell = |success: Option<f64>, a: f64| {
            let settings = vec![success.is_some().to_string(), format!("{success:?}")];
            let cell = Cell { settings, run: format!("{success:?}"), problem: None };
            let mut measured: Vec<Measurement> = success.map(|success| of_net("attack-success", success)).into_iter().collect();
            measured.extend([
                of_net("attack-success-needed", 0.5),
                of_detector("f1", "a", Scope::All, Some(a)),
                of_detector("f1", "b", Scope::All, Some(0.25)),
            ]);
            (cell, Some(measured))
        };
        let results = Results::of(
            &Context::quiet(0),
            "test",
            &["attack".to_owned(), SEED.to_owned()],
            vec![cell(Some(0.9), 0.75), cell(Some(0.4), 0.0), cell(Some(0.5), 1.0), cell(None, 0.0)],
        );
        assert_eq!((results.comparisons[0].paired.nets, results.comparisons[0].paired.difference), (2, 0.625));
        assert_eq!((results.rankings[0].ranks.nets, &results.rankings[0].ranks.ranks[..]), (2, &[1.0, 2.0][..]));
        assert_eq!(results.groups.iter().map(|group| (group.cells.len(), group.failed)).collect::<Vec<_>>(), [(3, 1), (1, 0)]);
    }

    #[test]
    fn without_the_success_of_any_attack_detectors_are_compared_over_all_nets() {
        let cell = |seed: usize, of_nets: &[Measurement]| {
            let of = |detector, value| of_detector("auroc", detector, Scope::Attacked, Some(value));
            let measured = [of_nets, &[of("a", 0.9), of("b", 0.5)]].concat();
            (Cell { settings: vec![seed.to_string()], run: format!("s-{seed}"), problem: None }, Some(measured))
        };
        let of = |cells| Results::of(&Context::quiet(0), "test", &[SEED.to_owned()], cells);
        let unknown = of(vec![cell(0, &[]), cell(1, &[])]);
        assert_eq!((unknown.success_measured, unknown.comparisons[0].paired.nets), (false, 2));
        let known = of(vec![cell(0, &[]), cell(1, &[of_net("attack-success", 0.9)])]);
        assert_eq!((known.success_measured, known.comparisons[0].paired.nets), (true, 1));
    }

    #[test]
    fn what_a_detector_was_told_in_several_runs_is_noted_once() {
        let mut results = results(0.7);
        let input = |name: &str, value: &str| Input { name: name.to_owned(), value: value.to_owned(), origin: Origin::Given };
        results.tell("a", &[input("suspects", "[1]")]);
        results.tell("a", &[input("suspects", "[2]"), input("share", "0.1")]);
        let told: Vec<_> = results.told.iter().map(|told| (told.detector.as_str(), told.input.as_str())).collect();
        assert_eq!(told, [("a", "suspects"), ("a", "share")]);
    }

    #[test]
    fn a_cell_changes_no_interval_but_its_own() {
        let (before, after) = (results(0.7), results(0.2));
        assert_eq!(before.groups[1], after.groups[1]);
        let of_a =
            |results: &Results| results.groups[0].figures.iter().find(|figure| figure.detector.as_deref() == Some("a")).unwrap().summary;
        assert_ne!(of_a(&before).interval, of_a(&after).interval);
    }
}
