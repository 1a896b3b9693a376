//! Server-sent events, as a stream of bytes that may be cut anywhere. Pure: bytes in, events out;
//! no network. Fields other than `event` and `data` are skipped, as the standard asks of a reader.

/// One event: its name (empty when it had none) and its data, lines joined by `\n`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
}

/// A line longer than this many bytes is not from our daemon.
const LONGEST_LINE: usize = 64 << 20;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the daemon sent a line of more than {LONGEST_LINE} bytes")]
pub struct TooLong;

/// Holds what is not complete yet.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    after_cr: bool,
}

impl Parser {
    /// Takes the next bytes and returns the events they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ if self.line.len() >= LONGEST_LINE => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &[u8]) -> Vec<Event> {
        Parser::default().push(text).unwrap()
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_of_every_form() {
        assert_eq!(parse(b"data: a\n\n"), [event("", "a")]);
        assert_eq!(parse(b"event: text\r\ndata: a\r\ndata:b\r\n\r\n"), [event("text", "a\nb")]);
        assert_eq!(parse(b": keep-alive\n\ndata:  two spaces\rid: 4\r\r"), [event("", " two spaces")]);
        assert_eq!(parse(b"event: empty\n\ndata\n\n"), [event("", "")]);
        assert_eq!(parse(b"data: cut off"), []);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_makes_no_difference(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..200),
            cuts in prop::collection::vec(0..200usize, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut parser = Parser::default();
            let mut events = Vec::new();
            let mut from = 0;
            for to in cuts.into_iter().chain([bytes.len()]) {
                events.extend(parser.push(&bytes[from..to]).unwrap());
                from = to;
            }
            prop_assert_eq!(events, parse(&bytes));
        }

        #[test]
        fn what_is_sent_is_what_is_read(sent in prop::collection::vec(("[a-z_]{0,10}", "[^\r]{0,80}"), 0..5)) {
            let mut wire = String::new();
            for (name, data) in &sent {
                wire += &format!("event: {name}\n");
                data.split('\n').for_each(|line| wire += &format!("data: {line}\n"));
                wire.push('\n');
            }
            let expected: Vec<Event> = sent.iter().map(|(name, data)| event(name, data)).collect();
            prop_assert_eq!(parse(wire.as_bytes()), expected);
        }
    }
}
