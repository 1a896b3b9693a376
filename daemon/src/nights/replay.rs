//! What the model as it came says by itself: asked once, kept until something is forgotten, and held on to in training and by
//! the gate. The questions are of daily use and such as the owner's texts raise.

use super::cycle::Desk;
use super::rows::{self, Asking};
use super::{Inner, NightError, measure};
use crate::protocol::frames::Generate;
use crate::samples::{self, Body, Lineage, Sample};
use crate::types::{Passage, ToolSpec};

/// Answers of the model as it came that it is held to.
const REPLAYED: usize = 128;

/// Tools that nobody has: name, what it does, and what it is given, all of them strings.
const TOOLS: [(&str, &str, &[&str]); 9] = [
    ("find_contact", "Looks somebody up in the address book.", &["person"]),
    ("weather_report", "Tells the weather of a place on a day.", &["place", "day"]),
    ("play_song", "Plays a song or an album.", &["title"]),
    ("list_events", "Lists what stands in the calendar on a day.", &["day"]),
    ("translate_phrase", "Says a phrase in another language.", &["phrase", "language"]),
    ("plan_route", "Finds the way from one place to another.", &["from", "to"]),
    ("start_stopwatch", "Begins to measure time under a name.", &["name"]),
    ("draft_letter", "Begins a letter to somebody.", &["person", "subject"]),
    ("define_word", "Explains what a word means.", &["word"]),
];
/// Wishes for them.
const WISHES: [&str; 18] = [
    "What is Paula's phone number?",
    "Look up the address of Mr Henning.",
    "Will it rain in Oslo tomorrow?",
    "How warm does it get in Cadiz on Sunday?",
    "Put on some Schubert.",
    "I want to hear Blue Train.",
    "What do I have to do on Friday?",
    "Is anything in my calendar today?",
    "How do you say good evening in Finnish?",
    "Translate \"where is the station\" into Greek.",
    "How do I get from Ghent to Antwerp?",
    "Show me the way from the museum to the harbour.",
    "Begin to time the eggs.",
    "Start a stopwatch called laundry.",
    "Write to Carla about the rent.",
    "I need a letter to the council on the street lights.",
    "What does obsequious mean?",
    "Explain the word isthmus.",
];

/// Text of nobody's in particular, that the model is to read as it did before: Familiar's own pages.
pub(super) fn general() -> Vec<String> {
    const PAGES: [&str; 4] = [
        include_str!("../../../README.md"),
        include_str!("../../../ARCHITECTURE.md"),
        include_str!("../../../CHANGELOG.md"),
        include_str!("../../../sdk/GUIDE.md"),
    ];
    let pieces: Vec<String> = PAGES.iter().flat_map(|page| samples::pieces(page)).collect();
    spread(&pieces).cloned().collect()
}

