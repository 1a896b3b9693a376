//! The personal adapters, one after the other: each a folder with the adapter and a card that says what it came
//! from, what it learned from and how it was judged. One of them serves for each base model. Plain files, each
//! replaced as a whole, so that a kill at any moment leaves the generation that served serving. This room
//! trains and measures nothing.

mod card;

pub use card::{Card, State};

use crate::disk;
use crate::gate::Verdict;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const ADAPTER: &str = "adapter.gguf";
const CARD: &str = "card.json";
/// Which generation serves, by the base model's digest.
const SERVING: &str = "serving.json";
/// No card or list is longer than this many bytes.
const LONGEST: usize = 64 << 20;

/// Why a generation could not be kept, found or put in use.
#[derive(Debug, thiserror::Error)]
pub enum GenerationsError {
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is damaged: {why}", .path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("there is no generation {0}; `familiar learn history` lists them")]
    NotFound(u32),
    #[error("generation {0} was made on another model file than the one in use")]
    OtherBase(u32),
    #[error("generation {number} cannot serve: {why}")]
    Unfit { number: u32, why: &'static str },
}

/// All generations of all base models, in one folder.
#[derive(Debug)]
pub struct Generations {
    folder: PathBuf,
    cards: BTreeMap<u32, Card>,
    serving: BTreeMap<String, u32>,
}

impl Generations {
    /// Reads the folder, making it when there is none. What was being written when a process was killed is
    /// removed: it was never called done.
    ///
    /// # Errors
    /// A card or the list is damaged; nothing is guessed.
    pub fn open(folder: PathBuf) -> Result<Generations, GenerationsError> {
        disk::make_folder(&folder).map_err(|error| failed(&folder, error))?;
        let mut cards = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match name.parse::<u32>() {
                Ok(number) => drop(cards.insert(number, read_card(&path.join(CARD), number)?)),
                Err(_) if name.ends_with(disk::UNFINISHED) => sweep(&path),
                Err(_) => {}
            }
        }
        let mut serving: BTreeMap<String, u32> = read_json(&folder.join(SERVING))?.unwrap_or_default();
        // One that was removed by hand serves no more.
        serving.retain(|_, number| cards.contains_key(number));
        Ok(Generations { folder, cards, serving })
    }

    /// The generations of a base model, the oldest first.
    pub fn of<'a>(&'a self, base: &'a str) -> impl DoubleEndedIterator<Item = &'a Card> {
        self.cards.values().filter(move |card| card.base == base)
    }

    pub fn numbers(&self) -> Vec<u32> {
        self.cards.keys().copied().collect()
    }

    /// Whether a generation that is not retired saw one of these samples.
    pub fn any_sample(&self, saw: impl Fn(&str) -> bool) -> bool {
        self.cards.values().any(|card| card.samples.iter().any(|sample| saw(sample)))
    }

    pub fn any(&self) -> bool {
        !self.cards.is_empty()
    }

    pub fn get(&self, number: u32) -> Result<&Card, GenerationsError> {
        self.cards.get(&number).ok_or(GenerationsError::NotFound(number))
    }

    /// The one that serves on a base model.
    pub fn serving(&self, base: &str) -> Option<&Card> {
        self.serving.get(base).and_then(|number| self.cards.get(number))
    }

    pub fn adapter(&self, number: u32) -> PathBuf {
        self.place(number).join(ADAPTER)
    }

    /// Keeps an adapter with its card, whose number is the next free one. It does not serve by that. The file is
    /// moved, and must be on the same file system.
    pub fn keep(&mut self, adapter: &Path, card: Card) -> Result<u32, GenerationsError> {
        let number = self.cards.keys().next_back().map_or(1, |last| last + 1);
        let card = Card { number, ..card };
        let new = self.folder.join(format!("{number:04}.{}", disk::UNFINISHED));
        sweep(&new);
        disk::make_folder(&new).map_err(|error| failed(&new, error))?;
        fs::rename(adapter, new.join(ADAPTER)).map_err(|error| failed(adapter, error))?;
        write_json(&new.join(CARD), &card)?;
        let place = self.place(number);
        fs::rename(&new, &place)
            .and_then(|()| disk::sync(&self.folder))
            .map_err(|error| failed(&place, error))?;
        self.cards.insert(number, card);
        Ok(number)
    }

    /// Puts a generation in use on its base model, a new one or one from before.
    ///
    /// # Errors
    /// It was retired or rejected, or belongs to another base model.
    pub fn serve(&mut self, number: u32, base: &str) -> Result<(), GenerationsError> {
        let card = self.get(number)?;
        if card.base != base {
            return Err(GenerationsError::OtherBase(number));
        }
        if let Some(why) = card.unfit() {
            return Err(GenerationsError::Unfit { number, why });
        }
        self.point(base, Some(number))
    }

    /// Puts the base model in use as it came.
    pub fn serve_none(&mut self, base: &str) -> Result<(), GenerationsError> {
        self.point(base, None)
    }

