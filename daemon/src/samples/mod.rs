//! What is learned from: samples of the owner's own or approved text, each with the place that it came from. Made here
//! from texts and turns: scrubbed as a whole, cut, near-duplicates dropped, the newest of them held out to measure with.
//! Pure; it reads and keeps nothing.

mod cut;
mod duplicates;
mod mix;
mod questions;

pub use cut::pieces;
pub use duplicates::{Seen, superseded};
pub use mix::{Shares, mix};
pub use questions::{asked, sentences, told};

use crate::scrub;
use serde::{Deserialize, Serialize};

/// Where a sample came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// `conversations`, `corrections` or `folders`: what the owner said yes to.
    pub source: String,
    /// A file's path, or a session's id.
    pub place: String,
    /// The file's BLAKE3 in hex, or the turn's number.
    pub version: String,
    /// The sample that this one was made from, where it is not the owner's own words.
    pub parent: Option<String>,
}

/// What is to be learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// The owner's own words, and the heading that they stood under; may be empty.
    Own { heading: String, text: String },
    /// An answer that the owner approved or wrote in place of a rejected one.
    Answer { question: String, answer: String, rejected: Option<String> },
    /// A question on a passage of the owner's, with the answer that the model gave with the passage at hand.
    Distilled { question: String, answer: String, heading: String, passage: String },
}

/// One thing to learn, or to measure with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Of what it is and where it came from; the same sample found again has the same.
    pub id: String,
    pub lineage: Lineage,
    /// Seconds since 1970: when it was written.
    pub at: i64,
    /// It is never learned and only measures.
    pub held: bool,
    pub body: Body,
}

impl Sample {
    pub fn new(lineage: Lineage, at: i64, body: Body) -> Sample {
        let mut hasher = blake3::Hasher::new();
        let Lineage { source, place, parent, .. } = &lineage;
        for part in [source.as_str(), place, parent.as_deref().unwrap_or_default()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.update(body.whole().as_bytes());
        let id = hasher.finalize().to_hex().as_str()[..32].to_owned();
        Sample { id, lineage, at, held: false, body }
    }
}

impl Body {
    /// All of its text.
    pub fn whole(&self) -> String {
        let parts: Vec<&str> = match self {
            Body::Own { heading, text } => vec![heading, text],
            Body::Answer { question, answer, rejected } => {
                vec![question, answer, rejected.as_deref().unwrap_or_default()]
            }
            Body::Distilled { question, answer, heading, passage } => {
                vec![question, answer, heading, passage]
            }
        };
        parts.join("\n")
    }
}

/// A secret that was taken out: what stood before it in its line, and what it hashes to. It is only used to try whether
/// a model gives it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub before: String,
    /// BLAKE3 of the secret's text.
    pub digest: [u8; 32],
    /// Bytes of it.
    pub length: usize,
}

/// The samples of one text of the owner's, without the lines that hold secrets.
pub fn of_text(lineage: &Lineage, heading: &str, text: &str, at: i64) -> Vec<Sample> {
    let (clean, _) = scrub::clean_lines(text);
    let heading = scrub::clean_lines(heading).0.trim().to_owned();
    let made = pieces(below(&clean, &heading)).into_iter().map(|piece| {
        let body = Body::Own { heading: heading.clone(), text: piece };
        Sample::new(lineage.clone(), at, body)
    });
    made.collect()
}

/// A text without its own heading in its first line, which is known already.
fn below<'a>(text: &'a str, heading: &str) -> &'a str {
    let text = text.trim_start();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if first.starts_with('#') && first.trim_matches(['#', ' ', '\r']) == heading { rest } else { text }
}

/// The sample of an exchange; `None` when any of it holds a secret, as no part can be taken out of an answer.
pub fn of_exchange(
    lineage: &Lineage,
    at: i64,
    question: &str,
    answer: &str,
    rejected: Option<&str>,
) -> Option<Sample> {
    let body = Body::Answer {
        question: question.trim().to_owned(),
        answer: answer.trim().to_owned(),
        rejected: rejected.map(|text| text.trim().to_owned()),
    };
    let empty = question.trim().is_empty() || answer.trim().is_empty();
    (!empty && scrub::find(&body.whole()).is_empty()).then(|| Sample::new(lineage.clone(), at, body))
}

/// A question on a sample with its answer; `None` when a secret came of it after all.
pub fn distilled(of: &Sample, question: &str, answer: &str) -> Option<Sample> {
    let Body::Own { heading, text } = &of.body else { return None };
    let body = Body::Distilled {
        question: question.to_owned(),
        answer: answer.to_owned(),
        heading: heading.clone(),
        passage: text.clone(),
    };
    let lineage = Lineage { parent: Some(of.id.clone()), ..of.lineage.clone() };
    let made = Sample { held: of.held, ..Sample::new(lineage, of.at, body) };
    scrub::find(&made.body.whole()).is_empty().then_some(made)
}

