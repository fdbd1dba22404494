//! A row of features as a field of values, however it is shaped.

/// Values in rows and columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Row by row; all finite.
    pub(crate) values: Vec<f32>,
}

impl Field {
    /// `[H, W]` as it is, `[C, H, W]` summed over channels, others row by row in the squarest rectangle. What is not finite counts as 0.
    pub(crate) fn of(shape: &[usize], row: &[f32]) -> Self {
        let (height, width) = match *shape {
            [height, width] | [_, height, width] => (height, width),
            _ => {
                let width = (row.len() as f64).sqrt().ceil() as usize;
                (row.len().div_ceil(width), width)
            }
        };
        let mut values = vec![0.0_f32; height * width];
        for channel in row.chunks(values.len()) {
            for (sum, value) in values.iter_mut().zip(channel) {
                *sum += if value.is_finite() { *value } else { 0.0 };
            }
        }
        Self { height, width, values }
    }

    /// The same with its largest magnitude at 1.
    pub(crate) fn scaled(mut self) -> Self {
        let largest = self.values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        if largest > 0.0 {
            self.values.iter_mut().for_each(|value| *value /= largest);
        }
        self
    }
}
