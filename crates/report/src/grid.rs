use bezoar_core::{Measurement, Scope};
use bezoar_evaluation::figure;

use crate::each_once::each_once;
use crate::metric::Metric;

/// Whether a table of so many columns needs to be narrowed on paper.
pub(crate) fn is_wide(columns: usize) -> bool {
    columns > 13
}

/// The figures of one detector over one scope, as they are shown.
pub(crate) struct Row<'a> {
    pub(crate) detector: &'a str,
    pub(crate) cells: Vec<Cell>,
}

/// One figure.
pub(crate) struct Cell {
    pub(crate) text: String,
    /// Whether it is the best of its column.
    pub(crate) best: bool,
}

/// A row for each detector that was measured over `scope`, a cell for each column.
pub(crate) fn rows<'a>(measurements: &'a [Measurement], scope: &Scope, columns: &[Metric<'_>]) -> Vec<Row<'a>> {
    let detectors = measurements.iter().filter(|measurement| measurement.scope == *scope).filter_map(|one| one.detector.as_deref());
    let mut rows: Vec<Row<'a>> = each_once(detectors).into_iter().map(|detector| Row { detector, cells: Vec::new() }).collect();
    for column in columns {
        let values: Vec<_> = rows.iter().map(|row| figure(measurements, column.name, Some(row.detector), scope)).collect();
        for ((row, &value), best) in rows.iter_mut().zip(&values).zip(column.best(&values)) {
            row.cells.push(Cell { text: column.show(value), best });
        }
    }
    rows
}
