//! Figures read back from a run's measurements.

use bezoar_core::{Measurement, Scope};

/// The share of triggered test images that the net takes for the attacker's class.
pub const ATTACK_SUCCESS: &str = "attack-success";
/// The success below which an attack counts as failed.
pub const ATTACK_SUCCESS_NEEDED: &str = "attack-success-needed";
/// By how much the accuracy on a class falls without what a detector flags; over the whole set, the most that any class loses.
pub const ACCURACY_LOST: &str = "accuracy-lost";

/// A figure, of a detector or of the net; none where it is undefined or was not measured.
pub fn figure(measurements: &[Measurement], metric: &str, detector: Option<&str>, scope: &Scope) -> Option<f64> {
    let is_it = |one: &&Measurement| (one.metric.as_str(), one.detector.as_deref(), &one.scope) == (metric, detector, scope);
    measurements.iter().find(is_it)?.value
}

/// The success that the attack needed, where it stayed below: the backdoor did not take hold, and detectors had nothing to find.
pub fn success_missed(measurements: &[Measurement]) -> Option<f64> {
    let of_net = |metric| figure(measurements, metric, None, &Scope::All);
    let needed = of_net(ATTACK_SUCCESS_NEEDED)?;
    (of_net(ATTACK_SUCCESS)? < needed).then_some(needed)
}

/// Whether somebody looked if an attack worked. The metric that does gives the accuracy too, which clean controls have as well.
pub fn success_measured(measurements: &[Measurement]) -> bool {
    measurements.iter().any(|one| one.detector.is_none() && [ATTACK_SUCCESS, "accuracy"].contains(&one.metric.as_str()))
}

/// Whether the attack is known to have worked: its success was measured and is not below what it needed. Not so without an attack.
pub fn attack_worked(measurements: &[Measurement]) -> bool {
    figure(measurements, ATTACK_SUCCESS, None, &Scope::All).is_some() && success_missed(measurements).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(success: Option<f64>, needed: Option<f64>) -> Vec<Measurement> {
        let of_net = |metric: &str, value| Measurement { metric: metric.to_owned(), detector: None, scope: Scope::All, value };
        vec![of_net(ATTACK_SUCCESS, success), of_net(ATTACK_SUCCESS_NEEDED, needed)]
    }

    #[test]
    fn an_attack_fails_below_what_it_needed() {
        assert_eq!(success_missed(&run(Some(0.4), Some(0.5))), Some(0.5));
        for works in [run(Some(0.5), Some(0.5)), run(None, Some(0.5)), run(Some(0.1), None), Vec::new()] {
            assert_eq!(success_missed(&works), None, "{works:?}");
        }
    }

    #[test]
    fn an_attack_works_only_where_its_success_is_known() {
        assert!(attack_worked(&run(Some(0.5), Some(0.5))) && attack_worked(&run(Some(0.1), None)));
        for not in [run(Some(0.4), Some(0.5)), run(None, Some(0.5)), Vec::new()] {
            assert!(!attack_worked(&not), "{not:?}");
        }
    }

    #[test]
    fn a_clean_control_is_measured_too() {
        let of = |metric: &str, detector: Option<&str>| {
            vec![Measurement { metric: metric.to_owned(), detector: detector.map(str::to_owned), scope: Scope::All, value: Some(1.0) }]
        };
        assert!(success_measured(&run(None, None)) && success_measured(&of("accuracy", None)));
        assert!(!success_measured(&of("f1", Some("a"))) && !success_measured(&of("accuracy", Some("a"))));
    }
}
