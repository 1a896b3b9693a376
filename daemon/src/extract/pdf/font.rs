//! From the codes in a PDF's strings to letters and their widths: the font's own table to Unicode first,
//! then the names of its glyphs, then its encoding. It opens no font program.

use super::cmap::CMap;
use super::file::File;
use super::object::{Dict, Object};
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, MACINTOSH, SHIFT_JIS, UTF_16BE, WINDOWS_1252};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Names of glyphs with their letters.
static GLYPHS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("glyphs.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// What Adobe's standard encoding has above ASCII.
const STANDARD: [(u8, &str); 6] = [
    (0xa1, "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ"),
    (0xb1, "–†‡· ¶•‚„”»…‰ ¿"),
    (0xc1, "`´ˆ˜¯˘˙¨ ˚¸ ˝˛ˇ"),
    (0xd0, "—"),
    (0xe1, "Æ ª    ŁØŒº     æ   ı"),
    (0xf8, "łøœß"),
];
/// Widths of the letters of Helvetica and of Times from the blank on: files need not tell them.
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
const TIMES: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500, 500,
    500, 500, 500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722, 722, 333,
    389, 722, 611, 889, 722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333, 278, 333, 469,
    500, 333, 444, 500, 444, 500, 444, 333, 500, 500, 278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389,
    278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541,
];

/// How a string's bytes are codes.
#[derive(Debug)]
enum Codes {
    /// One byte each, with the letter that each stands for.
    Bytes(Vec<String>),
    /// As many bytes each as the font's table says, else two.
    Wide,
    /// Text in an encoding of its own.
    Text(&'static Encoding),
}

#[derive(Debug)]
pub(super) struct Font {
    codes: Codes,
    unicode: CMap,
    widths: HashMap<u32, f64>,
    missing: f64,
    pub bold: bool,
}

/// One letter that is shown: what it is, how wide in thousandths, and whether it is the one-byte blank.
pub(super) struct Glyph {
    pub text: String,
    pub width: f64,
    pub blank: bool,
}

impl Font {
    pub(super) fn read(file: &File<'_>, dict: &Dict) -> Font {
        let unicode = match file.entry(dict, "ToUnicode") {
            stream @ Object::Stream(..) => CMap::read(&file.data(&stream), &file.fuel),
            _ => CMap::default(),
        };
        let name = file.entry(dict, "BaseFont").name().unwrap_or_default().to_ascii_lowercase();
        let bold = ["bold", "black", "heavy", "semibold"].iter().any(|word| name.contains(word));
        if file.entry(dict, "Subtype").name() == Some("Type0") {
            return Font::composite(file, dict, unicode, bold);
        }
        let (widths, missing) = simple_widths(file, dict, &name);
        Font { codes: Codes::Bytes(letters(file, dict)), unicode, widths, missing, bold }
    }

    fn composite(file: &File<'_>, dict: &Dict, unicode: CMap, bold: bool) -> Font {
        let encoding = file.entry(dict, "Encoding");
        let codes = match encoding.name().and_then(encoding_of).filter(|_| unicode.is_empty()) {
            Some(encoding) => Codes::Text(encoding),
            None => Codes::Wide,
        };
        let below = match file.entry(dict, "DescendantFonts") {
            Object::Array(fonts) => fonts.first().map(|font| file.follow(font)),
            _ => None,
        };
        let below = below.as_ref().and_then(Object::dict).cloned().unwrap_or_default();
        let missing = file.entry(&below, "DW").number().unwrap_or(1000.0);
        Font { codes, unicode, widths: wide_widths(file, &below), missing, bold }
    }

    /// The letters of a shown string, handed on one by one.
    pub(super) fn glyphs(&self, string: &[u8], mut each: impl FnMut(Glyph)) {
        let width = |code: u32| self.widths.get(&code).copied().unwrap_or(self.missing);
        match &self.codes {
            Codes::Bytes(letters) => {
                for byte in string {
                    let code = u32::from(*byte);
                    let text = match self.unicode.get(code) {
                        Some(text) => text.to_string(),
                        None => letters[usize::from(*byte)].clone(),
                    };
                    each(Glyph { text, width: width(code), blank: *byte == b' ' });
                }
            }
            Codes::Wide => {
                let length = self.unicode.code_length().unwrap_or(2);
                for bytes in string.chunks(length) {
                    let code = bytes.iter().fold(0, |code, byte| code << 8 | u32::from(*byte));
                    let text = self.unicode.get(code).unwrap_or_default().to_string();
                    each(Glyph { text, width: width(code), blank: length == 1 && code == 32 });
                }
            }
            Codes::Text(encoding) => {
                for letter in encoding.decode_without_bom_handling(string).0.chars() {
                    each(Glyph { text: letter.to_string(), width: self.missing, blank: false });
                }
            }
        }
    }
}

/// The encoding that a predefined table of an East Asian font is about.
fn encoding_of(name: &str) -> Option<&'static Encoding> {
    let parts = [
        ("UCS2", UTF_16BE),
        ("UTF16", UTF_16BE),
        ("GB", GBK),
        ("RKSJ", SHIFT_JIS),
        ("B5", BIG5),
        ("KSC", EUC_KR),
    ];
    parts.iter().find(|(part, _)| name.contains(part)).map(|(_, encoding)| *encoding)
}

