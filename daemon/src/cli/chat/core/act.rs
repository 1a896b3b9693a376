//! Asking, and what comes of it: questions, the words that begin with a slash, answers, conversations.

use super::turn::{Kind, Phase, Turn, stored};
use super::{Editor, Effect, Focus, Link, Overlay, Scroll, State};
use crate::cli::chat::Begin;
use crate::cli::chat::words::{self, Said};
use crate::cli::output::{bytes, one_line};
use crate::protocol::http::{AskEvent, AskRequest, LONGEST_BODY, SessionDetail, SessionSummary};
use crate::protocol::learn::{SignalKind, SignalRequest};

const UNDER_WAY: &str = "An answer is under way; Ctrl-C stops it.";
const NO_ANSWER: &str = "There is no answer yet to say that of: ask something first.";

impl State {
    pub(super) fn paste(&mut self, text: &str) {
        self.message = None;
        if let Some(Overlay::Consent(form)) = &mut self.overlay {
            return form.paste(text);
        }
        let all = self.input.bytes() + text.len();
        if all > LONGEST_BODY {
            let (all, most) = (bytes(all as u64), bytes(LONGEST_BODY as u64));
            return self.warn(format!("Not pasted: with it this would be {all}, and {most} is the most."));
        }
        self.focus = Focus::Input;
        self.input.paste(text);
    }

    pub(super) fn begin(&mut self, begin: Begin) -> Vec<Effect> {
        if let Some(question) = begin.question {
            self.input = Editor::of(&question);
            self.waiting = true;
        }
        match begin.session {
            Some(session) => vec![Effect::Read(session)],
            None => self.asked_first(),
        }
    }

    /// The question that came with the command, unless the owner touched it before.
    fn asked_first(&mut self) -> Vec<Effect> {
        if std::mem::take(&mut self.waiting) { self.submit() } else { Vec::new() }
    }

    /// Enter in the input.
    pub(super) fn submit(&mut self) -> Vec<Effect> {
        if let Some((entry, _)) = self.correcting {
            return self.correct(entry);
        }
        let text = self.input.text();
        match words::understood(&text) {
            Said::Nothing => Vec::new(),
            Said::Question(question) => self.question(question),
            Said::Unknown(line) => {
                let line = one_line(&line, 40);
                self.warn(format!(
                    "`{line}` is not understood; ? helps. A space before it makes it a question."
                ));
                Vec::new()
            }
            said => {
                let line = self.input.take();
                self.past.keep(line);
                self.obey(said)
            }
        }
    }

    fn question(&mut self, question: String) -> Vec<Effect> {
        if self.answering().is_some() {
            self.tell(UNDER_WAY);
            return Vec::new();
        }
        if let Err(why) = sendable(&question) {
            self.warn(why);
            return Vec::new();
        }
        let draft = self.input.take();
        self.past.keep(draft);
        let entry = self.push(Kind::Turn(Box::new(Turn::asked(question))));
        self.ask(entry)
    }

    fn ask(&mut self, entry: u64) -> Vec<Effect> {
        (self.scroll, self.asked_at) = (Scroll::Follow, self.now);
        let session = self.session.clone();
        let question = self.turn(entry).map(|turn| turn.question.clone()).unwrap_or_default();
        vec![Effect::Ask { entry, question, session }]
    }

    /// Asks the last question again whose answer did not come to its end.
    pub(super) fn again(&mut self) -> Vec<Effect> {
        if self.answering().is_some() {
            self.tell(UNDER_WAY);
            return Vec::new();
        }
        let last = self.turns().next().filter(|(_, turn)| turn.phase != Phase::Done).map(|(entry, _)| entry);
        match last {
            Some(entry) => self.restart(entry, false),
            None => {
                self.tell("The last question was answered.");
                Vec::new()
            }
        }
    }

    fn restart(&mut self, entry: u64, again: bool) -> Vec<Effect> {
        if let Some(turn) = self.turn_mut(entry) {
            *turn = Turn { again, ..Turn::asked(std::mem::take(&mut turn.question)) };
        }
        self.ask(entry)
    }

