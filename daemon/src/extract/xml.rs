//! XML as a row of events, as forgiving as documents need: names without their prefix, text with its
//! entities decoded, and no more. It knows no DTD, expands no entity that a document declares, keeps no
//! tree and no depth, and ends where the text does.

use std::borrow::Cow;

/// One step of a document. An empty element opens and then closes.
#[derive(Debug, PartialEq)]
pub(super) enum Event<'a> {
    Open(&'a str, Attributes<'a>),
    Close(&'a str),
    Text(Cow<'a, str>),
}

/// The attributes of one element, not yet looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Attributes<'a>(&'a str);

impl<'a> Attributes<'a> {
    /// A value by its name: `id` is any `id`, with or without a prefix, and `r:id` only this one.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.0;
        loop {
            let (key, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, after) = after[1..].split_once(quote)?;
            let key = key.trim();
            if key == name || (!name.contains(':') && local(key) == name) {
                return Some(unescape(value));
            }
            rest = after;
        }
    }

    /// A number, or what to take in its place.
    pub(super) fn number(&self, name: &str, otherwise: usize) -> usize {
        self.get(name).and_then(|value| value.trim().parse().ok()).unwrap_or(otherwise)
    }
}

/// Steps through a text.
pub(super) struct Reader<'a> {
    rest: &'a str,
    closing: Option<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { rest: text, closing: None }
    }

    /// Passes over everything up to the end of the element `name` that was just opened.
    pub(super) fn pass(&mut self, name: &str) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some(Event::Open(open, _)) if open == name => depth += 1,
                Some(Event::Close(close)) if close == name => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// All text up to the end of the element `name` that was just opened.
    pub(super) fn text(&mut self, name: &str) -> String {
        let mut text = String::new();
        loop {
            match self.next() {
                Some(Event::Text(part)) => text.push_str(&part),
                Some(Event::Close(close)) if close == name => return text,
                Some(_) => {}
                None => return text,
            }
        }
    }

    /// The tag at the front, of which `<` was seen.
    fn tag(&mut self) -> Option<Event<'a>> {
        let end = tag_end(self.rest.as_bytes())?;
        let inside = &self.rest[1..end];
        self.rest = &self.rest[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            return Some(Event::Close(local(name.trim())));
        }
        let (inside, empty) = match inside.strip_suffix('/') {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let name = local(name);
        self.closing = empty.then_some(name);
        Some(Event::Open(name, Attributes(attributes)))
    }

    fn past(&mut self, mark: &str) -> &'a str {
        let (inside, rest) = self.rest.split_once(mark).unwrap_or((self.rest, ""));
        self.rest = rest;
        inside
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        if let Some(name) = self.closing.take() {
            return Some(Event::Close(name));
        }
        loop {
            if self.rest.is_empty() {
                return None;
            }
            if !self.rest.starts_with('<') {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Event::Text(unescape(text)));
            }
            if self.rest.starts_with("<!--") {
                self.past("-->");
            } else if let Some(data) = self.rest.strip_prefix("<![CDATA[") {
                self.rest = data;
                return Some(Event::Text(Cow::Borrowed(self.past("]]>"))));
            } else if self.rest.starts_with("<?") {
                self.past("?>");
            } else if self.rest.starts_with("<!") {
                let end = declaration_end(self.rest.as_bytes());
                self.rest = self.rest.get(end..).unwrap_or_default();
            } else {
                return self.tag();
            }
        }
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Where the `>` of a tag stands; one inside of quotes is none.
fn tag_end(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    bytes.iter().position(|byte| {
        match (quote, byte) {
            (None, b'>') => return true,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
        false
    })
}

/// The end of `<!DOCTYPE …>`, with what it declares in square brackets.
fn declaration_end(bytes: &[u8]) -> usize {
    let mut inner = 0usize;
    let end = bytes.iter().position(|byte| {
        match byte {
            b'[' => inner += 1,
            b']' => inner = inner.saturating_sub(1),
            b'>' => return inner == 0,
            _ => {}
        }
        false
    });
    end.map_or(bytes.len(), |end| end + 1)
}

/// Text with the five named entities and numbered ones decoded; any other stays as it is written.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((c, end)) => {
                decoded.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<String> {
        let show = |event: Event<'_>| match event {
            Event::Open(name, attributes) => {
                format!("<{name} {:?}", attributes.get("id").unwrap_or_default())
            }
            Event::Close(name) => format!("/{name}"),
            Event::Text(text) => text.into_owned(),
        };
        Reader::new(text).map(show).collect()
    }

    #[test]
    fn elements_attributes_and_entities_are_read() {
        let text = "<?xml version='1.0'?><a:b x='>' r:id=\"a&amp;b\"><!-- <c> -->1 &lt; 2&#x21;<d/><![CDATA[<e>]]></a:b>";
        assert_eq!(events(text), ["<b \"a&b\"", "1 < 2!", "<d \"\"", "/d", "<e>", "/b"]);
    }

    #[test]
    fn declared_entities_are_not_expanded() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><x>&b;&b;</x>";
        assert_eq!(events(bomb), ["<x \"\"", "&b;&b;", "/x"]);
    }

    #[test]
    fn what_is_cut_off_ends_where_it_is_cut() {
        assert_eq!(events("<a>text<b attr='"), ["<a \"\"", "text"]);
        assert_eq!(events("<!DOCTYPE x ["), Vec::<String>::new());
        assert_eq!(events("a &amp"), ["a &amp"]);
    }
}
