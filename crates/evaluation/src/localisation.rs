use bezoar_core::Mask;

/// How well a heatmap finds a trigger whose place is known. What is negative speaks against the class, and counts as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Localisation {
    /// Relevance mass accuracy: the share of all positive relevance that lies in the mask (arXiv 2003.07258, equation 6).
    pub mass: f64,
    /// Relevance rank accuracy: of the K highest pixels, where K is the mask's size, the share that lies in it (equation 7).
    pub rank: f64,
    /// The pointing game: 1 when the highest pixel lies in the mask, else 0 (arXiv 1608.00507).
    pub pointing: f64,
}

impl Localisation {
    /// That of a heatmap `width` pixels wide. None when it has no positive value, or lies nowhere in the masks.
    pub fn of(heatmap: &[f32], width: usize, masks: &[Mask]) -> Option<Self> {
        let inside = |place: usize| masks.iter().any(|mask| mask.contains(place / width, place % width));
        let positive = |place: &usize| f64::from(heatmap[*place].max(0.0));
        let total: f64 = (0..heatmap.len()).map(|place| positive(&place)).sum();
        let size = (0..heatmap.len()).filter(|place| inside(*place)).count();
        if size == 0 || total.is_nan() || total <= 0.0 {
            return None;
        }
        let mut order: Vec<usize> = (0..heatmap.len()).collect();
        order.sort_by(|&a, &b| heatmap[b].total_cmp(&heatmap[a]));
        let found = order[..size].iter().filter(|place| inside(**place) && heatmap[**place] > 0.0).count();
        Some(Self {
            mass: (0..heatmap.len()).filter(|place| inside(*place)).map(|place| positive(&place)).sum::<f64>() / total,
            rank: found as f64 / size as f64,
            pointing: f64::from(u8::from(inside(order[0]))),
        })
    }

    /// The mean over heatmaps; a heatmap without a figure counts as 0.
    pub fn mean(of: &[Option<Self>]) -> Self {
        let mean = |value: fn(&Self) -> f64| of.iter().map(|one| one.as_ref().map_or(0.0, value)).sum::<f64>() / of.len().max(1) as f64;
        Self { mass: mean(|one| one.mass), rank: mean(|one| one.rank), pointing: mean(|one| one.pointing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: Mask = Mask { top: 1, left: 1, height: 1, width: 2 };

    #[test]
    fn shares_ranks_and_peaks_are_counted_in_the_mask() {
        // The mask holds the last two values of the second of two rows.
        let found = Localisation::of(&[1.0, -5.0, 0.5, 0.0, 3.0, 0.5], 3, &[MASK]).unwrap();
        assert_eq!(found, Localisation { mass: 3.5 / 5.0, rank: 0.5, pointing: 1.0 });
        let beside = Localisation::of(&[4.0, 3.0, 0.0, 0.0, 1.0, -9.0], 3, &[MASK]).unwrap();
        assert_eq!(beside, Localisation { mass: 1.0 / 8.0, rank: 0.0, pointing: 0.0 });
    }

    #[test]
    fn heatmaps_without_a_positive_value_have_no_figure_and_count_as_nothing_found() {
        assert_eq!(Localisation::of(&[-1.0; 6], 3, &[MASK]), None);
        assert_eq!(Localisation::of(&[1.0; 3], 3, &[MASK]), None);
        let all = [Localisation::of(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0], 3, &[MASK]), None];
        assert_eq!(Localisation::mean(&all), Localisation { mass: 0.5, rank: 0.25, pointing: 0.5 });
    }
}
