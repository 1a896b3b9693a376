//! The curves: scores over generations with the gate's bounds, and the loss in training.

use super::chart::{Chart, Look, Point, Series, round_ticks};
use super::text::{count, duration, grouped, number, percent, roughly, sane, signed};
use super::{Chapter, Story, measured, share};
use crate::gate::Interval;

/// The newest generations that the charts show, and curves of loss.
const SHOWN: usize = 60;
const LOSSES: usize = 8;
/// Room for numbers below a chart, in digits, and what keeps two apart.
const DIGITS: usize = 42;
const APART: usize = 2;

pub fn section(story: &Story) -> String {
    if story.generations.is_empty() {
        return String::new();
    }
    let chapters = &story.generations[story.generations.len().saturating_sub(SHOWN)..];
    let figures = [
        surprise(chapters),
        recall(chapters),
        distance(story, chapters),
        general(story, chapters),
        effort(chapters),
        loss(chapters),
    ];
    format!(
        "<section>\n<h2>Night by night</h2>\n<div class=curves>\n{}</div>\n</section>\n",
        figures.concat()
    )
}

fn figure(title: &str, key: &str, chart: Chart<'_>, caption: &str) -> String {
    format!(
        "<figure>\n<h3>{title}</h3>\n<p class=key>{key}</p>\n{}\n<figcaption>{caption}</figcaption>\n</figure>\n",
        chart.draw()
    )
}

/// A series of one value of each chapter.
fn series(chapters: &[Chapter], look: Look, value: impl Fn(&Chapter) -> Option<f64>) -> Series {
    let point = |(at, chapter): (usize, &Chapter)| {
        Some(Point { x: at as f64, y: value(chapter)?, span: None, hollow: !chapter.promoted })
    };
    Series { look, dots: true, points: chapters.iter().enumerate().filter_map(point).collect() }
}

/// The numbers of the generations, as many as there is room for; the first and the last are among them.
fn numbers(chapters: &[Chapter]) -> Vec<(f64, String)> {
    let last = chapters.len().saturating_sub(1);
    let digits = chapters.last().map_or(1, |chapter| chapter.number.to_string().len());
    let every = chapters.len().div_ceil(DIGITS / (digits + APART)).max(1);
    let room = |at: usize| at == last || (at.is_multiple_of(every) && last - at >= every.div_ceil(2));
    let label = |(at, chapter): (usize, &Chapter)| (at as f64, chapter.number.to_string());
    chapters.iter().enumerate().filter(|(at, _)| room(*at)).map(label).collect()
}

/// One chart over generations.
fn over_generations<'a>(id: &'a str, title: &'a str, chapters: &[Chapter], series: Vec<Series>) -> Chart<'a> {
    Chart {
        id,
        title,
        describes: String::new(),
        x_ticks: numbers(chapters),
        x_name: "generation",
        series,
        bound: None,
        holds: &[],
        shown: number,
    }
}

/// The first and the last value of those that passed, in words.
fn from_to(chapters: &[Chapter], what: &str, value: impl Fn(&Chapter) -> Option<String>) -> String {
    let mut passed =
        chapters.iter().filter(|chapter| chapter.promoted).filter_map(|c| Some((c.number, value(c)?)));
    match (passed.next(), passed.last()) {
        (None, _) => format!("No generation that passed has {what}."),
        (Some((number, first)), None) => format!("{what} of generation {number}: {first}."),
        (Some((a, first)), Some((b, last))) => {
            format!("{what} from generation {a} to generation {b}: from {first} to {last}.")
        }
    }
}

fn rejected(chapters: &[Chapter]) -> &'static str {
    let any = chapters.iter().any(|chapter| !chapter.promoted);
    if any { "<span class=o><i></i>did not pass</span>" } else { "" }
}

fn surprise(chapters: &[Chapter]) -> String {
    let mut base = series(chapters, Look::Quiet, |chapter| measured(chapter.nats_before));
    base.points.iter_mut().for_each(|point| point.hollow = false);
    base.dots = chapters.len() == 1;
    let now = series(chapters, Look::Accent, |chapter| measured(chapter.nats_after));
    let mut chart = over_generations("surprise", "Surprise at your writing", chapters, vec![base, now]);
    chart.describes = from_to(chapters, "Nats a token", |c| Some(number(measured(c.nats_after)?, 2)));
    let key = format!(
        "<span><i></i>generation</span><span class=q><i></i>model as it came</span>{}",
        rejected(chapters)
    );
    figure(
        "Surprise at your writing",
        &key,
        chart,
        "Nats a token of texts that it never saw. Lower is better.",
    )
}

