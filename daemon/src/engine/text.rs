//! Turns the bytes of sampled tokens into text for a reader: whole characters only, and nothing of a
//! stop string, however the tokens cut either. Pure.

/// The text side of one answer.
#[derive(Debug, Default)]
pub struct TextOut {
    stops: Vec<String>,
    /// Bytes that may be the start of a character.
    bytes: Vec<u8>,
    /// Text that may be the start of a stop string.
    held: String,
}

impl TextOut {
    pub fn new(stops: &[String]) -> TextOut {
        TextOut { stops: stops.to_vec(), ..TextOut::default() }
    }

    /// Takes a token's bytes. Returns the text that can be shown now, and whether a stop string was
    /// reached; what follows it is dropped.
    pub fn push(&mut self, token: &[u8]) -> (String, bool) {
        self.bytes.extend_from_slice(token);
        let whole = self.whole_characters();
        self.held.push_str(&whole);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            self.bytes.clear();
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What is left when the answer ends without a stop string.
    pub fn finish(&mut self) -> String {
        let tail = std::mem::take(&mut self.bytes);
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&String::from_utf8_lossy(&tail));
        text
    }

    /// Takes the bytes that are decided: whole characters, and U+FFFD for what can never be one.
    fn whole_characters(&mut self) -> String {
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.bytes.clear();
                    return text;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.bytes[..valid]));
                    let Some(bad) = error.error_len() else {
                        self.bytes.drain(..valid);
                        return text;
                    };
                    text.push('\u{FFFD}');
                    self.bytes.drain(..valid + bad);
                }
            }
        }
    }
}

/// Bytes at the end of `text` that are a start of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let starts = stop.char_indices().map(|(at, _)| at).rev();
    starts.filter(|&at| at > 0).find(|&at| text.ends_with(&stop[..at])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], tokens: &[&[u8]]) -> (String, bool) {
        let mut out = TextOut::new(&stops.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        let mut shown = String::new();
        for token in tokens {
            let (text, stopped) = out.push(token);
            shown += &text;
            if stopped {
                return (shown, true);
            }
        }
        shown += &out.finish();
        (shown, false)
    }

    #[test]
    fn a_character_cut_by_tokens_comes_whole() {
        let mut out = TextOut::new(&[]);
        assert_eq!(out.push(&[0xE2, 0x82]), (String::new(), false));
        assert_eq!(out.push(&[0xAC, b'x']), ("€x".into(), false));
        assert_eq!(out.push(&[0xF0, 0x9F]), (String::new(), false));
        assert_eq!(out.finish(), "\u{FFFD}");
    }

    #[test]
    fn bytes_that_are_no_character_are_marked_and_passed() {
        assert_eq!(run(&[], &[b"a\xFFb", b"\xC3", b"("]), ("a\u{FFFD}b\u{FFFD}(".into(), false));
    }

    #[test]
    fn a_stop_string_over_three_tokens_is_never_shown() {
        assert_eq!(run(&["\n\nUser:"], &[b"yes\n", b"\nUs", b"er: more"]), ("yes".into(), true));
        assert_eq!(run(&["\n\nUser:"], &[b"yes\n", b"\nUs", b"ing"]), ("yes\n\nUsing".into(), false));
        assert_eq!(run(&["aab"], &[b"a", b"a", b"a", b"b"]), ("a".into(), true));
        assert_eq!(run(&["long", "lo"], &[b"he", b"llo"]), ("hel".into(), true));
    }

    proptest! {
        #[test]
        fn any_cut_of_a_text_gives_the_text(text in "\\PC{0,40}", cuts in prop::collection::vec(1usize..5, 0..60)) {
            let mut bytes = text.as_bytes();
            let mut out = TextOut::new(&[]);
            let mut shown = String::new();
            for cut in cuts {
                let (token, rest) = bytes.split_at(cut.min(bytes.len()));
                shown += &out.push(token).0;
                bytes = rest;
            }
            shown += &out.push(bytes).0;
            shown += &out.finish();
            prop_assert_eq!(shown, text);
        }

        #[test]
        fn any_bytes_and_stops_end_before_the_stop(bytes in prop::collection::vec(97u8..100, 0..40), stop in "[abc]{1,3}", cut in 1usize..4) {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let tokens: Vec<&[u8]> = bytes.chunks(cut).collect();
            let (shown, stopped) = run(&[&stop], &tokens);
            match text.find(&stop) {
                Some(at) => { prop_assert!(stopped); prop_assert_eq!(&shown, &text[..at]); }
                None => { prop_assert!(!stopped); prop_assert_eq!(&shown, &text); }
            }
        }
    }
}
