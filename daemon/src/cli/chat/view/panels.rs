//! What is around the conversation: the lines above and below, the input, the list of conversations, what waits for a yes.

use super::style::{Theme, clean};
use super::wrap::{self, cut};
use super::{put, row, rule};
use crate::cli::approvals::shown_at;
use crate::cli::chat::core::turn::Kind;
use crate::cli::chat::core::{Focus, Link, Part, Scroll, State};
use crate::cli::output::{Look, count, one_line};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

const PROMPT: &str = "› ";
const WAIT: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// What the conversation is about, and who answers.
pub fn header(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (status, style) = match &state.link {
        Link::Unknown => (String::new(), theme.dim()),
        Link::Up(about) => (about.model.clone(), theme.dim()),
        Link::Down(_) => ("the daemon is away".into(), theme.trouble()),
    };
    let status = clean(&one_line(&status, 60));
    let room = usize::from(area.width).saturating_sub(status.width() + 18);
    let title = cut(&clean(&one_line(&title(state), 200)), room);
    let mut left = vec![Span::styled(" familiar ", theme.heading())];
    if !title.is_empty() {
        left.push(Span::styled(format!("· {title} "), theme.plain()));
    }
    let right = if status.is_empty() { Line::default() } else { Line::styled(format!(" {status} "), style) };
    rule(buffer, area, &Line::from(left), &right, theme.dim());
}

fn title(state: &State) -> String {
    let first = state.entries.iter().find_map(|entry| match &entry.kind {
        Kind::Turn(turn) => Some(turn.question.chars().take(300).collect()),
        Kind::Note(_) => None,
    });
    first.unwrap_or_default()
}

/// The lowest line: what is going on, or what can be done.
pub fn footer(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut spans = vec![Span::raw(" ")];
    if state.answering().is_some() {
        let since = (state.now - state.asked_at).max(0);
        let turn = WAIT[(state.millis / 120).rem_euclid(WAIT.len() as i64) as usize];
        spans.push(Span::styled(format!("{turn} {since} s  "), theme.own()));
    }
    match &state.message {
        Some(message) => {
            let style = if message.trouble { theme.trouble() } else { theme.plain() };
            spans.push(Span::styled(clean(&one_line(&message.text, 400)), style));
        }
        None => {
            for (key, deed) in hints(state) {
                spans.push(Span::styled(key, theme.plain()));
                spans.push(Span::styled(format!(" {deed}  "), theme.dim()));
            }
        }
    }
    put(buffer, area, 0, &Line::from(spans));
    if let Scroll::From(_) = state.scroll {
        let more = " ↓ more ";
        let x = area.x + area.width.saturating_sub(more.width() as u16);
        buffer.set_string(x, area.y, more, theme.chosen());
    }
}

type Hint = (&'static str, &'static str);

fn hints(state: &State) -> Vec<Hint> {
    if let (Some(approval), true) = (state.approvals.first(), state.focus == Focus::Approval) {
        let mut hints: Vec<Hint> = match (approval.options.len(), approval.always) {
            (0, true) => vec![("y", "this once"), ("a", "always exactly this")],
            (0, false) => vec![("y", "yes")],
            _ => vec![("1-9", "choose")],
        };
        hints.extend([("n", "no"), ("↑↓", "read on"), ("Esc", "later")]);
        return hints;
    }
    if !state.approvals.is_empty() && state.focus == Focus::Input {
        return vec![("Tab", "answer what waits for your yes")];
    }
    match state.focus {
        Focus::Input if state.correcting.is_some() => {
            vec![("Enter", "keep it so"), ("Esc", "leave it as it was")]
        }
        Focus::Input if state.answering().is_some() => vec![("^C", "stop"), ("?", "help")],
        Focus::Input => vec![
            ("Enter", "ask"),
            ("^J", "new line"),
            ("Tab", "sources"),
            ("^O", "conversations"),
            ("?", "help"),
            ("^D", "leave"),
        ],
        Focus::Part(part) => {
            let mut hints = match part {
                Part::Tool(..) => vec![("Enter", "unfold")],
                Part::Citation(..) => vec![("Enter", "open")],
                Part::Answer(_) => vec![],
            };
            hints.extend([
                ("↑↓", "move"),
                ("g", "right"),
                ("b", "wrong"),
                ("e", "say it better"),
                ("Esc", "back"),
            ]);
            hints
        }
        Focus::Sessions => {
            vec![("Enter", "open"), ("n", "new"), ("↑↓", "move"), ("^O", "hide"), ("Esc", "back")]
        }
        Focus::Approval => vec![],
    }
}

/// Columns of the text in the input.
pub fn input_width(area: Rect) -> usize {
    usize::from(area.width).saturating_sub(2 + PROMPT.width()).max(1)
}

