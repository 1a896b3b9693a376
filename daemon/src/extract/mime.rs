//! How mail is written: fields, encoded words, parts inside of parts, letters packed for transport. Pure;
//! parts are kept as places in the message until their text is asked for.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

/// Parts inside of each other, and parts of one message.
const DEPTH: usize = 16;
const PARTS: usize = 1000;
/// Fields of one head, and bytes of one field.
const FIELDS: usize = 500;
const FIELD: usize = 32 << 10;

/// A message or a part of one: its fields, and its body as it was sent.
#[derive(Debug)]
pub(super) struct Part<'a> {
    fields: Vec<(String, String)>,
    body: &'a [u8],
}

impl<'a> Part<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Part<'a> {
        let (head, body) = split_head(bytes);
        Part { fields: fields(head), body }
    }

    /// A field's text, decoded.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.raw(name).map(decoded_words).filter(|value| !value.is_empty())
    }

    /// A field as it was sent, on one line.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// `text/plain`, in small letters.
    pub(super) fn kind(&self) -> String {
        let kind = self.raw("content-type").unwrap_or("text/plain");
        kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The name of a part that is attached as a file.
    pub(super) fn file_name(&self) -> Option<String> {
        let named = |field: &str, key: &str| self.raw(field).and_then(|value| parameter(value, key));
        named("content-disposition", "filename").or_else(|| named("content-type", "name"))
    }

    pub(super) fn is_attached(&self) -> bool {
        let kept = self.raw("content-disposition").unwrap_or_default().trim_start().to_ascii_lowercase();
        kept.starts_with("attachment")
    }

    /// The body as it was before it was sent.
    pub(super) fn bytes(&self) -> Cow<'a, [u8]> {
        match self.raw("content-transfer-encoding").unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "base64" => Cow::Owned(base64(self.body)),
            "quoted-printable" => Cow::Owned(quoted(self.body, false)),
            _ => Cow::Borrowed(self.body),
        }
    }

    pub(super) fn text(&self) -> String {
        let charset = self.raw("content-type").and_then(|kind| parameter(kind, "charset"));
        decoded(&self.bytes(), charset.as_deref())
    }

    /// The part itself, or those that it is made of, down to the last.
    pub(super) fn leaves(self) -> Vec<Part<'a>> {
        let mut leaves = Vec::new();
        self.gather(0, &mut leaves);
        leaves
    }

    fn gather(self, depth: usize, leaves: &mut Vec<Part<'a>>) {
        let kind = self.kind();
        let border = self.raw("content-type").and_then(|kind| parameter(kind, "boundary"));
        match border.filter(|border| kind.starts_with("multipart/") && depth < DEPTH && !border.is_empty()) {
            Some(border) => {
                for part in pieces(self.body, &border) {
                    if leaves.len() < PARTS {
                        Part::read(part).gather(depth + 1, leaves);
                    }
                }
            }
            None => leaves.push(self),
        }
    }
}

/// The fields and what comes behind the empty line.
fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end + 1);
        if bytes[at..end].trim_ascii().is_empty() {
            return (&bytes[..at], &bytes[end..]);
        }
        at = end;
    }
    (bytes, &[])
}

/// Fields with small names, each on one line.
fn fields(head: &[u8]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        // Not all programs encode what is not ASCII.
        let line = decoded(line, None);
        let line = line.trim_end();
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut().filter(|(_, value)| value.len() < FIELD) {
                value.push(' ');
                value.push_str(line.trim_start());
            }
        } else if let Some((name, value)) = line.split_once(':')
            && fields.len() < FIELDS
        {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_string()));
        }
    }
    fields
}

/// What stands between the lines `--border`.
fn pieces<'a>(body: &'a [u8], border: &str) -> Vec<&'a [u8]> {
    let mark = format!("--{border}");
    let mut pieces = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = 0;
    while at < body.len() && pieces.len() < PARTS {
        let end = body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |end| at + end + 1);
        if let Some(rest) = body[at..end].strip_prefix(mark.as_bytes()) {
            let rest = rest.trim_ascii();
            if rest.is_empty() || rest == b"--" {
                pieces.extend(open.take().map(|start| &body[start..at]));
                if rest.is_empty() {
                    open = Some(end);
                } else {
                    return pieces;
                }
            }
        }
        at = end;
    }
    pieces.extend(open.map(|start| &body[start..]));
    pieces
}

