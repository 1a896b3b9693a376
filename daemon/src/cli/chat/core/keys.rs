//! What each key does, by what has the focus.

use super::{Editor, Effect, Focus, Message, Overlay, Part, Scroll, State};
use crate::protocol::learn::SignalKind;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

impl State {
    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let armed = std::mem::take(&mut self.armed);
        self.message = None;
        if let Some(effects) = self.anywhere(key, armed) {
            return effects;
        }
        if self.overlay.is_some() {
            return self.overlay_key(key);
        }
        match self.focus {
            Focus::Input => self.input_key(key),
            Focus::Part(part) => self.part_key(key, part),
            Focus::Sessions => self.sessions_key(key),
            Focus::Approval => self.approval_key(key),
        }
    }

    /// Keys that mean the same everywhere.
    fn anywhere(&mut self, key: KeyEvent, armed: bool) -> Option<Vec<Effect>> {
        let page = (self.drawn.height.max(3) - 2) as i32;
        match (key.code, control(key)) {
            (KeyCode::Char('c'), true) => Some(self.interrupt(armed)),
            (KeyCode::Char('d'), true) if self.overlay.is_some() || self.input.is_empty() => {
                Some(if self.overlay.take().is_some() { Vec::new() } else { vec![Effect::Leave] })
            }
            (KeyCode::Char('z'), true) => Some(vec![Effect::Suspend]),
            (KeyCode::Char('l'), true) => Some(vec![Effect::Redraw]),
            (KeyCode::PageUp, _) if self.focus != Focus::Approval => Some(self.scroll(-page)),
            (KeyCode::PageDown, _) if self.focus != Focus::Approval => Some(self.scroll(page)),
            _ => None,
        }
    }

    fn scroll(&mut self, rows: i32) -> Vec<Effect> {
        self.scroll_by(rows);
        Vec::new()
    }

    /// Ctrl-C: the nearest thing ends; with nothing left to end, the second one leaves.
    fn interrupt(&mut self, armed: bool) -> Vec<Effect> {
        if armed {
            return vec![Effect::Leave];
        }
        if self.overlay.take().is_some() {
            return Vec::new();
        }
        self.armed = true;
        if let Some(entry) = self.answering() {
            self.tell("Stopped. ^R asks it again, ^C leaves.");
            return self.stop(entry);
        }
        if self.correcting.is_some() {
            self.stop_correcting();
            self.tell("Nothing was changed. ^C again leaves.");
        } else if !self.input.is_empty() {
            let draft = self.input.take();
            self.past.keep(draft);
            self.tell("Put aside: Up brings it back. ^C again leaves.");
        } else {
            self.focus = Focus::Input;
            self.tell("^C again leaves.");
        }
        Vec::new()
    }

    fn overlay_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        match &mut self.overlay {
            Some(Overlay::Consent(form)) => {
                if key.code == KeyCode::Esc {
                    self.overlay = None;
                } else if let Some(answers) = form.key(key) {
                    self.overlay = None;
                    return vec![Effect::Consent(answers)];
                }
            }
            Some(Overlay::Forget) => {
                self.overlay = None;
                match (key.code, self.session.clone()) {
                    (KeyCode::Char('y'), Some(session)) => return vec![Effect::Forget(session)],
                    _ => self.tell("Nothing was forgotten."),
                }
            }
            Some(Overlay::Help) | None => self.overlay = None,
        }
        Vec::new()
    }

    fn input_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let width = self.drawn.input;
        let (alt, shift) =
            (key.modifiers.contains(KeyModifiers::ALT), key.modifiers.contains(KeyModifiers::SHIFT));
        let input = &mut self.input;
        match (key.code, control(key), alt) {
            (KeyCode::Enter, false, false) if !shift => return self.submit(),
            (KeyCode::Enter, _, _) | (KeyCode::Char('j'), true, _) => input.insert('\n'),
            (KeyCode::Char('?'), false, false) if input.is_empty() => self.overlay = Some(Overlay::Help),
            (KeyCode::F(1), ..) => self.overlay = Some(Overlay::Help),
            (KeyCode::Char('o'), true, _) | (KeyCode::F(2), ..) => self.enter_sessions(),
            (KeyCode::Char('r'), true, _) => return self.again(),
            (KeyCode::Char('p'), true, _) => self.back(),
            (KeyCode::Char('n'), true, _) => self.forth(),
            (KeyCode::Up, ..) => {
                if !input.up(width) {
                    self.back();
                }
            }
            (KeyCode::Down, ..) => {
                if !input.down(width) {
                    self.forth();
                }
            }
            (KeyCode::Tab, ..) if !self.approvals.is_empty() => self.focus = Focus::Approval,
            (KeyCode::Tab | KeyCode::BackTab, ..) => self.enter_parts(),
            (KeyCode::Esc, ..) => self.escape(),
            (KeyCode::Char(digit @ '1'..='9'), false, true) => return self.open_numbered(digit),
            _ => edit(input, key),
        }
        Vec::new()
    }

    fn escape(&mut self) {
        if self.correcting.is_some() {
            self.stop_correcting();
            self.tell("Nothing was changed.");
        }
        self.scroll = Scroll::Follow;
    }

    fn back(&mut self) {
        if let Some(entry) = self.past.back(&self.input) {
            self.input = entry;
        }
    }

    fn forth(&mut self) {
        if let Some(entry) = self.past.forth() {
            self.input = entry;
        }
    }

    fn enter_parts(&mut self) {
        match self.parts().last() {
            Some(&part) => self.point(part),
            None => self.tell("There is nothing to point at yet: ask something first."),
        }
    }

    fn point(&mut self, part: Part) {
        (self.focus, self.reveal) = (Focus::Part(part), true);
    }

    fn part_key(&mut self, key: KeyEvent, part: Part) -> Vec<Effect> {
        let parts = self.parts();
        let at = parts.iter().position(|&other| other == part).unwrap_or(0);
        let entry =
            Some(part.entry()).filter(|&entry| self.turn(entry).is_some_and(|turn| turn.number.is_some()));
        match key.code {
            KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab => {
                parts.get(at.saturating_sub(1)).into_iter().for_each(|&part| self.point(part));
            }
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => match parts.get(at + 1) {
                Some(&part) => self.point(part),
                None => self.focus_input(),
            },
            KeyCode::Esc => self.focus_input(),
            KeyCode::Enter | KeyCode::Char(' ') => return self.act_on(part),
            KeyCode::Char('g' | '+') => return self.judge(entry, SignalKind::Good, None),
            KeyCode::Char('b' | '-') => return self.judge(entry, SignalKind::Bad, None),
            KeyCode::Char('e') => return self.begin_correcting(entry),
            KeyCode::Char('r') if control(key) => return self.again(),
            KeyCode::Char('o') if control(key) => self.enter_sessions(),
            KeyCode::Char('?') => self.overlay = Some(Overlay::Help),
            _ => {}
        }
        Vec::new()
    }

    fn focus_input(&mut self) {
        (self.focus, self.scroll) = (Focus::Input, Scroll::Follow);
    }

    fn act_on(&mut self, part: Part) -> Vec<Effect> {
        match part {
            Part::Tool(entry, at) => {
                if let Some(tool) = self.turn_mut(entry).and_then(|turn| turn.tools.get_mut(at)) {
                    tool.open = !tool.open;
                }
                self.reveal = true;
                Vec::new()
            }
            Part::Citation(entry, at) => self.open(entry, at),
            Part::Answer(_) => {
                let text = "g that was right, b that was not, e say it as it should have been.".into();
                self.message = Some(Message { text, trouble: false });
                Vec::new()
            }
        }
    }

    fn open(&self, entry: u64, at: usize) -> Vec<Effect> {
        let citation = self.turn(entry).and_then(|turn| turn.citations.get(at));
        citation
            .map(|citation| Effect::Open { path: citation.path.clone(), line: citation.line })
            .into_iter()
            .collect()
    }

    /// Opens the citation with this number, of the last answer that has one.
    fn open_numbered(&mut self, digit: char) -> Vec<Effect> {
        let n = digit.to_digit(10).unwrap_or(0);
        let found = self.turns().find_map(|(id, turn)| {
            turn.citations.iter().position(|citation| citation.n == n).map(|at| (id, at))
        });
        match found {
            Some((entry, at)) => self.open(entry, at),
            None => {
                self.tell(format!("No answer here cites a [{n}]."));
                Vec::new()
            }
        }
    }

    fn enter_sessions(&mut self) {
        self.sessions.shown = Some(true);
        self.focus = Focus::Sessions;
        let at = self.sessions.list.iter().position(|session| self.session.as_ref() == Some(&session.id));
        self.sessions.at = at.map_or(0, |at| at + 1);
    }

    /// Back to the input. On a narrow screen the list makes room.
    pub(super) fn leave_sessions(&mut self) {
        if self.size.0 < super::WIDE {
            self.sessions.shown = None;
        }
        self.focus = Focus::Input;
    }

    fn sessions_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let last = self.sessions.list.len();
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.sessions.at = self.sessions.at.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.sessions.at = (self.sessions.at + 1).min(last),
            KeyCode::Home => self.sessions.at = 0,
            KeyCode::End => self.sessions.at = last,
            KeyCode::Enter => return self.open_chosen(),
            KeyCode::Char('n') => {
                self.sessions.at = 0;
                return self.open_chosen();
            }
            KeyCode::F(2) => self.hide_sessions(),
            KeyCode::Char('o') if control(key) => self.hide_sessions(),
            KeyCode::Esc | KeyCode::Tab => self.leave_sessions(),
            KeyCode::Char('?') => self.overlay = Some(Overlay::Help),
            _ => {}
        }
        Vec::new()
    }

    fn hide_sessions(&mut self) {
        self.sessions.shown = Some(false);
        self.focus = Focus::Input;
    }
}

