//! The first question of all as a form: what may be learned from. Every Enter is a no; leaving in the middle says nothing.

use super::Editor;
use super::keys::edit;
use crate::cli::chat::consent::{Answers, folder_named};
use crossterm::event::{KeyCode, KeyEvent};

/// How far the owner is.
#[derive(Debug, Default)]
pub struct Form {
    answers: Answers,
    /// Which question: 0 and 1 are the sources, 2 the folder.
    pub step: usize,
    pub folder: Editor,
}

/// The sources that are asked for by name.
const SOURCES: [&str; 2] = ["conversations", "corrections"];

impl Form {
    /// What was said of a source; `None`: not yet.
    pub fn said(&self, source: usize) -> Option<bool> {
        let named = SOURCES.get(source)?;
        (source < self.step).then(|| self.answers.sources.iter().any(|said| said == named))
    }

    /// Gives the answers after the last one.
    pub fn key(&mut self, key: KeyEvent) -> Option<Answers> {
        match (SOURCES.get(self.step), key.code) {
            (Some(source), KeyCode::Char('y' | 'Y')) => {
                self.answers.sources.push((*source).into());
                self.step += 1;
            }
            (Some(_), KeyCode::Enter | KeyCode::Char('n' | 'N')) => self.step += 1,
            (Some(_), _) => {}
            (None, KeyCode::Enter) => {
                self.answers.folder = folder_named(&self.folder.text());
                return Some(std::mem::take(&mut self.answers));
            }
            (None, _) => edit(&mut self.folder, key),
        }
        None
    }

    /// A path may be pasted; a yes may not.
    pub fn paste(&mut self, text: &str) {
        if self.step >= SOURCES.len() {
            self.folder.paste(text.lines().next().unwrap_or_default());
        }
    }
}