/// The letter of each byte in a simple font.
fn letters(file: &File<'_>, dict: &Dict) -> Vec<String> {
    let encoding = file.entry(dict, "Encoding");
    let base = match &encoding {
        Object::Name(name) => Some(name.clone()),
        Object::Dict(dict) => file.entry(dict, "BaseEncoding").name().map(str::to_string),
        _ => None,
    };
    let truetype = file.entry(dict, "Subtype").name() == Some("TrueType");
    let mut letters = match base.as_deref() {
        Some("MacRomanEncoding") => decoded(MACINTOSH),
        Some("WinAnsiEncoding") => decoded(WINDOWS_1252),
        _ if truetype => decoded(WINDOWS_1252),
        _ => standard(),
    };
    let differences = encoding.dict().map(|dict| file.entry(dict, "Differences"));
    let mut code = 0usize;
    for item in differences.as_ref().and_then(Object::array).unwrap_or_default() {
        match item {
            Object::Number(number) => code = *number as usize,
            Object::Name(name) => {
                if let Some(letter) = letters.get_mut(code) {
                    *letter = letter_of(name);
                }
                code += 1;
            }
            _ => {}
        }
    }
    letters
}

fn decoded(encoding: &'static Encoding) -> Vec<String> {
    let letter = |byte: u8| encoding.decode_without_bom_handling(&[byte]).0.into_owned();
    (0..=255).map(|byte| if byte < 32 { String::new() } else { letter(byte) }).collect()
}

fn standard() -> Vec<String> {
    let mut letters = vec![String::new(); 256];
    for byte in 32..127u8 {
        letters[usize::from(byte)] = match byte {
            b'\'' => "’".into(),
            b'`' => "‘".into(),
            _ => (byte as char).to_string(),
        };
    }
    for (first, row) in STANDARD {
        for (at, letter) in row.chars().enumerate().filter(|(_, letter)| *letter != ' ') {
            letters[usize::from(first) + at] = letter.to_string();
        }
    }
    letters
}

/// The letters that a glyph's name stands for: `eacute`, `uni00E9`, `u1F600`, `f_i`, `a.alt`.
fn letter_of(name: &str) -> String {
    let name = name.split('.').next().unwrap_or_default();
    name.split('_').map(part_of).collect()
}

fn part_of(name: &str) -> String {
    if name == "space" || name == "nbspace" {
        return " ".into();
    }
    if let Some(letter) = GLYPHS.get(name) {
        return letter.to_string();
    }
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    let numbered = match (name.strip_prefix("uni"), name.strip_prefix('u')) {
        (Some(digits), _) if digits.len() == 4 => hex(digits),
        (_, Some(digits)) if (4..=6).contains(&digits.len()) => hex(digits),
        _ => None,
    };
    let single = || name.chars().next().filter(|c| name.len() == 1 && c.is_ascii_alphabetic());
    numbered.or_else(single).map(String::from).unwrap_or_default()
}

fn simple_widths(file: &File<'_>, dict: &Dict, name: &str) -> (HashMap<u32, f64>, f64) {
    let first = file.entry(dict, "FirstChar").number().unwrap_or(0.0) as u32;
    if let Object::Array(widths) = file.entry(dict, "Widths") {
        // Fonts that are drawn by their own procedures have widths in units of their own.
        let scale = match file.entry(dict, "FontMatrix") {
            Object::Array(matrix) => matrix.first().and_then(Object::number).unwrap_or(0.001) * 1000.0,
            _ => 1.0,
        };
        let width = |(at, width): (usize, &Object)| {
            Some((first.saturating_add(at as u32), file.follow(width).number()? * scale))
        };
        let missing =
            file.entry(dict, "FontDescriptor").dict().and_then(|d| file.entry(d, "MissingWidth").number());
        let widths = widths.iter().take(256).enumerate().filter_map(width).collect();
        return (widths, missing.unwrap_or(0.0));
    }
    if name.contains("courier") || name.contains("mono") {
        return (HashMap::new(), 600.0);
    }
    let known = if name.contains("times") { TIMES } else { HELVETICA };
    (known.iter().enumerate().map(|(at, width)| (at as u32 + 32, f64::from(*width))).collect(), 556.0)
}

/// Widths of a composite font: `first [w w w]` and `first last w`.
fn wide_widths(file: &File<'_>, dict: &Dict) -> HashMap<u32, f64> {
    let mut widths = HashMap::new();
    let Object::Array(items) = file.entry(dict, "W") else { return widths };
    let items: Vec<Object> = items.iter().map(|item| file.follow(item)).collect();
    let mut at = 0;
    while let Some(first) = items.get(at).and_then(Object::number) {
        let first = first as u32;
        match (items.get(at + 1), items.get(at + 2)) {
            (Some(Object::Array(row)), _) => {
                let row = row.iter().filter_map(Object::number).enumerate();
                widths.extend(row.map(|(at, width)| (first.saturating_add(at as u32), width)));
                at += 2;
            }
            (Some(Object::Number(last)), Some(Object::Number(width))) => {
                let last = (*last as u32).min(0xffff);
                if file.fuel.take(u64::from(last.saturating_sub(first))) {
                    widths.extend((first..=last).map(|code| (code, *width)));
                }
                at += 3;
            }
            _ => break,
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_are_known_by_their_names() {
        for (name, letter) in [
            ("eacute", "é"),
            ("a", "a"),
            ("space", " "),
            ("uni20AC", "€"),
            ("f_i", "fi"),
            ("A.small", "A"),
            ("alpha", "α"),
            ("hyphen", "-"),
            ("g123", ""),
        ] {
            assert_eq!(letter_of(name), letter, "{name}");
        }
    }

    #[test]
    fn the_standard_encoding_has_its_letters_in_their_places() {
        let letters = standard();
        for (code, letter) in
            [(0xa1, "¡"), (0xaf, "ﬂ"), (0xb7, "•"), (0xd0, "—"), (0xe8, "Ł"), (0xf5, "ı"), (0xfb, "ß")]
        {
            assert_eq!(letters[code], letter, "{code:x}");
        }
    }
}
