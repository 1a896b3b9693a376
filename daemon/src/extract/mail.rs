//! Mail: one message, or a mailbox of many. Each message gives its subject, people, date and text, and
//! the names of what is attached. Nothing that a message points to is fetched.

use super::draft::Draft;
use super::html;
use super::mime::Part;
use super::outline::clip;

/// Messages inside of each other.
const DEPTH: usize = 4;
/// Names of attachments that are listed.
const LISTED: usize = 50;
/// Bytes of a list of people.
const PEOPLE: usize = 2000;

/// Reads a single message; its subject is the title.
pub(super) fn message(bytes: &[u8], draft: &mut Draft) {
    let message = Part::read(bytes);
    draft.set_title(&message.field("subject").unwrap_or_default());
    write(message, 1, draft);
}

/// Reads a mailbox in which each message begins with a line `From …`.
pub(super) fn mailbox(bytes: &[u8], draft: &mut Draft) {
    for message in messages(bytes) {
        if draft.full() {
            return;
        }
        write(Part::read(message), 1, draft);
    }
}

/// The messages of a mailbox, without the lines that part them.
fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let from = rest.take()?;
        let head = from.iter().position(|byte| *byte == b'\n').map_or(from.len(), |end| end + 1);
        let body = &from[head..];
        let after_blank = |at: usize| body[..at].ends_with(b"\n") || body[..at].ends_with(b"\n\r");
        let end = (0..body.len()).find(|at| body[*at..].starts_with(b"\nFrom ") && after_blank(*at));
        if let Some(end) = end {
            rest = Some(&body[end + 1..]);
        }
        Some(&body[..end.map_or(body.len(), |end| end + 1)])
    })
}

fn write(message: Part<'_>, level: usize, draft: &mut Draft) {
    let subject = message.field("subject").unwrap_or_else(|| "(no subject)".into());
    let sender = message.field("from").map(|from| name_of(&from)).unwrap_or_default();
    let date = message.field("date").unwrap_or_default();
    let day = day_of(&date).unwrap_or_default();
    let about: Vec<&str> =
        [sender.as_str(), day.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    draft.border();
    draft.mark(level, &format!("{subject}{about}"));
    draft.paragraph(&format!("Subject: {subject}"));
    for (title, name) in [("From", "from"), ("To", "to"), ("Cc", "cc")] {
        if let Some(people) = message.field(name) {
            draft.line(&format!("{title}: {}", clip(&people, PEOPLE)));
        }
    }
    if !date.is_empty() {
        draft.line(&format!("Date: {date}"));
    }
    parts(message.leaves(), level, draft);
}

/// The text as its writer sent it, else that of the page that was sent; then what is attached.
fn parts(leaves: Vec<Part<'_>>, level: usize, draft: &mut Draft) {
    let (attached, shown): (Vec<_>, Vec<_>) =
        leaves.into_iter().partition(|part| part.is_attached() || !part.kind().starts_with("text/"));
    let plain: Vec<String> =
        shown.iter().filter(|part| part.kind() == "text/plain").map(Part::text).collect();
    if plain.iter().all(|text| text.trim().is_empty()) {
        for part in shown.iter().filter(|part| part.kind() == "text/html") {
            draft.paragraph(&html::text(&part.text()).text);
        }
    }
    for text in plain {
        draft.paragraph(&text.replace("\r\n", "\n"));
    }
    let names: Vec<String> = attached.iter().filter_map(Part::file_name).take(LISTED).collect();
    if !names.is_empty() {
        draft.paragraph(&format!("Attachments: {}", names.join(", ")));
    }
    for part in attached.iter().filter(|part| part.kind() == "message/rfc822" && level < DEPTH) {
        write(Part::read(&part.bytes()), level + 1, draft);
    }
}

/// A person's name, else the address.
fn name_of(person: &str) -> String {
    let (name, address) = person.split_once('<').unwrap_or(("", person));
    let name = name.trim().trim_matches('"').trim();
    if name.is_empty() { address.trim_end_matches('>').trim().to_string() } else { name.to_string() }
}

/// `2024-03-01` of `Fri, 01 Mar 2024 18:30:00 +0100`.
fn day_of(date: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let date = date.split_once(',').map_or(date, |(_, date)| date);
    let mut words = date.split_whitespace();
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let month = month.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|known| **known == month)? + 1;
    let (day, year): (u32, u32) = (day.parse().ok()?, year.parse().ok()?);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// Whether a text begins as a mailbox does.
pub(super) fn is_mailbox(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n');
    lines.next().is_some_and(|line| line.starts_with(b"From ")) && is_message(head, 2)
}

/// Whether a text begins with the fields of a message: nothing but fields, at least so many of those that
/// hardly anything but mail has.
pub(super) fn is_message(head: &[u8], least: usize) -> bool {
    let mut known = 0;
    for (at, line) in head.split(|byte| *byte == b'\n').enumerate().take(400) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return known >= least;
        }
        if line[0].is_ascii_whitespace() || at == 0 && line.starts_with(b"From ") {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
        let name = line[..colon].to_ascii_lowercase();
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
            return false;
        }
        let telling: [&[u8]; 7] =
            [b"from", b"date", b"message-id", b"received", b"return-path", b"mime-version", b"delivered-to"];
        known += usize::from(telling.contains(&name.as_slice()));
    }
    known >= least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_comes_apart_at_its_lines() {
        let mailbox = b"From a@b Mon Jan 1\nSubject: one\n\ntext\nFrom here on\n\nFrom c@d Tue Jan 2\nSubject: two\n\nx\n";
        let lengths: Vec<usize> = messages(mailbox).map(<[u8]>::len).collect();
        assert_eq!(lengths, [33, 16]);
    }

    #[test]
    fn days_and_names_are_read() {
        assert_eq!(day_of("Fri, 1 Mar 2024 18:30:00 +0100").as_deref(), Some("2024-03-01"));
        assert_eq!(day_of("yesterday"), None);
        assert_eq!([name_of("\"A B\" <a@b>"), name_of("<a@b>"), name_of("a@b")], ["A B", "a@b", "a@b"]);
    }

    #[test]
    fn messages_are_known_by_their_fields() {
        assert!(is_message(b"Received: x\n by y\nFrom: a@b\nSubject: c\n\nbody", 2));
        assert!(is_mailbox(b"From a@b Mon\nFrom: a@b\nDate: today\n\nbody"));
        assert!(!is_message(b"Package: bash\nVersion: 5\n\nbody", 1));
        assert!(!is_message(b"From: me\nI write this letter\n\nDate: x", 1));
    }
}
