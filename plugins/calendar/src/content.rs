//! iCalendar's lines and components (RFC 5545, 3.1 and 3.6), read leniently: a broken line costs itself, not
//! the file. Pure.

use std::ops::Range;

/// `NAME;PARAM=value:VALUE`, unfolded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub name: String,
    params: Vec<(String, String)>,
    pub value: String,
}

/// What stands between `BEGIN` and `END`.
#[derive(Debug, Default)]
pub struct Component {
    pub name: String,
    pub properties: Vec<Property>,
    pub children: Vec<Component>,
    /// Bytes of the file.
    pub range: Range<usize>,
}

/// Components in each other; calendars have three.
const DEEPEST: usize = 8;
/// Bytes of one line, unfolded.
const LONGEST_LINE: usize = 64 << 10;

impl Property {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A text's backslashes taken away (RFC 5545, 3.3.11).
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.value.len());
        let mut characters = self.value.chars();
        while let Some(c) = characters.next() {
            match (c, c == '\\') {
                (_, true) => match characters.next() {
                    Some('n' | 'N') => text.push('\n'),
                    Some(other) => text.push(other),
                    None => {}
                },
                _ => text.push(c),
            }
        }
        text
    }
}

impl Component {
    pub fn get(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Property> {
        self.properties.iter().filter(move |property| property.name == name)
    }

    pub fn text(&self, name: &str) -> String {
        self.get(name).map(|property| property.text().trim().to_owned()).unwrap_or_default()
    }
}

/// All components at the top: `VCALENDAR`s, where the file is a calendar. One that does not end is left out.
pub fn read(text: &str) -> Vec<Component> {
    let mut top = Vec::new();
    let mut open: Vec<Component> = Vec::new();
    for (range, line) in lines(text) {
        let Some(property) = property(&line) else { continue };
        match property.name.as_str() {
            "BEGIN" if open.len() < DEEPEST => {
                let name = property.value.trim().to_ascii_uppercase();
                open.push(Component { name, range, ..Component::default() });
            }
            "END" => {
                let name = property.value.trim();
                if !open.last().is_some_and(|component| component.name.eq_ignore_ascii_case(name)) {
                    continue;
                }
                let Some(mut component) = open.pop() else { continue };
                component.range.end = range.end;
                match open.last_mut() {
                    Some(parent) => parent.children.push(component),
                    None => top.push(component),
                }
            }
            _ => {
                if let Some(component) = open.last_mut() {
                    component.properties.push(property);
                }
            }
        }
    }
    top
}

/// Lines with the bytes they were on; a line that begins with a blank goes on with the one before.
fn lines(text: &str) -> Vec<(Range<usize>, String)> {
    let mut lines: Vec<(Range<usize>, String)> = Vec::new();
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        let range = start..start + raw.len();
        start = range.end;
        let line = raw.trim_end_matches(['\r', '\n']);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some((before, unfolded))) => {
                before.end = range.end;
                if unfolded.len() + more.len() <= LONGEST_LINE {
                    unfolded.push_str(more);
                }
            }
            _ => lines.push((range, line.to_owned())),
        }
    }
    lines
}

fn property(line: &str) -> Option<Property> {
    let mut quoted = false;
    let mut parts = Vec::new();
    let mut start = 0;
    let mut colon = None;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push(&line[start..at]);
                start = at + 1;
            }
            b':' if !quoted => {
                colon = Some(at);
                break;
            }
            _ => {}
        }
    }
    let colon = colon?;
    parts.push(&line[start..colon]);
    let (name, params) = parts.split_first()?;
    let params = params.iter().filter_map(|param| {
        let (key, value) = param.split_once('=')?;
        Some((key.trim().to_ascii_uppercase(), value.trim_matches('"').to_owned()))
    });
    // A group, as in vCard: `item1.NAME`.
    let name = name.rsplit('.').next().unwrap_or(name).trim().to_ascii_uppercase();
    Some(Property { name, params: params.collect(), value: line[colon + 1..].to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_unfolded_and_taken_apart() {
        let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY;LANGUAGE=en;X=\"a;b:c\":Tea\\, bis\r\n cuits\\nand\r\n\t more\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let calendars = read(text);
        let event = &calendars[0].children[0];
        assert_eq!(event.text("SUMMARY"), "Tea, biscuits\nand more");
        assert_eq!(event.get("SUMMARY").unwrap().param("X"), Some("a;b:c"));
        assert!(text[event.range.clone()].starts_with("BEGIN:VEVENT\r\n"));
        assert!(text[event.range.clone()].ends_with("END:VEVENT\r\n"));
    }

    #[test]
    fn broken_files_are_read_as_far_as_they_go() {
        for text in [
            "",
            "END:VEVENT",
            "BEGIN:",
            ":::",
            " folded first",
            "BEGIN:VEVENT\nSUMMARY:x",
            "\u{feff}BEGIN:VCALENDAR",
        ] {
            assert!(read(text).is_empty(), "{text}");
        }
        let mixed =
            "BEGIN:VCALENDAR\nnonsense\nEND:VTODO\nBEGIN:VEVENT\nSUMMARY:a\nEND:VEVENT\nEND:VCALENDAR";
        assert_eq!(read(mixed)[0].children[0].text("SUMMARY"), "a");
        assert!(read(&"BEGIN:VEVENT\n".repeat(100_000)).is_empty());
        let long = format!(
            "BEGIN:VEVENT\nSUMMARY:x\n{}END:VEVENT\n",
            format!(" {}\n", "y".repeat(1000)).repeat(1000)
        );
        assert!(read(&long)[0].text("SUMMARY").len() <= LONGEST_LINE);
    }
}
