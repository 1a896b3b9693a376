//! From the sources that the owner said yes to, to samples in the store. It reads marked folders through the index, which
//! keeps to its own rules of what may be read, and never the web, plugins or other files.

use super::{NightError, Rooms};
use crate::config::LearnConfig;
use crate::index::{FileText, IndexedFile};
use crate::samples::{self, Body, Lineage, Sample, Secret, Seen};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Files looked at in one go.
const FILES: usize = 500;
/// Text of a file beyond this many bytes is not learned.
const LONGEST: u64 = 1 << 20;
/// Secrets that a candidate is tried with.
const SECRETS: usize = 200;

/// What a look at the sources brought.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// Samples that were not there before.
    pub new: usize,
    /// What was taken out of the sources, to try candidates with. Kept in memory alone.
    pub secrets: Vec<(Secret, String)>,
}

/// Brings the stored samples up to date with the sources.
pub(super) async fn collect(rooms: &Rooms, settings: &LearnConfig) -> Result<Collected, NightError> {
    let known = rooms.store.samples().await?;
    let mut fresh = Fresh::new(&known);
    let mut collected = Collected::default();
    if settings.allows("folders") {
        for folder in &settings.folders {
            folder_of(rooms, Path::new(folder), &known, &mut fresh, &mut collected).await?;
        }
    }
    said(rooms, settings, &mut fresh).await?;
    let mut new = fresh.new;
    samples::hold_out(&mut new, settings.held_out);
    rooms.store.outdate_samples(fresh.outdated).await?;
    collected.new = rooms.store.keep_samples(new).await?;
    Ok(collected)
}

/// Samples that are not stored yet, and no copies of what is.
struct Fresh {
    ids: BTreeSet<String>,
    seen: Seen,
    new: Vec<Sample>,
    /// Ids of samples whose text no longer stands in its file.
    outdated: Vec<String>,
}

impl Fresh {
    fn new(known: &[Sample]) -> Fresh {
        let mut seen = Seen::default();
        for sample in known.iter().filter(|sample| sample.lineage.parent.is_none()) {
            seen.is_new(&unheaded(sample));
        }
        let ids = known.iter().map(|sample| sample.id.clone()).collect();
        Fresh { ids, seen, new: Vec::new(), outdated: Vec::new() }
    }

    fn add(&mut self, sample: Sample) {
        if !self.ids.contains(&sample.id) && self.seen.is_new(&unheaded(&sample)) {
            self.ids.insert(sample.id.clone());
            self.new.push(sample);
        }
    }
}

/// What is compared with other samples: a heading with a number makes no new text.
fn unheaded(sample: &Sample) -> String {
    own(sample).map_or_else(|| sample.body.whole(), |(_, text)| text.to_owned())
}

async fn folder_of(
    rooms: &Rooms,
    folder: &Path,
    known: &[Sample],
    fresh: &mut Fresh,
    collected: &mut Collected,
) -> Result<(), NightError> {
    let mut by_file: HashMap<&str, Vec<&Sample>> = HashMap::new();
    for sample in known.iter().filter(|sample| sample.lineage.parent.is_none()) {
        by_file.entry(sample.lineage.place.as_str()).or_default().push(sample);
    }
    let (below, mut after) = ([PathBuf::from(folder)], String::new());
    loop {
        let files = rooms.index.files("", &after, &below, FILES).await?;
        let Some(last) = files.last() else { return Ok(()) };
        after.clone_from(&last.path);
        for file in &files {
            let before = by_file.get(file.path.as_str()).map(Vec::as_slice).unwrap_or_default();
            // A file that cannot be read now is looked at again in the next cycle.
            let Ok(text) = whole(rooms, file).await else { continue };
            if collected.secrets.len() < SECRETS {
                collected.secrets.extend(with_text(&text.text));
            }
            if before.iter().any(|sample| sample.lineage.version == text.hash) {
                continue;
            }
            let lineage = Lineage {
                source: "folders".into(),
                place: file.path.clone(),
                version: text.hash.clone(),
                parent: None,
            };
            let now = samples::of_text(&lineage, &text.title, &text.text, file.modified);
            let stays: BTreeSet<&str> = now.iter().map(|sample| sample.id.as_str()).collect();
            let gone = before.iter().filter(|sample| !stays.contains(sample.id.as_str()));
            fresh.outdated.extend(gone.map(|sample| sample.id.clone()));
            now.into_iter().for_each(|sample| fresh.add(sample));
        }
    }
}

