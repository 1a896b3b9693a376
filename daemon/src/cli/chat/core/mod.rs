//! The conversation on the screen as data: what is known, what happens, and what is to be done about it. Pure: an event
//! goes in, the state changes, effects come out. It reads no clock, writes nowhere and talks to nobody.

mod act;
pub mod consent;
mod editor;
mod keys;
mod owner;
pub mod turn;

#[cfg(test)]
pub mod tests;

use super::Begin;
use super::consent::Answers;
use crate::protocol::approvals::{Approval, DecideRequest, OwnerEvent};
use crate::protocol::http::{AskEvent, SessionDetail, SessionSummary};
use crate::protocol::learn::{SignalKind, SignalRequest};
use consent::Form;
use crossterm::event::KeyEvent;
use editor::Past;
use std::collections::BTreeSet;
use turn::{Entry, Kind, Phase, Turn};

pub use editor::Editor;

/// From this many columns on, the conversations are beside the one that is open.
pub const WIDE: u16 = 120;

/// All that is known.
#[derive(Debug, Default)]
pub struct State {
    /// Columns and rows of the screen.
    pub size: (u16, u16),
    /// Seconds since 1970.
    pub now: i64,
    /// The same in milliseconds, for what turns.
    pub millis: i64,
    /// The owner's home folder; paths below it are shown with `~`.
    pub home: Option<String>,
    /// Where the daemon keeps its data, for the owner to read.
    pub data: String,
    pub link: Link,
    pub session: Option<String>,
    pub entries: Vec<Entry>,
    pub input: Editor,
    pub(super) past: Past,
    /// The answer (by its entry) that is being put right in the input, and what was being written before.
    pub correcting: Option<(u64, Editor)>,
    pub focus: Focus,
    pub overlay: Option<Overlay>,
    pub sessions: Sessions,
    /// What waits for the owner's yes, the first one shown.
    pub approvals: Vec<Approval>,
    /// Rows that are scrolled over of what is shown of it.
    pub approval_top: u16,
    /// Notices that were shown.
    pub(super) told: BTreeSet<i64>,
    pub message: Option<Message>,
    pub scroll: Scroll,
    /// What is pointed at is to be on the screen.
    pub reveal: bool,
    pub drawn: Drawn,
    /// When the question that is being answered was asked.
    pub asked_at: i64,
    /// What is in the input came with the command, and is asked once its conversation is open.
    pub(super) waiting: bool,
    /// The next Ctrl-C leaves.
    pub(super) armed: bool,
    pub(super) last_id: u64,
}

/// Whether the daemon is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    Unknown,
    Up(About),
    /// It went away, for this reason.
    Down(String),
}

/// Who answers, from how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    pub model: String,
    pub adapter: Option<String>,
    pub documents: u64,
}

/// What keys go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Focus {
    #[default]
    Input,
    /// A part of the conversation.
    Part(Part),
    Sessions,
    Approval,
}

/// What can be pointed at in the conversation, by its entry and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Tool(u64, usize),
    Citation(u64, usize),
    Answer(u64),
}

impl Part {
    pub fn entry(self) -> u64 {
        let (Part::Tool(id, _) | Part::Citation(id, _) | Part::Answer(id)) = self;
        id
    }
}

/// What lies over the conversation and takes all keys.
#[derive(Debug)]
pub enum Overlay {
    Help,
    /// Whether the conversation is to be forgotten for good.
    Forget,
    Consent(Form),
}

/// Conversations to go on with.
#[derive(Debug, Default)]
pub struct Sessions {
    pub list: Vec<SessionSummary>,
    /// 0 is a new one; the list follows.
    pub at: usize,
    /// As the owner wants it; by the width of the screen otherwise.
    shown: Option<bool>,
}

/// A short word below the input, gone with the next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub text: String,
    pub trouble: bool,
}

/// What of the conversation is on the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scroll {
    /// Its end, also when it grows.
    #[default]
    Follow,
    /// From this row on.
    From(usize),
}

/// What the last drawing found out: rows of the whole conversation, of the place for it, and the first one shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drawn {
    pub rows: usize,
    pub height: usize,
    pub top: usize,
    /// Columns of the input.
    pub input: usize,
    /// Rows of what waits for a yes that are not on the screen.
    pub approval_more: u16,
}

/// What happens.
#[derive(Debug)]
pub enum Event {
    Begin(Begin),
    Key(KeyEvent),
    Paste(String),
    /// Rows, down is positive.
    Wheel(i32),
    Resized(u16, u16),
    /// The time, in milliseconds since 1970.
    Tick(i64),
    Drawn(Drawn),
    Link(Link),
    Owner(OwnerEvent),
    Answer(u64, AskEvent),
    /// The question was not taken, or its answer broke off with a word.
    Refused(u64, String),
    /// The daemon went away in the middle of the answer.
    Lost(u64),
    Listed(Vec<SessionSummary>),
    Read(SessionDetail),
    Results(SessionDetail),
    /// What was said of an answer was kept, with this note.
    Judged(u64, SignalKind, Option<String>, String),
    Forgotten(String),
    ConsentDue,
    /// A longer word, to stay.
    Noted(String),
    Told(Message),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Ask {
        entry: u64,
        question: String,
        session: Option<String>,
    },
    /// The answer under way is no longer wanted.
    Stop,
    Decide {
        id: String,
        request: DecideRequest,
    },
    Judge(u64, SignalRequest),
    Remember(String),
    Forget(String),
    List,
    Read(String),
    Results(String),
    /// Shows the owner a place in a file.
    Open {
        path: String,
        line: u32,
    },
    Consent(Answers),
    Redraw,
    Suspend,
    Leave,
}