    pub(super) fn obey(&mut self, said: Said) -> Vec<Effect> {
        let last = self.last_answer();
        match said {
            Said::Good => self.judge(last, SignalKind::Good, None),
            Said::Bad => self.judge(last, SignalKind::Bad, None),
            Said::Edit(text) if text.is_empty() => self.begin_correcting(last),
            Said::Edit(text) => self.judge(last, SignalKind::Edit, Some(text)),
            Said::Remember(text) => vec![Effect::Remember(text)],
            Said::Forget if self.session.is_none() => {
                self.tell("Nothing was said yet that could be forgotten.");
                Vec::new()
            }
            Said::Forget => {
                self.overlay = Some(Overlay::Forget);
                Vec::new()
            }
            Said::Help => {
                self.overlay = Some(Overlay::Help);
                Vec::new()
            }
            Said::New => {
                self.begin_new();
                Vec::new()
            }
            Said::Quit => vec![Effect::Leave],
            Said::Nothing | Said::Question(_) | Said::Unknown(_) => Vec::new(),
        }
    }

    /// The answer that is on the screen last, if it is the last thing that was asked for.
    fn last_answer(&self) -> Option<u64> {
        self.turns().next().filter(|(_, turn)| turn.phase == Phase::Done).map(|(id, _)| id)
    }

    /// Says something of an answer.
    pub(super) fn judge(
        &mut self,
        entry: Option<u64>,
        kind: SignalKind,
        text: Option<String>,
    ) -> Vec<Effect> {
        let turn = entry.and_then(|entry| Some((entry, self.turn(entry)?.number)));
        let (Some((entry, turn)), Some(session)) = (turn, self.session.clone()) else {
            self.tell(NO_ANSWER);
            return Vec::new();
        };
        vec![Effect::Judge(entry, SignalRequest { session, turn, kind, text })]
    }

    /// Puts an answer into the input, to be said as it should have been.
    pub(super) fn begin_correcting(&mut self, entry: Option<u64>) -> Vec<Effect> {
        match entry.and_then(|entry| Some((entry, self.turn(entry)?.answer.clone()))) {
            Some((entry, answer)) => {
                let draft = std::mem::replace(&mut self.input, Editor::of(&answer));
                self.correcting = Some((entry, draft));
                self.focus = Focus::Input;
            }
            None => self.tell(NO_ANSWER),
        }
        Vec::new()
    }

    fn correct(&mut self, entry: u64) -> Vec<Effect> {
        let text = self.input.text().trim().to_owned();
        let same = self.turn(entry).is_some_and(|turn| turn.answer.trim() == text);
        if text.is_empty() || same {
            self.stop_correcting();
            self.tell("Nothing was changed.");
            return Vec::new();
        }
        if let Err(why) = sendable(&text) {
            self.warn(why);
            return Vec::new();
        }
        self.stop_correcting();
        self.judge(Some(entry), SignalKind::Edit, Some(text))
    }

    pub(super) fn stop_correcting(&mut self) {
        if let Some((_, draft)) = self.correcting.take() {
            self.input = draft;
        }
    }

