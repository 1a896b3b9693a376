//! A line chart as inline SVG, drawn from numbers alone. Numbers that are not finite are left out, and points far
//! outside of what the others need are marked at the edge. It carries no colours: the page's style has them.

use super::text::{escaped, number, sane};
use std::fmt::Write as _;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 42.0;
const RIGHT: f64 = 352.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 164.0;
/// Points of a line; more are averaged.
const MOST: usize = 180;

/// How a series looks: class names of the style.
#[derive(Debug, Clone, Copy)]
pub enum Look {
    Accent,
    Quiet,
    Faint,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Look::Accent => "a",
            Look::Quiet => "q",
            Look::Faint => "f",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// An interval around it.
    pub span: Option<(f64, f64)>,
    /// Shown as a ring, and not joined by the line.
    pub hollow: bool,
}

#[derive(Debug)]
pub struct Series {
    pub look: Look,
    /// Whether each point is marked, and not only the line.
    pub dots: bool,
    pub points: Vec<Point>,
}

#[derive(Debug)]
pub struct Chart<'a> {
    /// Unlike those of the page's other charts.
    pub id: &'a str,
    pub title: &'a str,
    /// What is to be seen, for who does not see it.
    pub describes: String,
    /// Where it begins and ends, with what stands there.
    pub x_ticks: Vec<(f64, String)>,
    pub x_name: &'a str,
    pub series: Vec<Series>,
    /// A limit, and what it says.
    pub bound: Option<(f64, String)>,
    /// Values that the scale must hold.
    pub holds: &'a [f64],
    /// How a value on the scale is shown, given the digits that tell the ticks apart.
    pub shown: fn(f64, usize) -> String,
}

/// The scale: ticks at round numbers, the first and last of which are its ends.
#[derive(Debug, PartialEq)]
struct Scale {
    ticks: Vec<f64>,
    digits: usize,
}