impl State {
    /// Takes in what happened; gives what is to be done.
    pub fn update(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Begin(begin) => return self.begin(begin),
            Event::Key(key) => {
                self.waiting = false;
                return self.key(key);
            }
            Event::Paste(text) => self.paste(&text),
            Event::Wheel(rows) => self.scroll_by(rows),
            Event::Resized(width, height) => {
                self.size = (width, height);
                if self.focus == Focus::Sessions && !self.sessions_shown() {
                    self.focus = Focus::Input;
                }
            }
            Event::Tick(millis) => (self.now, self.millis) = (millis / 1000, millis),
            Event::Drawn(drawn) => self.drawn(drawn),
            Event::Link(link) => return self.linked(link),
            Event::Owner(event) => self.owner(event),
            Event::Answer(entry, event) => return self.answer(entry, event),
            Event::Refused(entry, why) => self.ended(entry, Phase::Failed(why)),
            Event::Lost(entry) => self.ended(entry, Phase::Lost),
            Event::Listed(list) => self.listed(list),
            Event::Read(detail) => return self.read(detail),
            Event::Results(detail) => self.results(detail),
            Event::Judged(entry, kind, text, note) => {
                if let Some(turn) = self.turn_mut(entry) {
                    turn.judge(kind, text);
                }
                self.tell(note);
            }
            Event::Forgotten(proof) => {
                self.new_conversation();
                self.note(proof);
                return vec![Effect::List];
            }
            Event::ConsentDue => self.overlay = Some(Overlay::Consent(Form::default())),
            Event::Noted(text) => self.note(text),
            Event::Told(message) => self.message = Some(message),
        }
        Vec::new()
    }

    pub fn turn(&self, entry: u64) -> Option<&Turn> {
        self.entries.iter().rev().find(|found| found.id == entry).and_then(|entry| match &entry.kind {
            Kind::Turn(turn) => Some(&**turn),
            Kind::Note(_) => None,
        })
    }

    fn turn_mut(&mut self, entry: u64) -> Option<&mut Turn> {
        let found = self.entries.iter_mut().rev().find(|found| found.id == entry)?;
        found.revision += 1;
        match &mut found.kind {
            Kind::Turn(turn) => Some(turn),
            Kind::Note(_) => None,
        }
    }

    /// The turns with their entries, the last one first.
    fn turns(&self) -> impl Iterator<Item = (u64, &Turn)> {
        self.entries.iter().rev().filter_map(|entry| match &entry.kind {
            Kind::Turn(turn) => Some((entry.id, &**turn)),
            Kind::Note(_) => None,
        })
    }

    /// The turn that is being answered.
    pub fn answering(&self) -> Option<u64> {
        self.turns().find(|(_, turn)| turn.phase == Phase::Answering).map(|(id, _)| id)
    }

    fn push(&mut self, kind: Kind) -> u64 {
        self.last_id += 1;
        self.entries.push(Entry { id: self.last_id, revision: 0, kind });
        self.last_id
    }

    fn note(&mut self, text: String) {
        self.push(Kind::Note(text));
    }

    fn tell(&mut self, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), trouble: false });
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), trouble: true });
    }

    /// Whether the conversations are on the screen.
    pub fn sessions_shown(&self) -> bool {
        self.sessions.shown.unwrap_or(self.size.0 >= WIDE)
    }

    fn drawn(&mut self, drawn: Drawn) {
        self.drawn = drawn;
        self.reveal = false;
        self.approval_top = self.approval_top.min(drawn.approval_more);
        let end = drawn.rows.saturating_sub(drawn.height);
        self.scroll = if drawn.top >= end { Scroll::Follow } else { Scroll::From(drawn.top) };
    }

    fn scroll_by(&mut self, rows: i32) {
        let end = self.drawn.rows.saturating_sub(self.drawn.height);
        let from = match self.scroll {
            Scroll::Follow => end,
            Scroll::From(row) => row.min(end),
        };
        let row = from.saturating_add_signed(rows as isize).min(end);
        self.scroll = if row == end { Scroll::Follow } else { Scroll::From(row) };
    }

    /// Everything that can be pointed at, from the top.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for entry in &self.entries {
            let (Kind::Turn(turn), id) = (&entry.kind, entry.id) else { continue };
            parts.extend((0..turn.tools.len()).map(|at| Part::Tool(id, at)));
            parts.extend((0..turn.citations.len()).map(|at| Part::Citation(id, at)));
            if turn.phase == Phase::Done {
                parts.push(Part::Answer(id));
            }
        }
        parts
    }
}
