//! What it learned, as one page to open in a browser: how well the owner's writing is predicted, what became of each
//! generation, answers before and after, and how to take it back. Pure: a story goes in, HTML comes out. The page
//! loads nothing and runs nothing, and shows every text as text, whatever is in it.

mod chart;
mod curves;
mod parts;
mod text;
mod words;

use crate::gate::{Interval, Thresholds};

/// The rules of the page's look.
const STYLE: &str = include_str!("style.css");

/// All that the page tells. Every moment is in seconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// Name of the base model.
    pub model: String,
    /// When the page is made.
    pub made: i64,
    /// Minutes that the owner's local time is ahead of UTC.
    pub ahead: i32,
    /// The generation that answers now; `None`: the model as it came.
    pub serving: Option<u32>,
    /// Every generation that was tried, the oldest first.
    pub generations: Vec<Chapter>,
    /// The first three are shown.
    pub questions: Vec<BeforeAfter>,
    pub bounds: Thresholds,
    pub kept: Kept,
}

/// One generation.
#[derive(Debug, Clone, Default)]
pub struct Chapter {
    pub number: u32,
    /// When its training ended.
    pub made: i64,
    /// What became of it, in a word or two: `promoted`, `rejected`.
    pub state: String,
    /// It passed the gate.
    pub promoted: bool,
    /// What its effect was multiplied with; 1 unless the gate asked for less.
    pub scale: f32,
    /// Why it passed or did not, in a sentence.
    pub reason: String,
    /// Loss in training, nats a token, by step.
    pub loss: Vec<(u64, f32)>,
    /// Median nats a token of held-out texts of the owner: with the model as it came, and with this generation.
    /// Here and below, `None` and what is not finite were not measured.
    pub nats_before: Option<f64>,
    pub nats_after: Option<f64>,
    /// Share of the held-out questions that it answers right: without passages, and with them.
    pub closed_book: Option<Interval>,
    pub open_book: Option<Interval>,
    /// Nats a token that it is away from the model as it came.
    pub divergence: Option<f64>,
    /// Share by which the perplexity of general text is larger than with the model as it came.
    pub perplexity_change: Option<f64>,
    /// What it was trained on: sources with their number of samples.
    pub samples: Vec<(String, u64)>,
    /// Length of the training, and tokens in it.
    pub seconds: u64,
    pub tokens: u64,
}

/// A question, answered by the model as it came and by the generation that serves, both without any files at hand.
#[derive(Debug, Clone, Default)]
pub struct BeforeAfter {
    pub question: String,
    pub before: String,
    pub after: String,
}

/// What is on the disk.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Samples to train on, by source.
    pub samples: Vec<(String, u64)>,
    /// Samples that only measure, and were never trained on.
    pub held_out: u64,
    /// Generations with an adapter that can serve.
    pub generations: u64,
    /// Samples that were forgotten at the owner's word.
    pub forgotten: u64,
}

/// The page, whole: it needs no other file and no network.
pub fn page(story: &Story) -> String {
    let body = [
        parts::head(story),
        parts::changes(story),
        curves::section(story),
        parts::questions(story),
        parts::generations(story),
        parts::kept(story),
    ];
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri \
         'none'; form-action 'none'\">\n<meta name=referrer content=no-referrer>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <meta name=color-scheme content=\"light dark\">\n<title>What Familiar learned</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n{}</body>\n</html>\n",
        body.concat(),
        parts::foot(),
    )
}

impl Story {
    /// The generation that answers now.
    fn served(&self) -> Option<&Chapter> {
        let number = self.serving?;
        self.generations.iter().find(|chapter| chapter.number == number)
    }

    /// Nights on which something was tried; what was made after midnight belongs to the evening before.
    fn nights(&self) -> u64 {
        let night = |at: i64| self.local(at).saturating_sub(12 * 3600).div_euclid(86400);
        let mut nights: Vec<i64> = self.generations.iter().map(|chapter| night(chapter.made)).collect();
        nights.sort_unstable();
        nights.dedup();
        nights.len() as u64
    }

    /// A moment as the owner's clock showed it.
    fn local(&self, at: i64) -> i64 {
        at.saturating_add(i64::from(self.ahead) * 60)
    }
}

impl Chapter {
    /// Share by which held-out texts surprise it less than the model as it came.
    fn gain(&self) -> Option<f64> {
        let (before, after) = (measured(self.nats_before)?, measured(self.nats_after)?);
        text::sane((before - after) / before).filter(|_| before > 0.0)
    }
}

fn measured(value: Option<f64>) -> Option<f64> {
    value.and_then(text::sane)
}

/// The middle of a share that was measured.
fn share(of: &Option<Interval>) -> Option<f64> {
    measured(of.as_ref().map(|interval| interval.mean))
}

#[cfg(test)]
mod tests;