impl Chart<'_> {
    /// The chart, or words where there is nothing to draw.
    pub fn draw(mut self) -> String {
        for series in &mut self.series {
            series.points.retain(|point| sane(point.x).is_some() && sane(point.y).is_some());
        }
        if self.series.iter().all(|series| series.points.is_empty()) {
            return "<p class=soft>There is nothing to draw yet.</p>".into();
        }
        let scale = Scale::of(self.range());
        let (id, title) = (self.id, escaped(self.title, 100));
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-labelledby=\"{id}-t {id}-d\">\
             <title id={id}-t>{title}</title><desc id={id}-d>{}</desc>",
            escaped(&self.describes, 2000)
        );
        self.frame(&scale, &mut out);
        for series in &self.series {
            self.series(series, &scale, &mut out);
        }
        self.bound(&scale, &mut out);
        out.push_str("</svg>");
        out
    }

    /// What the scale must hold. Hollow points may widen it to the double, and no more.
    fn range(&self) -> (f64, f64) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let needed = points().filter(|point| !point.hollow).map(|point| point.y);
        // Above a bound there is room for what it says.
        let bound = self.bound.as_ref().map(|(at, _)| at * 1.2);
        let held = self.holds.iter().copied().chain(bound).filter_map(sane);
        let (low, high) = held.chain(needed).fold((f64::MAX, f64::MIN), |(l, h), y| (l.min(y), h.max(y)));
        let (low, high) =
            if low > high { points().next().map_or((0.0, 1.0), |p| (p.y, p.y)) } else { (low, high) };
        let room = if high > low { high - low } else { high.abs().max(0.1) };
        let near = |y: &f64| (low - room..=high + room).contains(y);
        points().map(|point| point.y).filter(near).fold((low, high), |(l, h), y| (l.min(y), h.max(y)))
    }

    fn x(&self, x: f64) -> f64 {
        let ends = (self.x_ticks.first().map_or(0.0, |t| t.0), self.x_ticks.last().map_or(1.0, |t| t.0));
        let share = if ends.1 > ends.0 { (x - ends.0) / (ends.1 - ends.0) } else { 0.5 };
        // Room for a mark at either end.
        LEFT + 10.0 + share.clamp(0.0, 1.0) * (RIGHT - LEFT - 18.0)
    }

    fn frame(&self, scale: &Scale, out: &mut String) {
        for tick in &scale.ticks {
            let y = scale.y(*tick);
            let says = (self.shown)(*tick, scale.digits);
            let _ = write!(out, "<line class=grid x1={LEFT} x2={RIGHT} y1={y:.1} y2={y:.1} />");
            let _ = write!(out, "<text x={} y={:.1} text-anchor=end>{says}</text>", LEFT - 6.0, y + 4.0);
        }
        for (x, says) in &self.x_ticks {
            let _ = write!(
                out,
                "<text x={:.1} y={} text-anchor=middle>{}</text>",
                self.x(*x),
                BOTTOM + 15.0,
                escaped(says, 20)
            );
        }
        let _ = write!(out, "<text x={RIGHT} y={HEIGHT} text-anchor=end>{}</text>", escaped(self.x_name, 40));
    }

    /// Over the series, so that it can be read.
    fn bound(&self, scale: &Scale, out: &mut String) {
        if let Some((at, says)) = self.bound.as_ref().filter(|(at, _)| sane(*at).is_some()) {
            let y = scale.y(*at);
            let _ = write!(out, "<line class=bound x1={LEFT} x2={RIGHT} y1={y:.1} y2={y:.1} />");
            let _ = write!(
                out,
                "<text class=says x={RIGHT} y={:.1} text-anchor=end>{}</text>",
                y - 5.0,
                escaped(says, 60)
            );
        }
    }

    fn series(&self, series: &Series, scale: &Scale, out: &mut String) {
        let _ = write!(out, "<g class={}>", series.look.class());
        let line: Vec<(f64, f64)> =
            series.points.iter().filter(|point| !point.hollow).map(|point| (point.x, point.y)).collect();
        let path: Vec<String> =
            averaged(&line).iter().map(|(x, y)| format!("{:.1} {:.1}", self.x(*x), scale.y(*y))).collect();
        if path.len() > 1 {
            let _ = write!(out, "<path d=\"M{}\" />", path.join("L"));
        }
        for point in series.points.iter().filter(|_| series.dots) {
            self.mark(point, scale, out);
        }
        out.push_str("</g>");
    }

    fn mark(&self, point: &Point, scale: &Scale, out: &mut String) {
        let (x, y) = (self.x(point.x), scale.y(point.y));
        if let Some((low, high)) = point.span.filter(|(l, h)| sane(*l).is_some() && sane(*h).is_some()) {
            let (low, high) = (scale.y(low), scale.y(high));
            let _ = write!(out, "<line class=span x1={x:.1} x2={x:.1} y1={low:.1} y2={high:.1} />");
        }
        let says = (self.shown)(point.y, scale.digits + 1);
        if !scale.holds(point.y) {
            // It points to where the value lies.
            let tip = if point.y > scale.high() { -5.0 } else { 5.0 };
            let _ = write!(
                out,
                "<polygon class=off points=\"{:.1},{y:.1} {:.1},{y:.1} {x:.1},{:.1}\"><title>{says}</title></polygon>",
                x - 4.0,
                x + 4.0,
                y + tip
            );
            return;
        }
        let class = if point.hollow { "hollow" } else { "dot" };
        let _ =
            write!(out, "<circle class={class} cx={x:.1} cy={y:.1} r=3.25><title>{says}</title></circle>");
    }
}

impl Scale {
    fn of((low, high): (f64, f64)) -> Scale {
        let room = if high > low { high - low } else { high.abs().max(0.1) };
        let (low, high) = if high > low { (low, high) } else { (low - room / 2.0, high + room / 2.0) };
        let rough = (high - low) / 4.0;
        let power = rough.log10().floor();
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|s| s * 10f64.powf(power) >= rough).unwrap_or(10.0);
        let step = step * 10f64.powf(power);
        // A hair's breadth, so that a bound that is itself a round number gets no empty step beyond it.
        let (first, last) = ((low / step + 1e-6).floor(), (high / step - 1e-6).ceil());
        let ticks = (0..=((last - first) as usize).min(8)).map(|n| (first + n as f64) * step).collect();
        let whole = |digits: usize| {
            let scaled = step * 10f64.powi(digits as i32);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        };
        Scale { ticks, digits: (0..8).find(|digits| whole(*digits)).unwrap_or(8) }
    }

    fn low(&self) -> f64 {
        self.ticks.first().copied().unwrap_or(0.0)
    }

    fn high(&self) -> f64 {
        self.ticks.last().copied().unwrap_or(1.0)
    }

    fn holds(&self, value: f64) -> bool {
        let hair = (self.high() - self.low()) * 1e-3;
        (self.low() - hair..=self.high() + hair).contains(&value)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low()) / (self.high() - self.low());
        BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
    }
}