    /// What a rollback leads to: the generation that the serving one came from, as long as that may serve.
    pub fn before(&self, base: &str) -> Option<u32> {
        let mut at = self.serving(base)?.parent;
        while let Some(number) = at {
            let card = self.cards.get(&number)?;
            if card.unfit().is_none() {
                return Some(number);
            }
            at = card.parent;
        }
        None
    }

    /// Destroys the adapter of a generation that was rejected; its card stays.
    pub fn discard(&mut self, number: u32) -> Result<(), GenerationsError> {
        self.get(number)?;
        destroy(&self.adapter(number))
    }

    /// Keeps a verdict that came after the generation was kept.
    pub fn judged(&mut self, number: u32, verdict: Verdict, state: State) -> Result<(), GenerationsError> {
        self.rewrite(number, |card| Card { verdict: Some(verdict), state, ..card })
    }

    /// Takes every generation out of use that saw one of these samples, and destroys its adapter; its card stays,
    /// without the samples. Gives their numbers and, for each base model that lost the serving one, what serves
    /// now: the last generation that saw none of them.
    pub fn retire(&mut self, saw: impl Fn(&str) -> bool) -> Result<Vec<u32>, GenerationsError> {
        let seen =
            |card: &Card| card.state != State::Retired && card.samples.iter().any(|sample| saw(sample));
        let numbers: Vec<u32> =
            self.cards.values().filter(|card| seen(card)).map(|card| card.number).collect();
        for &number in &numbers {
            let card = self.get(number)?.clone();
            if self.serving.get(&card.base) == Some(&number) {
                let clean = self.of(&card.base).rev().find(|c| c.unfit().is_none() && !seen(c));
                let clean = clean.map(|card| card.number);
                self.point(&card.base, clean)?;
            }
            // First out of use, then gone: a kill in between leaves a file that nothing names.
            self.rewrite(number, |card| Card { state: State::Retired, samples: Vec::new(), ..card })?;
            destroy(&self.adapter(number))?;
        }
        Ok(numbers)
    }

    /// Destroys the adapters of all but the newest `most` generations of a base model that could serve. The one
    /// that serves, and its way back, are among those kept.
    pub fn prune(&mut self, base: &str, most: usize) -> Result<(), GenerationsError> {
        let serving = self.serving(base).map(|card| card.number);
        let kept = [serving, self.before(base)];
        let fit: Vec<u32> = self.of(base).filter(|card| card.unfit().is_none()).map(|c| c.number).collect();
        let surplus = fit.len().saturating_sub(most.max(1));
        for &number in fit.iter().take(surplus).filter(|number| !kept.contains(&Some(**number))) {
            self.rewrite(number, |card| Card { state: State::Pruned, ..card })?;
            destroy(&self.adapter(number))?;
        }
        Ok(())
    }

    fn place(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:04}"))
    }

    fn point(&mut self, base: &str, number: Option<u32>) -> Result<(), GenerationsError> {
        let mut serving = self.serving.clone();
        match number {
            Some(number) => drop(serving.insert(base.to_owned(), number)),
            None => drop(serving.remove(base)),
        }
        write_json(&self.folder.join(SERVING), &serving)?;
        self.serving = serving;
        Ok(())
    }

    fn rewrite(&mut self, number: u32, change: impl FnOnce(Card) -> Card) -> Result<(), GenerationsError> {
        let card = change(self.get(number)?.clone());
        write_json(&self.place(number).join(CARD), &card)?;
        self.cards.insert(number, card);
        Ok(())
    }
}

fn read_card(file: &Path, number: u32) -> Result<Card, GenerationsError> {
    let damaged = |why: String| GenerationsError::Damaged { path: file.to_owned(), why };
    let card: Card = read_json(file)?.ok_or_else(|| damaged("it is missing".into()))?;
    if card.number != number {
        return Err(damaged(format!("it is the card of generation {}", card.number)));
    }
    Ok(card)
}

/// `None` when there is no such file.
fn read_json<T: serde::de::DeserializeOwned>(file: &Path) -> Result<Option<T>, GenerationsError> {
    let bytes = match disk::read(file, LONGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(file, error)),
    };
    let read = serde_json::from_slice(&bytes);
    read.map_err(|error| GenerationsError::Damaged { path: file.to_owned(), why: error.to_string() })
}

fn write_json(file: &Path, value: &impl serde::Serialize) -> Result<(), GenerationsError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| failed(file, io::Error::other(error)))?;
    disk::replace(file, &bytes).map_err(|error| failed(file, error))
}

fn destroy(file: &Path) -> Result<(), GenerationsError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(file, error)),
        _ => Ok(()),
    }
}

/// Removes what was never finished. Where that fails it stays, and is tried again at the next start.
fn sweep(path: &Path) {
    let _ = fs::remove_dir_all(path);
    let _ = fs::remove_file(path);
}

fn failed(path: &Path, error: io::Error) -> GenerationsError {
    GenerationsError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests;