/// Secrets with their text, which only a look at the model needs.
fn with_text(text: &str) -> Vec<(Secret, String)> {
    let whole =
        crate::scrub::find(text).into_iter().filter_map(|found| text.get(found.range)).map(str::to_owned);
    samples::secrets(text).into_iter().zip(whole).collect()
}

async fn whole(rooms: &Rooms, file: &IndexedFile) -> Result<FileText, NightError> {
    let path = Path::new(&file.path);
    let mut all = rooms.index.text(path, 0, 0).await?;
    while all.end < all.total.min(LONGEST) {
        let next = rooms.index.text(path, all.end, 0).await?;
        if next.end <= all.end || next.hash != all.hash {
            break;
        }
        all.text.push_str(&next.text);
        all.end = next.end;
    }
    Ok(all)
}

/// What the owner said: approved and corrected answers, and what is to be remembered.
async fn said(rooms: &Rooms, settings: &LearnConfig, fresh: &mut Fresh) -> Result<(), NightError> {
    for signal in rooms.store.signals().await? {
        let lineage = |source: &str| Lineage {
            source: source.into(),
            place: signal.session.clone(),
            version: signal.turn.to_string(),
            parent: None,
        };
        let made = match (signal.kind.as_str(), &signal.text) {
            ("good", _) if settings.allows("conversations") => samples::of_exchange(
                &lineage("conversations"),
                signal.at,
                &signal.question,
                &plain(&signal.answer),
                None,
            ),
            ("edit", Some(text)) if settings.allows("corrections") => {
                let rejected = plain(&signal.answer);
                samples::of_exchange(
                    &lineage("corrections"),
                    signal.at,
                    &signal.question,
                    text,
                    Some(&rejected),
                )
            }
            _ => None,
        };
        made.into_iter().for_each(|sample| fresh.add(sample));
    }
    if settings.allows("corrections") {
        for (number, text, at) in rooms.store.remembered().await? {
            let lineage = Lineage {
                source: "corrections".into(),
                place: "remembered".into(),
                version: number.to_string(),
                parent: None,
            };
            samples::of_text(&lineage, "", &text, at).into_iter().for_each(|sample| fresh.add(sample));
        }
    }
    Ok(())
}

/// An answer without its citation marks: without passages they would point nowhere.
pub(super) fn plain(answer: &str) -> String {
    let mut out = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some(at) = rest.find('[') {
        let (before, mark) = rest.split_at(at);
        let digits = mark[1..].bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(before);
        if digits > 0 && mark[1 + digits..].starts_with(']') {
            rest = mark[digits + 2..].trim_start_matches(' ');
        } else {
            out.push('[');
            rest = &mark[1..];
        }
    }
    out.push_str(rest);
    out.trim().to_owned()
}

/// Whether a sample has all of its questions: those are made once.
pub(super) fn asked_already(known: &[Sample]) -> BTreeSet<&str> {
    known.iter().filter_map(|sample| sample.lineage.parent.as_deref()).collect()
}

/// The owner's own words in a sample, with their heading.
pub(super) fn own(sample: &Sample) -> Option<(&str, &str)> {
    match &sample.body {
        Body::Own { heading, text } => Some((heading, text)),
        Body::Answer { .. } | Body::Distilled { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citation_marks_are_taken_out_and_nothing_else() {
        assert_eq!(plain("[2] It stands in the cupboard. [13]"), "It stands in the cupboard.");
        assert_eq!(plain("a [b] c [] [1x] [12"), "a [b] c [] [1x] [12");
        assert_eq!(plain("The tin [1] is red."), "The tin is red.");
    }
}