/// A parameter of a field: `name="x"`, `name*=utf-8''x`, or in parts `name*0=x; name*1=y`.
fn parameter(field: &str, name: &str) -> Option<String> {
    let mut found = String::new();
    for part in parameters(field) {
        let Some((key, value)) = part.split_once('=') else { continue };
        let key = key.trim().to_ascii_lowercase();
        let Some(rest) = key.strip_prefix(name) else { continue };
        if !(rest.is_empty() || rest.starts_with('*')) || found.len() > FIELD {
            continue;
        }
        let value = unquoted(value.trim());
        if rest.ends_with('*') {
            let text = value.splitn(3, '\'').last().unwrap_or_default();
            let charset = value.contains('\'').then(|| value.split('\'').next().unwrap_or_default());
            found.push_str(&decoded(&percent_decoded(text), charset));
        } else {
            found.push_str(&decoded_words(&value));
        }
    }
    (!found.is_empty()).then_some(found)
}

/// The parts between semicolons, but for those in quotes.
fn parameters(field: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    field.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    })
}

fn unquoted(value: &str) -> String {
    match value.strip_prefix('"') {
        Some(inside) => {
            inside.strip_suffix('"').unwrap_or(inside).replace("\\\"", "\"").replace("\\\\", "\\")
        }
        None => value.to_string(),
    }
}

/// Text with its encoded words (`=?utf-8?Q?caf=C3=A9?=`) decoded; blanks between two of them vanish.
fn decoded_words(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut behind_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        let Some((word, length)) = encoded_word(from) else {
            plain.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            behind_word = false;
            continue;
        };
        if !(behind_word && before.trim().is_empty()) {
            plain.push_str(before);
        }
        plain.push_str(&word);
        behind_word = true;
        rest = &from[length..];
    }
    plain.push_str(rest);
    plain.trim().to_string()
}

/// The word that begins here, decoded, and its length.
fn encoded_word(text: &str) -> Option<(String, usize)> {
    let mut parts = text[2..].splitn(3, '?');
    let (charset, way, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let end = rest.find("?=")?;
    let data = &rest.as_bytes()[..end];
    let bytes = match way {
        "b" | "B" => base64(data),
        "q" | "Q" => quoted(data, true),
        _ => return None,
    };
    let language = charset.split('*').next().unwrap_or_default();
    let length = 2 + charset.len() + 1 + way.len() + 1 + end + 2;
    Some((decoded(&bytes, Some(language)), length))
}

/// Text of an encoding that is named, else UTF-8 where it fits, else what old programs send.
fn decoded(bytes: &[u8], charset: Option<&str>) -> String {
    let named = charset.and_then(|charset| Encoding::for_label(charset.trim().as_bytes()));
    let guess = || if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { WINDOWS_1252 };
    named.unwrap_or_else(guess).decode_without_bom_handling(bytes).0.into_owned()
}

fn base64(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

/// `=C3=A9`; in fields `_` is a blank, in bodies `=` at a line's end joins the next one.
fn quoted(text: &[u8], field: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        at += 1;
        if byte == b'_' && field {
            bytes.push(b' ');
        } else if byte != b'=' {
            bytes.push(byte);
        } else if let Some(code) = text.get(at..at + 2).and_then(hex) {
            bytes.push(code);
            at += 2;
        } else if text[at..].starts_with(b"\r\n") {
            at += 2;
        } else if text[at..].starts_with(b"\n") {
            at += 1;
        } else {
            bytes.push(byte);
        }
    }
    bytes
}

/// `a%20b`, in links and in fields.
pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let code = bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(hex);
        decoded.push(code.unwrap_or(byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    decoded
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| (*digits.get(at)? as char).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded() {
        for (text, plain) in [
            ("=?utf-8?Q?Schl=C3=BCssel_f=C3=BCr?= =?utf-8?b?IFpvw6s=?=", "Schlüssel für Zoë"),
            ("plain =?iso-8859-1?q?caf=E9?= end", "plain café end"),
            ("=?x?y?z?= and =? alone", "=?x?y?z?= and =? alone"),
        ] {
            assert_eq!(decoded_words(text), plain);
        }
        assert_eq!(parameter("a; filename*=utf-8''Pl%C3%A4ne.pdf", "filename").as_deref(), Some("Pläne.pdf"));
        assert_eq!(parameter("a; name*0=\"one; \"; name*1=two", "name").as_deref(), Some("one;two"));
        assert_eq!(percent_decoded("a%20b%zz%2"), b"a b%zz%2");
    }

    #[test]
    fn parts_are_taken_apart_and_unpacked() {
        let mail = b"Content-Type: multipart/mixed;\r\n boundary=\"x\"\r\n\r\nlead\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: text/html; charset=latin1\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 =\r\nhere\r\n--x--\r\ntail";
        let leaves = Part::read(mail).leaves();
        let texts: Vec<String> = leaves.iter().map(Part::text).collect();
        assert_eq!(texts, ["one\r\n", "café here\r\n"]);
        assert_eq!(leaves[1].kind(), "text/html");
    }
}