/// The input at the foot of an area; gives its height and where the cursor is.
pub fn input(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) -> (u16, Position) {
    let text = state.input.rows(input_width(area));
    let most = usize::from((area.height / 3).max(1));
    let height = text.rows.len().min(most);
    let top = (text.cursor.0 + 1).saturating_sub(height).min(text.rows.len() - height);
    let place = Rect { y: area.y + area.height - height as u16 - 1, height: height as u16 + 1, ..area };
    let label = match state.correcting {
        Some(_) => " as it should have been ",
        None => "",
    };
    let rows = text.rows.len();
    let more = if rows > height { format!(" {}/{rows} ", text.cursor.0 + 1) } else { String::new() };
    rule(buffer, place, &Line::styled(label, theme.own()), &Line::styled(more, theme.dim()), theme.dim());
    for (y, text) in text.rows[top..top + height].iter().enumerate() {
        let mark = if top + y == 0 { PROMPT } else { "  " };
        let text = match state.input.is_empty() && state.entries.is_empty() {
            true => Span::styled("Ask your files", theme.dim()),
            false => Span::raw(text.clone()),
        };
        put(
            buffer,
            place,
            y as u16 + 1,
            &Line::from(vec![Span::raw(" "), Span::styled(mark, theme.own()), text]),
        );
    }
    let x = place.x + 1 + PROMPT.width() as u16 + text.cursor.1 as u16;
    let y = place.y + 1 + (text.cursor.0 - top) as u16;
    (place.height, Position::new(x.min(area.right().saturating_sub(1)), y))
}

/// What waits for a yes, above the input; gives its height and how many of its rows are not seen.
pub fn approval(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) -> (u16, u16) {
    let Some(approval) = state.approvals.first() else { return (0, 0) };
    let text = shown_at(approval, state.now, Look { terminal: false, colour: false });
    let runs = [(clean(text.trim_end()), theme.plain())];
    let lines = wrap::exact(&runs, usize::from(area.width.saturating_sub(2)));
    // The conversation keeps a few rows.
    let height = (lines.len() as u16 + 1).min(area.height.saturating_sub(3).max(2)).min(area.height);
    if height == 0 {
        return (0, 0);
    }
    let place = Rect { y: area.y + area.height - height, height, ..area };
    let shown = height.saturating_sub(1);
    let more = (lines.len() as u16).saturating_sub(shown);
    let top = state.approval_top.min(more);
    let left = Line::styled(" waits for your yes ", theme.warning());
    let others = state.approvals.len() - 1;
    let mut right = String::new();
    if more > 0 {
        right = format!(" rows {}-{} of {} ", top + 1, top + shown, lines.len());
    }
    if others > 0 {
        right = format!("{right} and {others} more ");
    }
    rule(buffer, place, &left, &Line::styled(right, theme.warning()), theme.warning());
    for (y, line) in lines.iter().skip(top.into()).take(shown.into()).enumerate() {
        let inside = Rect { x: place.x + 1, width: place.width - 1, ..place };
        put(buffer, inside, y as u16 + 1, line);
    }
    if state.focus == Focus::Approval {
        buffer.set_style(row(place, 0), theme.chosen());
    }
    (height, more)
}

/// The conversations, the one used last first.
pub fn sessions(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(3), ..area };
    for y in 0..area.height {
        buffer.set_string(area.right() - 1, area.y + y, "│", theme.dim());
    }
    let width = usize::from(inside.width);
    let height = usize::from(area.height);
    let top = (state.sessions.at + 1).saturating_sub(height);
    let new = std::iter::once(("+ new conversation".to_owned(), String::new(), false));
    let listed = state.sessions.list.iter().map(|session| {
        let open = state.session.as_ref() == Some(&session.id);
        (clean(&one_line(&session.first_question, 200)), age(state.now - session.updated), open)
    });
    for (y, (at, (title, age, open))) in new.chain(listed).enumerate().skip(top).take(height).enumerate() {
        let room = width.saturating_sub(age.width() + 3);
        let title = cut(&title, room);
        let space = " ".repeat((room - title.width().min(room)) + 1);
        let mark = if open { "▪ " } else { "  " };
        let line = Line::from(vec![
            Span::styled(mark, theme.own()),
            Span::styled(title, if open { theme.bold() } else { theme.plain() }),
            Span::styled(format!("{space}{age}"), theme.dim()),
        ]);
        put(buffer, inside, y as u16, &line);
        if state.focus == Focus::Sessions && at == state.sessions.at {
            buffer.set_style(row(inside, y as u16), theme.chosen());
        }
    }
}

/// How long ago, in few letters.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => "now".into(),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// What stands where nothing was asked yet.
pub fn welcome(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let about = match &state.link {
        Link::Up(about) if about.documents == 0 => {
            "Nothing is indexed yet. In another terminal: familiar index add FOLDER".to_owned()
        }
        Link::Up(about) => {
            let documents = count(about.documents, "document is indexed", "documents are indexed");
            let model = one_line(&about.model, 40);
            let learned = about.adapter.as_ref().map(|name| format!(" with {}", one_line(name, 60)));
            format!("{documents}. {model}{} answers, on this machine alone.", learned.unwrap_or_default())
        }
        _ => String::new(),
    };
    let lines = wrap::words(&[(clean(&about), theme.dim())], usize::from(area.width.saturating_sub(2)));
    let inside = Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area };
    put(buffer, inside, 1, &Line::styled("Ask your own files.", theme.bold()));
    for (y, line) in lines.iter().enumerate() {
        put(buffer, inside, y as u16 + 3, line);
    }
}
