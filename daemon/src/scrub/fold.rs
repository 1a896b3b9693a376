//! A text as the rules see it: invisible characters gone, look-alikes and escapes made plain, with the way back to
//! the bytes. It judges nothing.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::CharIndices;

/// A text that was changed for searching, and where each of its bytes came from.
pub struct View<'a> {
    pub text: Cow<'a, str>,
    /// From this place here on, the original goes on at that place there. Sorted by both.
    steps: Vec<(usize, usize)>,
}

impl View<'_> {
    /// The place in the original of a place in this text.
    pub fn original(&self, at: usize) -> usize {
        match self.steps.partition_point(|(here, _)| *here <= at) {
            0 => at,
            n => self.steps[n - 1].1 + (at - self.steps[n - 1].0),
        }
    }
}

/// What becomes of a character.
enum Fold {
    Keep,
    Drop,
    As(char),
}

/// The text with every trick undone that leaves a person reading the same: zero-width characters, full-width and
/// mathematical letters, digits of other scripts, typographic quotes and dashes, accents, escapes of JSON.
pub fn plain(text: &str) -> View<'_> {
    if text.is_ascii() && !text.contains('\\') {
        return View { text: Cow::Borrowed(text), steps: Vec::new() };
    }
    let mut folded = String::with_capacity(text.len());
    let mut steps = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let (fold, end) = match c {
            '\\' => escape(text, at, &mut rest),
            _ => (fold(c), at + c.len_utf8()),
        };
        let before = folded.len();
        match fold {
            Fold::Keep => folded.push(c),
            Fold::As(plain) => folded.push(plain),
            Fold::Drop => {}
        }
        if folded.len() - before != end - at {
            steps.push((folded.len(), end));
        }
    }
    View { text: Cow::Owned(folded), steps }
}

/// What a backslash stands for, and where that ends.
fn escape(text: &str, at: usize, rest: &mut Peekable<CharIndices>) -> (Fold, usize) {
    let plain = match rest.peek() {
        Some((_, 'n' | 'r')) => '\n',
        Some((_, 't')) => ' ',
        Some((_, same @ ('"' | '/' | '\''))) => *same,
        // Escaped twice: this one goes, the next is looked at again.
        Some((_, '\\')) => return (Fold::Drop, at + 1),
        Some((_, 'u')) => {
            let code = text.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            return match code.and_then(char::from_u32).filter(|c| (' '..='~').contains(c)) {
                Some(c) => {
                    rest.nth(4);
                    (Fold::As(c), at + 6)
                }
                None => (Fold::Keep, at + 1),
            };
        }
        _ => return (Fold::Keep, at + 1),
    };
    rest.next();
    (Fold::As(plain), at + 2)
}

/// Where the ten digits of other scripts begin.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20,
    0x1040, 0x17e0, 0x1810, 0x2080, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1fbf0,
];

/// Letters with a mark, by the plain letter that they are read as.
const ACCENTED: &[(char, &str)] = &[
    ('a', "àáâãäåāăąæ"),
    ('c', "çćčĉċ"),
    ('d', "ďđð"),
    ('e', "èéêëēĕėęě"),
    ('g', "ğĝġģ"),
    ('i', "ìíîïĩīĭįı"),
    ('l', "ĺļľł"),
    ('n', "ñńņň"),
    ('o', "òóôõöøōŏőœ"),
    ('r', "ŕŗř"),
    ('s', "śŝşšß"),
    ('t', "ţťŧ"),
    ('u', "ùúûüũūŭůűų"),
    ('y', "ýÿŷ"),
    ('z', "źżž"),
    ('A', "ÀÁÂÃÄÅĀĂĄÆ"),
    ('C', "ÇĆČ"),
    ('E', "ÈÉÊËĒĘĚ"),
    ('I', "ÌÍÎÏĪİ"),
    ('L', "ĹĽŁ"),
    ('N', "ÑŃŇ"),
    ('O', "ÒÓÔÕÖØŌŐŒ"),
    ('S', "ŚŞŠ"),
    ('U', "ÙÚÛÜŪŮŰ"),
    ('Y', "ÝŸ"),
    ('Z', "ŹŻŽ"),
];

