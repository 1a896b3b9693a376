//! The sentences of the page: what came of it on the whole, and what the last night changed. They claim no more than
//! was measured, and say nothing where nothing was.

use super::text::{changed, count, date, duration, escaped, fine_percent, grouped, number, percent, roughly};
use super::{Chapter, Story, measured, share};

/// Growth of perplexity, as a share, that nobody calls a loss.
const NOTHING: f64 = 0.001;
/// Sources of samples that are named.
const SOURCES: usize = 4;

/// All of it in one sentence.
pub fn headline(story: &Story) -> String {
    let nights = match story.nights() {
        0 => return "Familiar has not learned from you yet".into(),
        1 => "After one night".into(),
        nights => format!("After {}", count(nights, "night", "nights")),
    };
    let Some(served) = story.served() else {
        return match story.serving {
            Some(number) => format!("{nights}, generation {number} answers you"),
            None => format!("{nights}, the model still answers as it came"),
        };
    };
    let Some(gain) = served.gain() else {
        return format!("{nights}, generation {} answers you", served.number);
    };
    let gained = if gain >= 0.01 {
        format!("{} better", percent(gain))
    } else if gain > 0.0 {
        "a little better".into()
    } else {
        "no better than before".into()
    };
    format!("{nights}, Familiar predicts your writing {gained}{}", lost(story, served, gain))
}

/// What the gain did cost, to follow it.
fn lost(story: &Story, served: &Chapter, gain: f64) -> &'static str {
    let (Some(away), Some(growth)) = (measured(served.divergence), measured(served.perplexity_change)) else {
        return "";
    };
    let within = away <= story.bounds.divergence && growth <= story.bounds.perplexity;
    match (gain > 0.0, within) {
        (true, true) if growth <= NOTHING => " and lost nothing it could do before",
        (true, true) => " and lost hardly anything it could do before",
        (true, false) => ", and lost some of what it could do before",
        (false, _) => "",
    }
}

/// What stands below the headline, as HTML.
pub fn lede(story: &Story) -> String {
    let model = format!("<b>{}</b>", escaped(&story.model, 80));
    let tried = story.generations.len() as u64;
    if tried == 0 {
        return format!(
            "{model} answers as it came. As soon as you name something that it may learn from, and there is enough \
             of it, it learns while the machine is idle; this page will then show what came of it."
        );
    }
    let passed = story.generations.iter().filter(|chapter| chapter.promoted).count() as u64;
    let answers = match story.serving {
        Some(number) => format!("Generation {number} of {model} answers you now"),
        None => format!("{model} answers you as it came"),
    };
    format!(
        "{answers}. {} tried, {passed} passed the gate: a new one serves only if it predicts texts of yours that it \
         never saw surely better, and lost nothing that matters.",
        count(tried, "generation was", "generations were")
    )
}

/// What the last generation changed against the one that served before it: sentences as HTML.
pub fn changes(story: &Story) -> Vec<String> {
    let Some((last, earlier)) = story.generations.split_last() else { return Vec::new() };
    let before = earlier.iter().rev().find(|chapter| chapter.promoted);
    let mut all = vec![fate(story, last)];
    all.extend(gained(last, before));
    all.extend(recalled(last, before));
    all.extend(general(story, last));
    all.extend(effort(last));
    all
}

fn fate(story: &Story, last: &Chapter) -> String {
    let (number, day) = (last.number, date(story.local(last.made)));
    let serves = match story.serving {
        Some(serving) if serving == number => "answers you now".into(),
        Some(serving) => format!("generation {serving} answers you"),
        None => "the model answers as it came".into(),
    };
    let mut says = if last.promoted && story.serving == Some(number) {
        format!("Generation {number}, of {day}, passed the gate and {serves}.")
    } else if last.promoted {
        format!("Generation {number}, of {day}, passed the gate; {serves}.")
    } else {
        let (state, reason) = (escaped(&last.state, 40), escaped(&last.reason, 300));
        format!("Generation {number}, of {day}, was {state}, so that {serves}. The gate said: {reason}.")
    };
    if last.promoted && last.scale.is_finite() && last.scale < 1.0 {
        says += &format!(
            " It works at {} of its strength: at full strength it lost too much.",
            percent(f64::from(last.scale))
        );
    }
    says
}

fn gained(last: &Chapter, before: Option<&Chapter>) -> Option<String> {
    let gain = last.gain()?;
    let than = if gain < 0.0 { "more" } else { "less" };
    let was = before
        .and_then(|b| Some(format!(" (generation\u{a0}{}:\u{a0}{})", b.number, fine_percent(b.gain()?))));
    Some(format!(
        "Texts of yours that it never saw surprise it {} {than} than the model as it came{}.",
        fine_percent(gain.abs()),
        was.unwrap_or_default()
    ))
}

fn recalled(last: &Chapter, before: Option<&Chapter>) -> Option<String> {
    let was = |now: f64, then: Option<f64>| match then {
        Some(then) => format!("{} (before:\u{a0}{})", percent(now), percent(then)),
        None => percent(now),
    };
    let closed = share(&last.closed_book)?;
    let closed = was(closed, before.and_then(|b| share(&b.closed_book)));
    let open = share(&last.open_book).map(|open| was(open, before.and_then(|b| share(&b.open_book))));
    let open = open.map_or(String::new(), |open| format!(", and {open} with your files at hand"));
    Some(format!(
        "Of the questions about your notes it answers {closed} right without looking anything up{open}."
    ))
}

fn general(story: &Story, last: &Chapter) -> Option<String> {
    let (growth, away) = (measured(last.perplexity_change)?, measured(last.divergence)?);
    let bounds = &story.bounds;
    Some(format!(
        "On general text its perplexity changed by {} (at most {}), and it is {} nats a \
         token away from the model as it came (at most {}).",
        changed(growth),
        changed(bounds.perplexity),
        number(away, 3),
        number(bounds.divergence, 2),
    ))
}

fn effort(last: &Chapter) -> Option<String> {
    let samples: u64 = last.samples.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n));
    if samples == 0 || last.seconds == 0 {
        return None;
    }
    let mut sources: Vec<&(String, u64)> = last.samples.iter().filter(|(_, n)| *n > 0).collect();
    sources.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let named = sources.iter().take(SOURCES);
    let named: Vec<String> =
        named.map(|(name, n)| format!("<bdi>{}</bdi> {}", escaped(name, 60), grouped(*n))).collect();
    let more = if sources.len() > SOURCES { ", and others" } else { "" };
    Some(format!(
        "It trained for {} on {} tokens of {} ({}{more}).",
        duration(last.seconds),
        roughly(last.tokens),
        count(samples, "sample", "samples"),
        named.join(", ")
    ))
}
