//! Symbols of source code as headings: functions, types, modules, found line by line by the words that
//! begin them. Cheap and approximate on purpose; it parses no language.

use super::outline::{Heading, clip};

/// Longest symbol with what stands around it.
const TITLE: usize = 100;
/// Levels that are told apart by how far a line is indented.
const LEVELS: usize = 6;

/// Words in front of a symbol that say nothing of what it is.
const BEFORE: &[&str] = &[
    "pub",
    "pub(crate)",
    "pub(super)",
    "export",
    "default",
    "async",
    "static",
    "public",
    "private",
    "protected",
    "abstract",
    "final",
    "open",
    "override",
    "unsafe",
    "const",
    "inline",
    "extern",
    "internal",
    "sealed",
    "virtual",
    "declare",
    "data",
    "partial",
    "suspend",
    "local",
];
/// Words that a symbol's name follows.
const KINDS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "trait",
    "impl",
    "mod",
    "def",
    "class",
    "function",
    "func",
    "interface",
    "type",
    "module",
    "namespace",
    "object",
    "protocol",
    "extension",
    "sub",
    "package",
    "fun",
    "record",
    "macro_rules!",
];

/// The symbols of a text, in order.
pub(super) fn symbols(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut indents: Vec<usize> = Vec::new();
    // Where the comment or the attributes begin that stand right above.
    let mut above: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let trimmed = line.trim();
        if let Some(title) = symbol(line) {
            let indent = line.len() - line.trim_start().len();
            indents.retain(|outer| *outer < indent);
            indents.push(indent);
            let level = indents.len().min(LEVELS);
            headings.push(Heading { start: above.take().unwrap_or(at), level, title });
        } else if is_note(trimmed) {
            above.get_or_insert(at);
        } else {
            above = None;
        }
    }
    headings
}

/// A comment, an attribute or a decorator.
fn is_note(line: &str) -> bool {
    ["//", "#", "/*", "*", "@", "--", "\"\"\""].iter().any(|mark| line.starts_with(mark))
}

/// What a line declares.
fn symbol(line: &str) -> Option<String> {
    let trimmed = line.trim();
    if trimmed.len() > 400 || trimmed.ends_with(',') && !trimmed.ends_with("(,") && trimmed.contains(" = ") {
        return None;
    }
    let mut words = trimmed.split_whitespace().peekable();
    while words.peek().is_some_and(|word| BEFORE.contains(word)) {
        words.next();
    }
    let kind = words.next()?;
    let kind_name = kind.split(['<', '(']).next().unwrap_or(kind);
    if KINDS.contains(&kind_name) {
        let rest = trimmed[trimmed.find(kind_name)? + kind_name.len()..].trim_start();
        return named(kind_name, rest);
    }
    c_function(line)
}

/// The kind with the name behind it, up to what no name contains.
fn named(kind: &str, rest: &str) -> Option<String> {
    let end = match kind {
        // `impl<T> Trait for Type`, `func (r *Receiver) Name`: all up to the body.
        "impl" => rest.find([' ', '{']).map(|_| rest.find(['{', '\n']).unwrap_or(rest.len())),
        "func" if rest.starts_with('(') => rest.find(')').map(|close| {
            close + rest[close..].find(['(', '{']).filter(|at| *at > 0).unwrap_or(rest.len() - close)
        }),
        _ => rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | ':' | '-' | '!' | '?'))),
    };
    let name = rest[..end.unwrap_or(rest.len())].trim().trim_end_matches([':', '.', '-']);
    let begins = name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '(' | '<'));
    (begins && name.chars().any(char::is_alphabetic))
        .then(|| clip(&format!("{kind} {name}"), TITLE).to_string())
}

/// `type name(…) {` that begins a line, as C and its children have it.
fn c_function(line: &str) -> Option<String> {
    let begins = line.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let body = line.trim_end();
    if !begins || body.ends_with(';') || !(body.ends_with(['{', ')'])) {
        return None;
    }
    let (head, _) = body.split_once('(')?;
    let (kind, name) = head.trim_end().rsplit_once([' ', '*', '&'])?;
    let word = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '~'));
    let flow = ["return", "if", "for", "while", "switch", "else", "case", "do", "elif", "new"];
    let first = kind.split_whitespace().next()?;
    let plain = kind.chars().all(|c| c.is_alphanumeric() || " _*&<>:,".contains(c));
    let fits = !name.is_empty() && word(name) && plain && !flow.contains(&first) && !flow.contains(&name);
    fits.then(|| clip(name, TITLE).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(text: &str) -> Vec<(usize, String)> {
        symbols(text).into_iter().map(|heading| (heading.level, heading.title)).collect()
    }

    fn expected(titles: &[(usize, &str)]) -> Vec<(usize, String)> {
        titles.iter().map(|(level, title)| (*level, title.to_string())).collect()
    }

    #[test]
    fn symbols_of_the_common_languages_are_found() {
        let rust = "use x;\n/// Says.\n#[derive(Debug)]\npub struct Dog<T> {\n}\nimpl<T> Bark for Dog<T> {\n    pub(crate) async fn bark(&self) {\n        let fn_x = 1;\n    }\n}\n";
        assert_eq!(
            titles(rust),
            expected(&[(1, "struct Dog"), (1, "impl <T> Bark for Dog<T>"), (2, "fn bark")])
        );
        assert_eq!(symbols(rust)[0].start, 7);
        let python = "import os\n@cached\ndef top(a):\n    return 1\nclass Cat(Animal):\n    def meow(self):\n        pass\n";
        assert_eq!(titles(python), expected(&[(1, "def top"), (1, "class Cat"), (2, "def meow")]));
        let c = "#include <x.h>\nint counter = 0;\nstatic int *find_all(const char *name)\n{\n    if (x) {\n    }\n}\nvoid Foo::run() {\n}\n";
        assert_eq!(titles(c), expected(&[(1, "find_all"), (1, "Foo::run")]));
        let go = "package main\nfunc (s *Server) Start(x int) error {\n}\ntype Config struct {\n}\n";
        assert_eq!(
            titles(go),
            expected(&[(1, "package main"), (1, "func (s *Server) Start"), (1, "type Config")])
        );
        let js = "export default class View extends Base {\n  render() {}\n}\nexport async function load(url) {\n}\n";
        assert_eq!(titles(js), expected(&[(1, "class View"), (1, "function load")]));
    }
}
