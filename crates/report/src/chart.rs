//! Small charts as SVG, in a page or as files of their own.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use crate::format::number;

/// Size of the drawing, and what its frame leaves for ticks and names.
const SIZE: [f64; 2] = [360.0, 250.0];
const LEFT: f64 = 48.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 44.0;

/// What the page's stylesheet says of charts, for a file without a page.
const STYLE: &str = "text{font:11px sans-serif;fill:#575c63}.axis{stroke:#575c63;fill:none}.guide{stroke:#c4c6c4;fill:none}\
    .area{fill:#8a9099;opacity:.45}.line{stroke:#1f4f8f;fill:none;stroke-width:2}.line.poison{stroke:#b3470a}.area.poison{fill:#b3470a;opacity:.3}";

/// One axis of a chart.
pub(crate) struct Axis<'a> {
    pub(crate) name: &'a str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Where numbers stand, and as what.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis<'_> {
    /// The place of a value, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        if self.to > self.from { ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// A frame to draw in.
pub(crate) struct Chart<'a> {
    pub(crate) x: Axis<'a>,
    pub(crate) y: Axis<'a>,
}

impl Chart<'_> {
    /// The corners of a line as path data.
    pub(crate) fn line(&self, points: &[[f64; 2]]) -> String {
        let mut path = String::new();
        for (at, &[x, y]) in points.iter().enumerate() {
            let _ = write!(path, "{}{:.1} {:.1}", if at == 0 { 'M' } else { 'L' }, self.left(x), self.top(y));
        }
        path
    }

    /// The chart around what `body` draws; `label` says what it shows.
    pub(crate) fn draw(&self, label: &str, body: &Markup) -> Markup {
        let [width, height] = SIZE;
        let (right, bottom) = (width - RIGHT, height - BOTTOM);
        html! {
            svg.chart viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(label) {
                title { (label) }
                (body)
                path.axis d={ "M" (LEFT) " " (TOP) "V" (bottom) "H" (right) } {}
                @for (value, text) in &self.x.ticks {
                    text x=(format!("{:.1}", self.left(*value))) y=(bottom + 16.0) text-anchor="middle" { (text) }
                }
                @for (value, text) in &self.y.ticks {
                    text x=(LEFT - 6.0) y=(format!("{:.1}", self.top(*value) + 4.0)) text-anchor="end" { (text) }
                }
                text x=(f64::midpoint(LEFT, right)) y=(height - 6.0) text-anchor="middle" { (self.x.name) }
                text transform={ "translate(12 " (f64::midpoint(TOP, bottom)) ") rotate(-90)" } text-anchor="middle" { (self.y.name) }
            }
        }
    }

    fn left(&self, x: f64) -> f64 {
        LEFT + self.x.share(x) * (SIZE[0] - LEFT - RIGHT)
    }

    fn top(&self, y: f64) -> f64 {
        SIZE[1] - BOTTOM - self.y.share(y) * (SIZE[1] - TOP - BOTTOM)
    }
}

/// A chart as a file: with its own style, and on white.
pub(crate) fn file(chart: &Markup) -> String {
    let style = html! { style { (PreEscaped(STYLE)) } rect width="100%" height="100%" fill="#fff" {} };
    let parts = chart.0.replacen("<title>", &format!("{}<title>", style.0), 1);
    parts.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
}

/// Round numbers between `from` and `to`, two to six, with no more decimals than they need.
pub(crate) fn round_ticks(from: f64, to: f64) -> Vec<(f64, String)> {
    let rough = (to - from) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    if !(step.is_finite() && step > 0.0) {
        return vec![(from, number(from))];
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let shown = |tick: f64| if decimals > 5 || step >= 1e6 { number(tick) } else { format!("{tick:.decimals$}") };
    let first = (from / step).ceil();
    // Adding 0 takes the sign from -0.
    let ticks = (0..10).map(|at| (first + f64::from(at)) * step + 0.0).take_while(|tick| *tick <= to);
    ticks.map(|tick| (tick, shown(tick))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let texts = |from, to| round_ticks(from, to).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(-0.7, 3.1), ["0", "1", "2", "3"]);
        assert_eq!(texts(0.0, 100.0), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(texts(0.0, 0.2), ["0.00", "0.05", "0.10", "0.15", "0.20"]);
        assert_eq!(texts(2.0, 2.0), ["2.000"]);
    }

    #[test]
    fn lines_keep_inside_the_frame() {
        let axis = || Axis { name: "x", from: 0.0, to: 1.0, ticks: Vec::new() };
        let chart = Chart { x: axis(), y: axis() };
        assert_eq!(chart.line(&[[0.0, 0.0], [1.0, 1.0]]), "M48.0 206.0L346.0 10.0");
        assert_eq!(chart.line(&[[-7.0, 3.0]]), "M48.0 10.0");
    }

    #[test]
    fn a_file_has_one_style_and_closes_what_it_opens() {
        let axis = || Axis { name: "a < b", from: 0.0, to: 1.0, ticks: vec![(0.5, "half".into())] };
        let file = file(&Chart { x: axis(), y: axis() }.draw("what", &html! {}));
        assert_eq!(file.matches("<style>").count(), 1);
        assert_eq!(file.matches("</").count(), file.matches('<').count() / 2);
        assert!(file.contains("a &lt; b"));
    }
}