    /// Takes in an event of the answer under way; one that was stopped is no longer heard.
    pub(super) fn answer(&mut self, entry: u64, event: AskEvent) -> Vec<Effect> {
        if self.answering() != Some(entry) {
            return Vec::new();
        }
        match event {
            AskEvent::Started { session, .. } => {
                self.session = Some(session);
                return Vec::new();
            }
            AskEvent::Approval(_) | AskEvent::ApprovalEnded { .. } | AskEvent::Notice(_) => {
                self.owner_said(event);
                return Vec::new();
            }
            AskEvent::Done(ref answer) => self.session = Some(answer.session.clone()),
            _ => {}
        }
        let number = self.turns().filter_map(|(_, turn)| turn.number).max().unwrap_or(0) + 1;
        let Some(turn) = self.turn_mut(entry) else { return Vec::new() };
        turn.hear(event);
        match turn.phase {
            Phase::Done => {
                turn.number = Some(number);
                let results = (!turn.tools.is_empty()).then(|| self.session.clone()).flatten();
                results.map(Effect::Results).into_iter().chain([Effect::List]).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn ended(&mut self, entry: u64, phase: Phase) {
        if self.answering() == Some(entry)
            && let Some(turn) = self.turn_mut(entry)
        {
            turn.phase = phase;
        }
    }

    /// Stops the answer under way.
    pub(super) fn stop(&mut self, entry: u64) -> Vec<Effect> {
        self.ended(entry, Phase::Stopped);
        vec![Effect::Stop]
    }

    /// The daemon came or went. A question that was lost with it is asked again, once, where asking twice does nothing
    /// twice: no tool had been called.
    pub(super) fn linked(&mut self, link: Link) -> Vec<Effect> {
        let before = std::mem::replace(&mut self.link, link);
        match (&before, &self.link) {
            (_, Link::Up(_)) if !matches!(before, Link::Up(_)) => {}
            (_, Link::Down(_)) => {
                self.approvals.clear();
                self.leave_approval();
                return Vec::new();
            }
            _ => return Vec::new(),
        }
        if matches!(before, Link::Down(_)) {
            self.tell("The daemon is back.");
        }
        let lost = self.turns().next().filter(|(_, turn)| turn.phase == Phase::Lost);
        let again = lost.filter(|(_, turn)| !turn.again && turn.tools.is_empty()).map(|(entry, _)| entry);
        let mut effects = again.map(|entry| self.restart(entry, true)).unwrap_or_default();
        effects.push(Effect::List);
        effects
    }

    pub(super) fn listed(&mut self, mut list: Vec<SessionSummary>) {
        list.retain(|session| session.turns > 0);
        // A question may be as long as a book, and is looked at with every drawing.
        for session in &mut list {
            session.first_question = one_line(&session.first_question, 200);
        }
        let chosen = self.sessions.at.checked_sub(1).and_then(|at| self.sessions.list.get(at));
        let chosen = chosen.map(|session| session.id.clone()).or_else(|| self.session.clone());
        let at = chosen.and_then(|id| list.iter().position(|session| session.id == id));
        self.sessions.at = at.map_or(0, |at| at + 1);
        self.sessions.list = list;
    }

    /// Shows a stored conversation, to be gone on with.
    pub(super) fn read(&mut self, detail: SessionDetail) -> Vec<Effect> {
        if self.answering().is_some() {
            return Vec::new();
        }
        self.new_conversation();
        self.session = Some(detail.id.clone());
        for turn in stored(detail) {
            self.past.keep(Editor::folded(&turn.question));
            self.push(Kind::Turn(Box::new(turn)));
        }
        self.asked_first()
    }

    pub(super) fn results(&mut self, detail: SessionDetail) {
        if self.session.as_ref() != Some(&detail.id) {
            return;
        }
        let turns = stored(detail);
        let Some((entry, number)) = self.turns().find_map(|(id, turn)| Some((id, turn.number?))) else {
            return;
        };
        let stored = turns.into_iter().find(|turn| turn.number == Some(number));
        if let (Some(turn), Some(stored)) = (self.turn_mut(entry), stored) {
            turn.results(stored);
        }
    }

    /// Opens what is chosen in the list of conversations.
    pub(super) fn open_chosen(&mut self) -> Vec<Effect> {
        let chosen = self.sessions.at.checked_sub(1).and_then(|at| self.sessions.list.get(at));
        let chosen = chosen.map(|session| session.id.clone());
        if self.answering().is_some() {
            self.tell(UNDER_WAY);
            return Vec::new();
        }
        self.leave_sessions();
        match chosen {
            Some(id) if self.session.as_ref() != Some(&id) => vec![Effect::Read(id)],
            Some(_) => Vec::new(),
            None => {
                self.begin_new();
                Vec::new()
            }
        }
    }

    fn begin_new(&mut self) {
        if self.answering().is_some() {
            return self.tell(UNDER_WAY);
        }
        self.new_conversation();
        self.tell("A new conversation.");
    }

    pub(super) fn new_conversation(&mut self) {
        self.stop_correcting();
        self.entries.clear();
        self.session = None;
        self.sessions.at = 0;
        (self.focus, self.scroll) = (Focus::Input, Scroll::Follow);
    }
}

/// What the daemon would refuse for its length is refused here, with the way out.
fn sendable(text: &str) -> Result<(), String> {
    let request =
        AskRequest { question: text.to_owned(), session: Some("0".repeat(64)), ..AskRequest::default() };
    let length = serde_json::to_vec(&request).map_or(usize::MAX, |bytes| bytes.len());
    if length <= LONGEST_BODY {
        return Ok(());
    }
    let (length, most) = (bytes(length as u64), bytes(LONGEST_BODY as u64));
    Err(format!(
        "Too long: this takes {length} to send, and {most} is the most. Make it shorter, or index it as a file."
    ))
}