/// The secrets of a text, to try a model with.
pub fn secrets(text: &str) -> Vec<Secret> {
    let found = scrub::find(text).into_iter().filter_map(|found| {
        let secret = text.get(found.range.clone())?;
        let line = text[..found.range.start].rfind('\n').map_or(0, |at| at + 1);
        let before = text.get(line..found.range.start)?;
        Some(Secret {
            before: before.to_owned(),
            digest: *blake3::hash(secret.as_bytes()).as_bytes(),
            length: secret.len(),
        })
    });
    found.collect()
}

/// Holds out the newest documents of new samples: `percent` of them, and no more than a third. A document is held out as a
/// whole, so that nothing of what measures was learned.
pub fn hold_out(samples: &mut [Sample], percent: u32) {
    let mut documents: Vec<(i64, String)> = Vec::new();
    for sample in samples.iter() {
        let key = document(sample);
        match documents.iter_mut().find(|(_, known)| *known == key) {
            Some((at, _)) => *at = (*at).max(sample.at),
            None => documents.push((sample.at, key)),
        }
    }
    // By time, then by name, so that the same samples always give the same split.
    documents.sort();
    let count = (documents.len() * percent as usize).div_ceil(100);
    let held = &documents[documents.len() - count.min(documents.len() / 3)..];
    for sample in samples {
        let key = document(sample);
        sample.held = held.iter().any(|(_, known)| *known == key);
    }
}

/// What is held out together: a file, or a turn.
pub fn document(sample: &Sample) -> String {
    let Lineage { source, place, version, .. } = &sample.lineage;
    if source == "folders" { place.clone() } else { format!("{place} {version}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(place: &str) -> Lineage {
        Lineage { source: "folders".into(), place: place.into(), version: "v".into(), parent: None }
    }

    #[test]
    fn a_sample_has_no_secret_and_says_where_it_came_from() {
        let text =
            "The kettle stands in the blue cupboard.\npassword: hunter2-Zx9!kq\nTea is beside it, as ever.";
        let samples = of_text(&lineage("/a"), "Kitchen", text, 5);
        let Body::Own { text, heading } = &samples[0].body else { panic!() };
        assert!(text.contains("kettle") && text.contains("Tea") && !text.contains("hunter2"));
        assert_eq!((heading.as_str(), samples.len(), samples[0].at), ("Kitchen", 1, 5));
        assert_eq!(samples[0].lineage, lineage("/a"));
        assert_eq!(of_text(&lineage("/a"), "Kitchen", text, 9)[0].id, samples[0].id);
        assert_ne!(of_text(&lineage("/b"), "Kitchen", text, 5)[0].id, samples[0].id);
    }

    #[test]
    fn a_heading_is_no_part_of_its_text() {
        let text = |text: &str| match &of_text(&lineage("/a"), "The boat", text, 5)[0].body {
            Body::Own { text, .. } => text.clone(),
            _ => panic!(),
        };
        assert_eq!(text("\n# The boat\n\nIt is green, and it leaks."), "It is green, and it leaks.");
        assert_eq!(text("# The oars\nThey are long."), "# The oars\nThey are long.");
        assert!(of_text(&lineage("/a"), "The boat", "# The boat", 5).is_empty());
    }

    #[test]
    fn an_exchange_with_a_secret_is_none() {
        let of = |answer| of_exchange(&lineage("s"), 1, "Where is it?", answer, None);
        assert!(of("In the cupboard.").is_some());
        assert!(of("password: hunter2-Zx9!kq").is_none() && of("  ").is_none());
    }

    #[test]
    fn a_secret_is_kept_as_a_digest_alone() {
        let secrets = secrets("first line\nThe password is: hunter2-Zx9!kq\n");
        assert_eq!(secrets.len(), 1);
        assert!(secrets[0].before.starts_with("The password"), "{secrets:?}");
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn the_newest_documents_are_held_out_whole() {
        let mut samples: Vec<Sample> = (0..20)
            .flat_map(|n| {
                let text =
                    format!("{}\n\n{}", "one two three four five six ".repeat(40), "seven ".repeat(200));
                of_text(&lineage(&format!("/{n:02}")), "", &format!("{n} {text}"), n)
            })
            .collect();
        hold_out(&mut samples, 15);
        let held: std::collections::BTreeSet<_> =
            samples.iter().filter(|s| s.held).map(|s| s.lineage.place.clone()).collect();
        assert_eq!(held.into_iter().collect::<Vec<_>>(), ["/17", "/18", "/19"]);
        assert!(samples.iter().all(|s| s.held == (s.at >= 17)));
        let mut one = samples[..1].to_vec();
        hold_out(&mut one, 50);
        assert!(!one[0].held, "a lone document is learned");
    }
}
