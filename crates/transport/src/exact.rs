//! Exact transport: along a line, and at any costs.

/// The least mean squared way between two distributions on a line, each of `(value, weight)` in ascending order of values.
pub(crate) fn along_a_line(first: &[(f64, f64)], second: &[(f64, f64)]) -> f64 {
    let (mut i, mut j) = (0, 0);
    let (mut left, mut wanted) = (first[0].1, second[0].1);
    let mut cost = 0.0;
    loop {
        let moved = left.min(wanted);
        let way = first[i].0 - second[j].0;
        cost += moved * way * way;
        left -= moved;
        wanted -= moved;
        if left <= wanted {
            i += 1;
            let Some(next) = first.get(i) else { return cost };
            left = next.1;
        } else {
            j += 1;
            let Some(next) = second.get(j) else { return cost };
            wanted = next.1;
        }
    }
}

/// What is left of a weight below this has been moved.
const MOVED: f64 = 1e-13;

/// The least cost of moving the weights `p` to the weights `q`, where `costs[i * q.len() + j]`, not negative, is that of moving from `i` to `j`:
/// by shortest augmenting paths (Edmonds and Karp 1972), each found by Dijkstra's algorithm with reduced costs.
pub(crate) fn transport(costs: &[f64], p: &[f64], q: &[f64]) -> f64 {
    let (n, m) = (p.len(), q.len());
    let (mut left, mut wanted) = (p.to_vec(), q.to_vec());
    let mut plan = vec![0.0; n * m];
    let (mut f, mut g) = (vec![0.0; n], vec![0.0; m]);
    while left.iter().any(|weight| *weight > MOVED) {
        // Distances from what is left to each point of both sides; rows first, then columns.
        let mut distances = vec![f64::INFINITY; n + m];
        let mut from = vec![usize::MAX; n + m];
        let mut done = vec![false; n + m];
        (0..n).filter(|&i| left[i] > MOVED).for_each(|i| distances[i] = 0.0);
        let end = loop {
            let open = (0..n + m).filter(|&point| !done[point] && distances[point] < f64::INFINITY);
            let Some(point) = open.min_by(|&a, &b| distances[a].total_cmp(&distances[b])) else { break None };
            done[point] = true;
            if point >= n && wanted[point - n] > MOVED {
                break Some(point);
            }
            let mut reach = |to: usize, way: f64| {
                let distance = distances[point] + way.max(0.0);
                if !done[to] && distance < distances[to] {
                    (distances[to], from[to]) = (distance, point);
                }
            };
            if point < n {
                (0..m).for_each(|j| reach(n + j, costs[point * m + j] - f[point] - g[j]));
            } else {
                let j = point - n;
                (0..n).filter(|&i| plan[i * m + j] > MOVED).for_each(|i| reach(i, f[i] + g[j] - costs[i * m + j]));
            }
        };
        // Rounding alone can leave weight that nobody wants.
        let Some(end) = end else { break };
        let longest = distances[end];
        (0..n).for_each(|i| f[i] += (longest - distances[i]).max(0.0));
        (0..m).for_each(|j| g[j] -= (longest - distances[n + j]).max(0.0));
        let mut path = vec![end];
        while from[path[path.len() - 1]] != usize::MAX {
            path.push(from[path[path.len() - 1]]);
        }
        let start = path[path.len() - 1];
        let back = path.windows(2).filter(|step| step[0] < n).map(|step| plan[step[0] * m + step[1] - n]);
        let moved = back.fold(left[start].min(wanted[end - n]), f64::min);
        for step in path.windows(2) {
            match (step[1], step[0]) {
                (i, j) if i < n => plan[i * m + j - n] += moved,
                (j, i) => plan[i * m + j - n] -= moved,
            }
        }
        left[start] -= moved;
        wanted[end - n] -= moved;
    }
    plan.iter().zip(costs).map(|(weight, cost)| weight * cost).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// On a line, both must find the same.
        #[test]
        fn both_agree_on_a_line(first in proptest::collection::vec((0.0..1.0, 0.05..1.0), 1..12), second in proptest::collection::vec((0.0..1.0, 0.05..1.0), 1..12)) {
            let sorted = |points: Vec<(f64, f64)>| {
                let sum: f64 = points.iter().map(|point| point.1).sum();
                let mut points: Vec<_> = points.into_iter().map(|(value, weight)| (value, weight / sum)).collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                points
            };
            let (first, second) = (sorted(first), sorted(second));
            let costs: Vec<f64> = first.iter().flat_map(|a| second.iter().map(move |b| (a.0 - b.0).powi(2))).collect();
            let weights = |points: &[(f64, f64)]| points.iter().map(|point| point.1).collect::<Vec<_>>();
            let (line, any) = (along_a_line(&first, &second), transport(&costs, &weights(&first), &weights(&second)));
            prop_assert!((line - any).abs() < 1e-9, "{line} and {any}");
        }
    }
}