pub(super) fn control(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL)
}

/// The keys of a line editor, as people know them from their shell.
pub(super) fn edit(input: &mut Editor, key: KeyEvent) {
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    match (key.code, control(key), alt) {
        (KeyCode::Char('a'), true, _) | (KeyCode::Home, ..) => input.home(),
        (KeyCode::Char('e'), true, _) | (KeyCode::End, ..) => input.end(),
        (KeyCode::Char('b'), false, true) | (KeyCode::Left, true, _) | (KeyCode::Left, _, true) => {
            input.word_left();
        }
        (KeyCode::Char('f'), false, true) | (KeyCode::Right, true, _) | (KeyCode::Right, _, true) => {
            input.word_right();
        }
        (KeyCode::Char('b'), true, _) | (KeyCode::Left, ..) => input.left(),
        (KeyCode::Char('f'), true, _) | (KeyCode::Right, ..) => input.right(),
        (KeyCode::Char('w'), true, _) | (KeyCode::Backspace, _, true) => input.delete_word(),
        (KeyCode::Char('k'), true, _) => input.delete_to_end(),
        (KeyCode::Char('u'), true, _) => input.delete_to_start(),
        (KeyCode::Char('h'), true, _) | (KeyCode::Backspace, ..) => input.backspace(),
        (KeyCode::Char('d'), true, _) | (KeyCode::Delete, ..) => input.delete(),
        (KeyCode::Char(letter), false, false) => input.insert(letter),
        _ => {}
    }
}
