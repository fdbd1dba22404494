//! Small charts as SVG, in a page or as files of their own.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bezoar_core::{Error, Result};
use maud::{Markup, PreEscaped, html};

use crate::format::number;

/// Size of the drawing, and what its frame leaves for ticks and names.
const SIZE: [f64; 2] = [360.0, 250.0];
const LEFT: f64 = 48.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 44.0;

/// The folder of pictures beside a page.
pub(crate) const FOLDER: &str = "figures";

/// Height of a line of keys.
const KEY: f64 = 16.0;

/// What stands before the text of a key.
const SAMPLE: f64 = 22.0;

/// About the width of a letter of a chart.
const LETTER: f64 = 6.0;

/// What the page's stylesheet says of charts and maps, for a file without a page.
const STYLE: &str = "text{font:11px sans-serif;fill:#575c63}.axis{stroke:#575c63;fill:none}.guide{stroke:#c4c6c4;fill:none}\
    .area{fill:#8a9099;opacity:.45}.line{stroke:#1f4f8f;fill:none;stroke-width:2}.line.dots{stroke-width:6;stroke-linecap:round}.line.dash-1{stroke-dasharray:7 3}.line.dash-2{stroke-dasharray:2 3}.line.dash-3{stroke-dasharray:9 3 2 3}.line.poison{stroke:#b3470a}.area.poison{fill:#b3470a;opacity:.3}\
    .spot{stroke:#fff;stroke-width:1.5;paint-order:stroke}.spot.flagged{stroke:#1b1d20;stroke-width:3}.sample .spot{fill:#575c63}";

/// The colours of clusters and series. Many programs that draw SVG know no variables, by which the page names them.
const COLOURS: [(&str, &str); 10] = [
    ("cluster-0", "#7d8792"),
    ("cluster-1", "#d55e00"),
    ("cluster-2", "#0072b2"),
    ("cluster-3", "#009e73"),
    ("cluster-4", "#c86f9f"),
    ("cluster-5", "#b98000"),
    ("cluster-6", "#378fc8"),
    ("cluster-7", "#8f8300"),
    ("cluster-more", "#4d4d4d"),
    ("cluster-none", "#c3c7cb"),
];

/// A chart of a page that is a file as well.
pub(crate) struct Drawing {
    /// The file's name without its ending.
    pub(crate) name: String,
    pub(crate) chart: Markup,
    pub(crate) caption: Markup,
}

impl Drawing {
    /// As it stands in the page.
    pub(crate) fn figure(&self) -> Markup {
        html! { figure { (self.chart) figcaption { (self.caption) } } }
    }
}

/// What a colour or a shape stands for.
pub(crate) struct Key {
    /// An example of it, 16 wide and high.
    pub(crate) sample: Markup,
    pub(crate) text: String,
}

impl Key {
    fn lines(&self) -> Vec<String> {
        lines(&self.text, SIZE[0] - LEFT - RIGHT - SAMPLE)
    }
}

/// The height that keys take.
pub(crate) fn height(keys: &[Key]) -> f64 {
    keys.iter().map(|key| KEY * key.lines().len() as f64).sum()
}

/// Keys below each other from a place on.
pub(crate) fn legend(keys: &[Key], left: f64, top: f64) -> Markup {
    html! {
        @for (at, key) in keys.iter().enumerate() {
            g transform={ "translate(" (left) " " (top + height(&keys[..at])) ")" } {
                (key.sample)
                @for (line, text) in key.lines().iter().enumerate() { text x=(SAMPLE) y=(12.0 + KEY * line as f64) { (text) } }
            }
        }
    }
}

/// A text in lines of about so many units at most, broken at spaces, and within words that are longer than a line.
pub(crate) fn lines(text: &str, width: f64) -> Vec<String> {
    let most = (width / LETTER).max(1.0) as usize;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let letters: Vec<char> = word.chars().collect();
        for (part, letters) in letters.chunks(most).enumerate() {
            let line = lines.last_mut().filter(|line| part == 0 && !line.is_empty() && line.chars().count() + 1 + letters.len() <= most);
            match line {
                Some(line) => line.extend([' '].iter().chain(letters)),
                None => lines.push(letters.iter().collect()),
            }
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

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

    /// Dots at these places as path data.
    pub(crate) fn dots(&self, points: &[[f64; 2]]) -> String {
        points.iter().map(|&[x, y]| format!("M{:.1} {:.1}h0", self.left(x), self.top(y))).collect()
    }

    /// The chart around what `body` draws, with `keys` below; `label` says what it shows.
    pub(crate) fn draw(&self, label: &str, body: &Markup, keys: &[Key]) -> Markup {
        let [width, height] = SIZE;
        let (right, bottom) = (width - RIGHT, height - BOTTOM);
        html! {
            svg.chart viewBox={ "0 0 " (width) " " (height + self::height(keys)) } role="img" aria-label=(label) {
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
                (legend(keys, LEFT, height))
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

/// A drawing as a file: with its own style, and on white.
fn file(drawing: &Markup) -> String {
    let colour = |(class, colour)| format!(".line.series.{class}{{stroke:{colour}}}.spot.{class}{{fill:{colour}}}");
    let style = COLOURS.map(colour).concat() + STYLE;
    let own = html! { style { (PreEscaped(style)) } rect width="100%" height="100%" fill="#fff" {} };
    // The first tag is the drawing's; no attribute holds a `>`.
    let parts = drawing.0.replacen('>', &format!(">{}", own.0), 1);
    parts.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
}

/// Writes drawings by name into the folder of figures beside a page, and says where they are.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write<'a>(drawings: impl IntoIterator<Item = (&'a str, &'a Markup)>, folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder.join(FOLDER);
    let mut files = Vec::new();
    for (name, drawing) in drawings {
        std::fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        files.push(crate::file::write(&folder, &format!("{name}.svg"), file(drawing).as_bytes())?);
    }
    Ok(files)
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
        let keys = [Key { sample: html! { path.line d="M0 8H16" {} }, text: "c > d".into() }];
        let file = file(&Chart { x: axis(), y: axis() }.draw("what > that", &html! {}, &keys));
        assert_eq!(file.matches("<style>").count(), 1);
        assert_eq!(file.matches("</").count(), file.matches('<').count() / 2);
        assert!(file.contains("a &lt; b") && file.contains("c &gt; d") && file.contains("viewBox=\"0 0 360 266\""));
    }

    #[test]
    fn long_texts_are_broken_at_spaces_where_there_are_any() {
        assert_eq!(lines("one two three", 7.0 * LETTER), ["one two", "three"]);
        assert_eq!(lines("one twothreefour five", 7.0 * LETTER), ["one", "twothre", "efour", "five"]);
        assert_eq!(lines("one", 100.0 * LETTER), ["one"]);
        assert!(lines("", 10.0).is_empty());
        let keys = [Key { sample: html! {}, text: "word ".repeat(20) }, Key { sample: html! {}, text: "short".into() }];
        assert!(legend(&keys, 0.0, 0.0).0.contains("translate(0 48)"), "the second key is below all lines of the first");
    }

    #[test]
    fn files_have_the_colours_and_dashes_of_the_page() {
        let page = include_str!("page.css");
        assert!(COLOURS.iter().all(|(class, colour)| page.contains(&format!("--{class}: {colour};"))));
        let dashes: Vec<_> = STYLE.split(['.', '}']).filter_map(|rule| rule.split_once("{stroke-dasharray:")).collect();
        assert_eq!(dashes.len(), 3);
        assert!(dashes.iter().all(|(class, dash)| page.contains(&format!(".{class} {{\n  stroke-dasharray: {dash};"))));
    }
}