/// A line of no more than [`MOST`] points: of each stretch its mean.
fn averaged(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stretch = line.len().div_ceil(MOST).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    line.chunks(stretch).map(mean).collect()
}

/// Round numbers from 0 to `last`, a handful of them, to stand below a chart.
pub fn round_ticks(last: f64) -> Vec<(f64, String)> {
    let Scale { ticks, .. } = Scale::of((0.0, last.max(1.0)));
    ticks.into_iter().map(|tick| (tick, number(tick, 0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Point {
        Point { x, y, span: None, hollow: false }
    }

    fn chart(points: Vec<Point>, holds: &[f64]) -> Chart<'_> {
        Chart {
            id: "c",
            title: "<Title>",
            describes: String::new(),
            x_ticks: vec![(0.0, "0".into()), (10.0, "10".into())],
            x_name: "steps",
            series: vec![Series { look: Look::Accent, dots: true, points }],
            bound: None,
            holds,
            shown: number,
        }
    }

    #[test]
    fn scales_have_round_numbers() {
        for ((low, high), first, last, digits) in [
            ((0.0, 1.0), 0.0, 1.0, 1),
            ((2.33, 3.02), 2.2, 3.2, 1),
            ((0.0, 0.05), 0.0, 0.06, 2),
            ((0.0, 320.0), 0.0, 400.0, 0),
            ((-0.2, 1.0), -0.5, 1.0, 1),
        ] {
            let scale = Scale::of((low, high));
            assert!((scale.low() - first).abs() < 1e-9 && (scale.high() - last).abs() < 1e-9, "{scale:?}");
            assert_eq!(scale.digits, digits, "{scale:?}");
        }
        for value in [0.0, 5.0, -5.0, 1e-12, 9e8] {
            let scale = Scale::of((value, value));
            assert!(scale.holds(value) && scale.ticks.len() >= 2, "{value} {scale:?}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let hostile = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300];
        let nothing = chart(hostile.iter().map(|y| point(1.0, *y)).collect(), &[]).draw();
        assert!(nothing.contains("nothing to draw"), "{nothing}");
        assert!(chart(Vec::new(), &[0.0, 1.0]).draw().contains("nothing to draw"));
        let mut points: Vec<Point> = hostile.iter().flat_map(|v| [point(*v, 1.0), point(2.0, *v)]).collect();
        points.push(Point { span: Some((f64::NEG_INFINITY, f64::NAN)), ..point(3.0, 2.0) });
        let drawn = chart(points, &[f64::NAN]).draw();
        assert!(drawn.contains("<circle") && !drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert!(drawn.contains("&lt;Title&gt;"));
    }

    #[test]
    fn one_that_failed_wildly_does_not_flatten_the_others() {
        let wild = Point { hollow: true, ..point(5.0, 40.0) };
        let drawn = chart(vec![point(0.0, 2.0), wild, point(10.0, 2.5)], &[]).draw();
        assert!(drawn.contains("class=off") && drawn.contains("<title>40.0"), "{drawn}");
        assert!(drawn.contains(">2.4</text>") && !drawn.contains(">40</text>"), "{drawn}");
    }

    #[test]
    fn a_long_series_is_averaged() {
        let long: Vec<(f64, f64)> = (0..1_000_000).map(|n| (f64::from(n), f64::from(n % 2))).collect();
        let short = averaged(&long);
        assert!(short.len() <= MOST && short.iter().all(|(_, y)| (*y - 0.5).abs() < 0.01));
        assert_eq!(averaged(&long[..3]), &long[..3]);
    }
}