fn recall(chapters: &[Chapter]) -> String {
    let shares = |look: Look, of: fn(&Chapter) -> &Option<Interval>| {
        let mut series = series(chapters, look, |chapter| share(of(chapter)));
        // As `series` does, it leaves out the chapters without a share.
        let spans =
            chapters.iter().filter(|c| share(of(c)).is_some()).map(|c| of(c).map(|i| (i.low, i.high)));
        series.points.iter_mut().zip(spans).for_each(|(point, span)| point.span = span);
        series
    };
    let both = vec![shares(Look::Quiet, |c| &c.open_book), shares(Look::Accent, |c| &c.closed_book)];
    let mut chart = over_generations("recall", "Questions on your notes, answered right", chapters, both);
    chart.describes =
        from_to(chapters, "Share right without files", |c| Some(percent(share(&c.closed_book)?)));
    (chart.holds, chart.shown) = (&[0.0, 1.0], |value, _| percent(value));
    let key = format!(
        "<span><i></i>without files</span><span class=q><i></i>with files at hand</span>{}",
        rejected(chapters)
    );
    figure(
        "Questions on your notes, answered right",
        &key,
        chart,
        "Thin lines are 95&nbsp;% intervals. Higher is better.",
    )
}

fn distance(story: &Story, chapters: &[Chapter]) -> String {
    let away = series(chapters, Look::Accent, |chapter| measured(chapter.divergence));
    let mut chart = over_generations("distance", "Distance from the model as it came", chapters, vec![away]);
    chart.describes = from_to(chapters, "Nats a token", |c| Some(number(measured(c.divergence)?, 3)));
    chart.bound = bound(story.bounds.divergence, number(story.bounds.divergence, 2));
    chart.holds = &[0.0];
    let key = format!("<span><i></i>generation</span>{}", rejected(chapters));
    figure(
        "Distance from the model as it came",
        &key,
        chart,
        "Nats a token on what that model says itself. None that goes beyond the dotted line serves.",
    )
}

fn general(story: &Story, chapters: &[Chapter]) -> String {
    let growth = series(chapters, Look::Accent, |chapter| measured(chapter.perplexity_change));
    let mut chart = over_generations("general", "Perplexity of general text", chapters, vec![growth]);
    chart.describes = from_to(chapters, "Change", |c| Some(in_percent(measured(c.perplexity_change)?, 3)));
    chart.bound = bound(story.bounds.perplexity, in_percent(story.bounds.perplexity, 3));
    (chart.holds, chart.shown) = (&[0.0], in_percent);
    let key = format!("<span><i></i>generation</span>{}", rejected(chapters));
    figure(
        "Perplexity of general text",
        &key,
        chart,
        "Change against the model as it came. Lower is better; none beyond the dotted line serves.",
    )
}

fn effort(chapters: &[Chapter]) -> String {
    let all = |chapter: &Chapter| chapter.samples.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
    let samples = series(chapters, Look::Accent, |chapter| Some(all(chapter) as f64));
    let mut chart = over_generations("samples", "Samples it learned from", chapters, vec![samples]);
    chart.describes = from_to(chapters, "Samples", |chapter| Some(grouped(all(chapter))));
    chart.holds = &[0.0];
    let key = format!("<span><i></i>generation</span>{}", rejected(chapters));
    figure("Samples it learned from", &key, chart, "What only measures is not among them.")
}

fn bound(at: f64, shown: String) -> Option<(f64, String)> {
    Some((sane(at)?, format!("at most {shown}")))
}

/// A share that changed, as percent; `digits` tell the shares apart.
fn in_percent(share: f64, digits: usize) -> String {
    format!("{}\u{a0}%", signed(100.0 * share, digits.saturating_sub(2)))
}

fn loss(chapters: &[Chapter]) -> String {
    let trained: Vec<&Chapter> = chapters.iter().filter(|chapter| !chapter.loss.is_empty()).collect();
    let Some((last, earlier)) = trained.split_last() else { return String::new() };
    let earlier = &earlier[earlier.len().saturating_sub(LOSSES - 1)..];
    let line = |chapter: &Chapter, look: Look| Series {
        look,
        dots: false,
        points: chapter
            .loss
            .iter()
            .map(|(step, loss)| Point { x: *step as f64, y: f64::from(*loss), span: None, hollow: false })
            .collect(),
    };
    let mut all: Vec<Series> = earlier.iter().map(|chapter| line(chapter, Look::Faint)).collect();
    all.push(line(last, Look::Accent));
    let steps = |chapter: &Chapter| chapter.loss.last().map_or(0, |(step, _)| *step);
    let longest = earlier.iter().chain([last]).map(|c| steps(c)).max().unwrap_or(0);
    let ends = (last.loss.first().map_or(0.0, |l| l.1), last.loss.last().map_or(0.0, |l| l.1));
    let chart = Chart {
        id: "loss",
        title: "Loss in training",
        describes: format!(
            "Generation {}: from {} to {} nats a token.",
            last.number,
            number(f64::from(ends.0), 2),
            number(f64::from(ends.1), 2)
        ),
        x_ticks: round_ticks(sane(longest as f64).unwrap_or(1.0)),
        x_name: "step",
        series: all,
        bound: None,
        holds: &[],
        shown: number,
    };
    let before = if earlier.is_empty() { "" } else { "<span class=f><i></i>generations before</span>" };
    let key = format!("<span><i></i>generation {}</span>{before}", last.number);
    let caption = format!(
        "Nats a token. {} in {}, {} tokens.",
        count(steps(last), "step", "steps"),
        duration(last.seconds),
        roughly(last.tokens)
    );
    figure("Loss in training", &key, chart, &caption)
}