fn fold(c: char) -> Fold {
    match c {
        '\0'..='\x7f' => Fold::Keep,
        '\u{ad}'
        | '\u{300}'..='\u{36f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}' => Fold::Drop,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Fold::As(' ')
        }
        '\u{85}' | '\u{2028}' | '\u{2029}' => Fold::As('\n'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Fold::As('-'),
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2039}' | '\u{203a}' => Fold::As('\''),
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '«' | '»' => Fold::As('"'),
        '\u{b9}' => Fold::As('1'),
        '\u{b2}' => Fold::As('2'),
        '\u{b3}' => Fold::As('3'),
        '\u{ff01}'..='\u{ff5e}' => shifted(c, 0xff01, '!'),
        '\u{24b6}'..='\u{24cf}' => shifted(c, 0x24b6, 'A'),
        '\u{24d0}'..='\u{24e9}' => shifted(c, 0x24d0, 'a'),
        '\u{2460}'..='\u{2468}' => shifted(c, 0x2460, '1'),
        // Arrows, boxes and pictures only separate.
        '\u{2190}'..='\u{245f}' | '\u{2500}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' => Fold::As(' '),
        '\u{1d400}'..='\u{1d6a3}' => {
            let letter = (u32::from(c) - 0x1d400) % 52;
            if letter < 26 {
                shifted(c, u32::from(c) - letter, 'A')
            } else {
                shifted(c, u32::from(c) - letter + 26, 'a')
            }
        }
        '\u{c0}'..='\u{17f}' => match ACCENTED.iter().find(|(_, marked)| marked.contains(c)) {
            Some((plain, _)) => Fold::As(*plain),
            None => Fold::Keep,
        },
        _ => match ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&u32::from(c))) {
            Some(zero) => shifted(c, *zero, '0'),
            None => Fold::Keep,
        },
    }
}

fn shifted(c: char, from: u32, to: char) -> Fold {
    char::from_u32(u32::from(c) - from + u32::from(to)).map_or(Fold::Keep, Fold::As)
}

/// Bytes looked at on either side of a line break.
const SEAM: usize = 64;

/// The text with those line breaks taken out that may have been put into a token: a wrapped mail, a folded key. `None`
/// if there is none.
pub fn joined(text: &str) -> Option<View<'static>> {
    let bytes = text.as_bytes();
    let mut joined = String::new();
    let mut steps = Vec::new();
    let mut copied = 0;
    for (at, _) in text.match_indices('\n') {
        if at < copied {
            continue;
        }
        let Some((end, next)) = seam(bytes, at).filter(|(end, _)| *end >= copied) else { continue };
        joined.push_str(&text[copied..end]);
        steps.push((joined.len(), next));
        copied = next;
    }
    if steps.is_empty() {
        return None;
    }
    joined.push_str(&text[copied..]);
    Some(View { text: Cow::Owned(joined), steps })
}

/// Where a token may end before the line break at `at`, and where it may go on after it.
fn seam(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut end = at - bytes[..at].iter().rev().take(SEAM).take_while(|b| b" \t\r".contains(b)).count();
    // What mail and shells put where they break a line.
    if end > 0 && b"=\\".contains(&bytes[end - 1]) {
        end -= 1;
    }
    let run = bytes[..end].iter().rev().take(SEAM).take_while(|b| in_token(**b)).count();
    let head = &bytes[end - run..end];
    let margin = bytes[at + 1..].iter().take(SEAM).take_while(|b| b" \t\r>|#*\"'".contains(b)).count();
    let next = at + 1 + margin;
    let run_on = bytes[next..].iter().take(SEAM).take_while(|b| in_token(**b)).count();
    let tail = &bytes[next..next + run_on];
    let dated = matches!(tail, [b'1' | b'2', b'0' | b'9', _, _, b'-', ..]);
    let goes_on =
        odd(tail) && !dated || (run_on > 1 && bytes.get(next + run_on).is_none_or(|b| b"\r\n".contains(b)));
    (run >= 6 && (odd(head) || run >= 20) && goes_on).then_some((end, next))
}

/// Whether it is no word of a sentence: a digit, or a capital after a small letter.
fn odd(run: &[u8]) -> bool {
    run.iter().any(u8::is_ascii_digit)
        || run.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/_-.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tricks_are_undone() {
        for (tricky, plainly) in [
            ("ｇｈｐ＿１２", "ghp_12"),
            ("gh\u{200b}p\u{feff}_\u{2060}1", "ghp_1"),
            ("𝐀𝐊𝐈𝐀𝟗 𝘀𝗸", "AKIA9 sk"),
            ("contrasen\u{303}a / contraseña", "contrasena / contrasena"),
            ("٤٥٦ – „x“", "456 - \"x\""),
            (r#"{\"a\":\"b\\nc\u003d\"}"#, "{\"a\":\"b\nc=\"}"),
        ] {
            assert_eq!(plain(tricky).text, plainly);
        }
    }

    #[test]
    fn every_place_leads_back() {
        let text = "a\u{200b}１２x\\nß—end";
        let view = plain(text);
        assert_eq!(view.text, "a12x\ns-end");
        let back: Vec<&str> = (0..view.text.len())
            .map(|at| &text[view.original(at)..])
            .map(|rest| &rest[..rest.chars().next().unwrap().len_utf8()])
            .collect();
        assert_eq!(back, ["a", "１", "２", "x", "\\", "ß", "—", "e", "n", "d"]);
    }

    #[test]
    fn wrapped_tokens_are_joined_and_prose_is_not() {
        let view = joined("x ghp_0123456=\r\n> 789abc done").unwrap();
        assert_eq!(view.text, "x ghp_0123456789abc done");
        assert_eq!(view.original(2), 2);
        assert_eq!(view.original(13), 18);
        assert!(joined("The first line ends\nand the next begins in 2019\nand so on").is_none());
    }
}
