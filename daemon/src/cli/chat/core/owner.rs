//! What waits for the owner's yes. Nothing that is typed decides anything before the owner has turned to the request: it
//! takes a key of its own to get there.

use super::{Effect, Focus, State};
use crate::protocol::approvals::{Approval, DecideRequest, NoticeEntry, OwnerEvent};
use crate::protocol::http::AskEvent;
use crossterm::event::{KeyCode, KeyEvent};

impl State {
    pub(super) fn owner(&mut self, event: OwnerEvent) {
        match event {
            OwnerEvent::Approval(approval) => self.wants(*approval),
            OwnerEvent::ApprovalEnded { id } => self.no_longer(&id),
            OwnerEvent::Notice(notice) => self.notice(&notice),
            // Shown with the call that it belongs to.
            OwnerEvent::Progress(_) => {}
        }
    }

    /// The same, heard with an answer.
    pub(super) fn owner_said(&mut self, event: AskEvent) {
        match event {
            AskEvent::Approval(approval) => self.wants(*approval),
            AskEvent::ApprovalEnded { id } => self.no_longer(&id),
            AskEvent::Notice(notice) => self.notice(&notice),
            _ => {}
        }
    }

    fn wants(&mut self, approval: Approval) {
        if self.approvals.iter().all(|known| known.id != approval.id) {
            self.approvals.push(approval);
        }
    }

    fn no_longer(&mut self, id: &str) {
        let first = self.approvals.first().is_some_and(|approval| approval.id == id);
        self.approvals.retain(|approval| approval.id != id);
        if first {
            self.leave_approval();
        }
    }

    fn notice(&mut self, notice: &NoticeEntry) {
        if self.told.insert(notice.id) {
            self.note(format!("{}: {}. {}", notice.plugin, notice.title, notice.body));
        }
    }

    /// The next request is read from its beginning, and answered after the owner has turned to it.
    pub(super) fn leave_approval(&mut self) {
        self.approval_top = 0;
        if self.focus == Focus::Approval {
            self.focus = Focus::Input;
        }
    }

    pub(super) fn approval_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab => self.focus = Focus::Input,
            KeyCode::Up => self.approval_top = self.approval_top.saturating_sub(1),
            KeyCode::Down => self.approval_top = self.approval_top.saturating_add(1),
            KeyCode::PageUp => self.approval_top = self.approval_top.saturating_sub(5),
            KeyCode::PageDown => self.approval_top = self.approval_top.saturating_add(5),
            KeyCode::Char(letter) => return self.decide(letter),
            _ => {}
        }
        Vec::new()
    }

    fn decide(&mut self, letter: char) -> Vec<Effect> {
        let Some(approval) = self.approvals.first() else { return Vec::new() };
        let Some(request) = decided(approval, letter) else { return Vec::new() };
        let id = approval.id.clone();
        self.no_longer(&id);
        let said = match &request {
            DecideRequest { allow: false, .. } => "Denied.",
            DecideRequest { always: true, .. } => "Allowed, and from now on without asking.",
            _ => "Allowed, this once.",
        };
        self.tell(said);
        vec![Effect::Decide { id, request }]
    }
}

/// What a key says to a request; `None` if it says nothing that was asked for.
fn decided(approval: &Approval, letter: char) -> Option<DecideRequest> {
    let yes = |always, choice| Some(DecideRequest { allow: true, always, choice });
    match letter {
        'n' => Some(DecideRequest::default()),
        'y' if approval.options.is_empty() => yes(false, None),
        'a' if approval.always && approval.options.is_empty() => yes(true, None),
        digit => {
            let choice = digit.to_digit(10)?.checked_sub(1)?;
            if (choice as usize) < approval.options.len() { yes(false, Some(choice)) } else { None }
        }
    }
}