/// All of them, each once, so that the first few are from everywhere alike: by steps of the golden section.
pub(super) fn spread<T>(all: &[T]) -> impl Iterator<Item = &T> {
    let mut step = (all.len() as f64 * 0.618) as usize | 1;
    while gcd(step, all.len()) > 1 {
        step += 2;
    }
    (0..all.len()).map(move |n| &all[n * step % all.len()])
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What the model as it came says to questions of daily use and to such as the owner's texts raise. Made once and kept
/// until something is forgotten.
pub(super) async fn own(inner: &Inner, desk: &Desk) -> Result<Vec<(Generate, String)>, NightError> {
    if let Some(own) = inner.replay(&desk.model.hash)? {
        return Ok(own);
    }
    desk.put(None);
    let held_model = desk.engine.hold().await?;
    let asking = Asking::new(&inner.rooms, &desk.engine, &held_model.model);
    let tools = inner.rooms.tools.specs(true).await;
    let samples = inner.rooms.store.samples().await?;
    let mut own = Vec::new();
    for (n, prompt) in prompts(&asking, &samples, tools).into_iter().enumerate() {
        // What it says of itself is varied; what it says of passages and with tools is what it would answer.
        let grounded = prompt.messages.iter().any(|message| message.content.contains("Passages:"));
        let sampling = if grounded || !prompt.tools.is_empty() {
            prompt.sampling.clone()
        } else {
            measure::by_itself(n as u32 + 1)
        };
        let said = asking.say(Generate { sampling, ..prompt.clone() }).await?;
        if !said.trim().is_empty() {
            own.push((prompt, said));
        }
    }
    inner.keep_replay(&desk.model.hash, &own)?;
    Ok(own)
}

/// Questions of daily use: with passages that tell and that do not, with tools, and with nothing.
fn prompts(asking: &Asking<'_>, samples: &[Sample], tools: Vec<ToolSpec>) -> Vec<Generate> {
    const TALK: [&str; 12] = [
        "Hello!",
        "What can you do?",
        "Who are you?",
        "Thanks, that helped.",
        "Does anything that I tell you leave this machine?",
        "Write a short note to a friend.",
        "Give this text a title: The meeting was moved to Thursday since the room is taken.",
        "What is a good way to learn a language?",
        "Explain what a file is.",
        "Tell me something about rivers.",
        "How do I add a folder?",
        "Summarise: Bread needs flour, water, salt and time. The dough rests for a night.",
    ];
    let of_owner: Vec<_> = samples
        .iter()
        .filter_map(|sample| match &sample.body {
            Body::Distilled { question, heading, passage, .. } if !sample.held => {
                Some((question.clone(), rows::passage(&sample.lineage, heading, passage)))
            }
            Body::Distilled { .. } | Body::Own { .. } | Body::Answer { .. } => None,
        })
        .collect();
    let of_pages = asked_of(&general());
    let talk = TALK.iter().map(|text| rows::plain(text));
    talk.chain(wishes(asking))
        .chain(grounded(asking, &of_owner, &tools))
        .chain(grounded(asking, &of_pages, &tools))
        .collect()
}

/// Wishes with some of the tools, among them the right one.
fn wishes(asking: &Asking<'_>) -> Vec<Generate> {
    const OFFERED: usize = 4;
    let tool = |at: usize| {
        let (name, description, given) = TOOLS[at % TOOLS.len()];
        let properties: serde_json::Map<_, _> =
            given.iter().map(|name| ((*name).to_owned(), serde_json::json!({ "type": "string" }))).collect();
        let parameters = serde_json::json!({ "type": "object", "properties": properties, "required": given });
        ToolSpec { name: name.into(), description: description.into(), parameters: parameters.to_string() }
    };
    // Two wishes for each tool; it stands first, second, third and last in turn, and each wish comes twice, with other tools
    // beside.
    let prompt = |n: usize| {
        let first = n % WISHES.len() / 2 + TOOLS.len() - (n + n / WISHES.len()) % OFFERED;
        asking.wish(WISHES[n % WISHES.len()], (first..first + OFFERED).map(tool).collect())
    };
    (0..2 * WISHES.len()).map(prompt).collect()
}

/// Questions on the beginnings of pieces of text that are nobody's: four of them are to fit into a micro-batch of training.
fn asked_of(pieces: &[String]) -> Vec<(String, Passage)> {
    const CHARS: usize = 320;
    let lineage = Lineage { source: String::new(), place: "familiar.md".into(), ..Lineage::default() };
    let one = |piece: &String| {
        let piece: String = piece.chars().take(CHARS).collect();
        let sentence = *samples::sentences(&piece).iter().max_by_key(|sentence| sentence.len())?;
        let question = samples::asked(sentence, "").into_iter().next()?;
        Some((question, rows::passage(&lineage, "", &piece)))
    };
    pieces.iter().filter_map(one).collect()
}

/// Prompts of the questions with their passages among others; every third time nothing tells, every fourth time there
/// are tools beside, and every fifth time it is alone.
fn grounded(asking: &Asking<'_>, parts: &[(String, Passage)], tools: &[ToolSpec]) -> Vec<Generate> {
    let every = (parts.len() / (REPLAYED / 2)).max(1);
    let prompt = |(n, (question, passage)): (usize, &(String, Passage))| {
        let other = |step: usize| parts[(n + step * every) % parts.len()].1.clone();
        let right = if n / every % 3 == 2 { other(3) } else { passage.clone() };
        let mut passages = vec![other(1), other(2), other(4)];
        passages.insert(n / every % 4, right);
        passages.dedup_by(|a, b| a.text == b.text);
        if n / every % 5 == 4 {
            passages.truncate(1);
        }
        let tools = if n / every % 4 == 3 { tools.to_vec() } else { Vec::new() };
        asking.prompt(question, passages, tools)
    };
    parts.iter().enumerate().step_by(every).map(prompt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spread_comes_once_each_and_its_beginning_is_from_everywhere() {
        for count in 0..200 {
            let all: Vec<usize> = (0..count).collect();
            let mut spread: Vec<usize> = spread(&all).copied().collect();
            spread.sort_unstable();
            assert_eq!(spread, all);
        }
        let all: Vec<usize> = (0..1000).collect();
        let first: Vec<usize> = spread(&all).take(50).copied().collect();
        for tenth in 0..10 {
            assert!(first.iter().any(|at| at / 100 == tenth), "{first:?}");
        }
    }
}
