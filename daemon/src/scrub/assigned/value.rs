//! What stands where a secret would: read from the text, and told apart from code, from placeholders and from words.

use crate::scrub::chance;
use crate::scrub::rules::one_of;
use std::ops::Range;

/// Bytes of a value that are looked at. The rest of a longer one is on the same line, which goes as a whole.
const LONGEST: usize = 256;

/// What stands where a secret would.
pub struct Value<'a> {
    pub text: &'a str,
    pub range: Range<usize>,
    pub quoted: bool,
    /// It stands below its name.
    pub next_line: bool,
    /// Nothing but punctuation follows on its line.
    pub ends_line: bool,
    /// What follows it.
    pub next: char,
}

impl<'a> Value<'a> {
    /// Reads the value that begins at `at` or soon after, maybe in quotes, maybe on the next line.
    pub fn read(text: &'a str, at: usize) -> Option<Self> {
        let end = text.floor_char_boundary((at + LONGEST).min(text.len()));
        let rest = &text[at..end];
        let mut skipped =
            rest.len() - rest.trim_start_matches([' ', '\t', '*', '`', '|', '=', '>', '_']).len();
        let mut next_line = false;
        // YAML's marks for a text that begins below.
        let marks = rest[skipped..].trim_start_matches(['-', '+']);
        if marks.starts_with(['\n', '\r']) || rest[skipped..].is_empty() {
            next_line = true;
            let below = rest[skipped..].trim_start_matches(['-', '+', '\r', '\n', ' ', '\t', '>', '*', '`']);
            if rest[skipped..rest.len() - below.len()].matches('\n').count() > 2 {
                return None;
            }
            skipped = rest.len() - below.len();
        }
        let mut body = &rest[skipped..];
        let prefixed = body.len() > 2
            && body.as_bytes()[0].is_ascii_alphabetic()
            && b"\"'".contains(&body.as_bytes()[1]);
        if prefixed || (body.starts_with(['@', '$', '&']) && body[1..].starts_with('"')) {
            skipped += 1;
            body = &rest[skipped..];
        }
        let quote = body.chars().next().filter(|c| "\"'`".contains(*c));
        let closed = quote
            .and_then(|quote| body[1..].find([quote, '\n']).filter(|end| body[1 + end..].starts_with(quote)));
        let (from, size) = match closed {
            Some(size) => (1, size),
            None => {
                let from = usize::from(quote.is_some());
                let run = body[from..].split(char::is_whitespace).next().unwrap_or("");
                let run = run.find('<').filter(|at| *at > 0).map_or(run, |at| &run[..at]);
                (
                    from,
                    run.trim_end_matches([',', ';', '.', ':', '?', '"', '\'', '`', '|', ')', '}', ']', '>'])
                        .len(),
                )
            }
        };
        let start = at + skipped + from;
        let value = &text[start..start + size];
        let after = &text[start + size..];
        let line = after.split('\n').next().unwrap_or("");
        Some(Self {
            text: value,
            range: start..start + size,
            quoted: closed.is_some(),
            next_line,
            ends_line: line.len() <= 16
                && line.chars().all(|c| c.is_whitespace() || c.is_ascii_punctuation()),
            // A closing tag is no part of code.
            next: after.chars().next().filter(|_| !after.starts_with("</")).unwrap_or('\n'),
        })
        .filter(|value| !value.text.is_empty())
    }

    /// Whether a quoted value may be a password: a word, or a phrase of some; a sentence for people is none.
    pub fn fits_password(&self) -> bool {
        let words: Vec<&str> = self.text.split(' ').collect();
        let small = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        match words.as_slice() {
            [one] if self.text.len() >= 4 => {
                strange(one) || one.bytes().all(|b| b.is_ascii_digit()) || guessed_word(one)
            }
            [_] => false,
            [_, _] | [_, _, _] => words.iter().all(|word| strange(word)),
            many => {
                many.len() <= 10 && many.iter().all(small) && !many.iter().any(|word| one_of(SENTENCE, word))
            }
        }
    }
}

const SENTENCE: &str = "the a an is are your must be to of and or not for in at this it please with has have";

/// Words that stand in for a value, or name its type.
const STANDING_IN: &str = "string str bool boolean int integer number text none null nil true false undefined any object \
    optional required option self void char varchar byte bytes array list map dict yes no on off empty \
    unset default prompt ask file env hidden redacted masked removed disabled enabled plain md5 bcrypt \
    scrypt argon2 argon2id n/a changeme change_me change-me example sample placeholder value input form \
    field column hash auto login user username email admin root this that type new old current confirm \
    const let var function async await return static final public private keyring keychain agent \
    external basic digest oauth oauth2 bearer jwt forgot reset show hide update create enter invalid \
    wrong incorrect missing expired unknown valid correct right ok fail failed error";

/// Names of secrets: a value that holds one is a name itself, unless a digit makes it odd.
const NAMES: &str = "password passwort passwd kennwort contrasena passphrase secret token api_key apikey api-key \
    credential motdepasse access_key private_key";

/// Whether a value only shows where one goes.
pub fn placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let bare = lower.trim_matches(|c: char| "\"'`.,;:!?()[]{}<>*_-/\\".contains(c));
    let digit = value.bytes().any(|b| b.is_ascii_digit());
    let (open, close) = (value.chars().next().unwrap_or(' '), value.chars().next_back().unwrap_or(' '));
    let enclosed = matches!((open, close), ('<', '>') | ('{', '}') | ('[', ']') | ('(', ')') | ('%', '%'));
    let variable = ["${", "$(", "{{", "%(", "#{", "<%", "$env:", "$_", "@{"]
        .iter()
        .any(|start| lower.starts_with(start))
        || (open == '$'
            && value[1..].bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-' || b == b'>'));
    let filler = bare.is_empty()
        || value.chars().all(|c| "*x.-_#X?•…0".contains(c))
        || value.chars().all(|c| c == open);
    let told = [
        "your", "my_", "my-", "example", "insert", "replace", "enter_", "dummy", "fake", "todo", "tbd",
        "xxx", "some_", "some-", "the_", "the-",
    ]
    .iter()
    .any(|start| bare.starts_with(start) && !digit);
    let named = !digit && NAMES.split(' ').any(|name| bare.contains(name));
    filler || enclosed || variable || told || named || one_of(STANDING_IN, bare)
}

/// Whether an unquoted value is code: a call, a path through fields or modules, a type.
pub fn code(value: &str, next: char) -> bool {
    let digit = value.bytes().any(|b| b.is_ascii_digit());
    let word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !part.as_bytes()[0].is_ascii_digit()
    };
    let fields: Vec<&str> = value
        .split('.')
        .map(|part| part.trim_end_matches(['?', '!']))
        .filter(|part| !part.is_empty())
        .collect();
    let argument = value.split_once('=').is_some_and(|(name, given)| {
        // `name=value` in a call; a connection string has more signs.
        word(name)
            && !name.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            && given.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.'\"".contains(&b))
    });
    let inner = value.trim_start_matches(['(', '!', '&', '*']);
    let calls = inner.find(['(', '[']).is_some_and(|at| {
        at > 0
            && word(
                inner[..at].trim_end_matches('!').rsplit(['.', ':', '&', '*', '!', '>']).next().unwrap_or(""),
            )
    });
    let path = value.starts_with(['/', '~']) && value.matches('/').count() > 1
        || value.starts_with("./")
        || value.starts_with("../")
        || value.contains("://");
    calls
        || argument
        || path
        || matches!(next, '(' | '[' | '<') && word(value)
        || value.contains("::")
        || value.contains("->")
        || value.contains("=>")
        || value.contains("&&")
        || value.contains("||")
        || value.starts_with("==")
        || value.ends_with(['(', '{', '['])
        || (value.starts_with(['&', '*', '!', '?', '(', '[', '{', '@', '<', '\\']) && !digit)
        || value.starts_with("&'")
        || (fields.len() > 1 && fields.iter().all(|part| word(part)) && (!digit || fields.len() > 2))
        || (value.contains('_')
            && !digit
            && word(value)
            && (value.bytes().all(|b| !b.is_ascii_lowercase())
                || value.bytes().all(|b| !b.is_ascii_uppercase())))
}

/// Names of algorithms and the like: letters with digits, and no password.
const TECHNICAL: &str = "sha md utf base oauth ipv x509 2fa u2f fido argon pbkdf pkcs aes http rsa ed ec win k8s ascii iso \
    rfc tls ssl ssh totp hs rs es mp h v int uint u i f id bcrypt oidc openid cp latin 1password pop \
    imap python java php node qwen llama gemma gpt page section chapter figure table line step version";

/// Whether a word looks like a password to a reader: digits among letters, signs, capitals inside.
pub fn strange(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', '`', '(', ')']);
    let is = chance::makeup(value);
    let letters = is.lower + is.upper;
    if value.len() < 5
        || value.len() > 128
        || value.contains(' ')
        || value.contains("://")
        || (value.starts_with(['/', '~']) && value.matches('/').count() > 1)
    {
        return false;
    }
    let signs = value.chars().filter(|c| "!@#$%^&*+=~?".contains(*c)).count();
    let signs_inside =
        value.char_indices().any(|(at, c)| at > 0 && at + 1 < value.len() && "!@#$%^&*+=~".contains(c));
    let head =
        value.trim_end_matches(|c: char| c.is_ascii_digit() || ".-_/x:".contains(c)).to_ascii_lowercase();
    let technical = one_of(TECHNICAL, &head) || one_of(TECHNICAL, &value.to_ascii_lowercase());
    let measured = value.trim_start_matches(|c: char| c.is_ascii_digit() || ".,:-+".contains(c));
    // "12-character", "8:30pm", "4096", "v1.2.3"
    let counted = measured.len() < value.len()
        && measured.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'%')
        && signs == 0
        && value.len() < 16
        && (measured.len() <= 3 || value.contains('-'));
    let address = value.contains('@')
        && value
            .rsplit('@')
            .next()
            .is_some_and(|host| host.contains('.') && !host.bytes().any(|b| b.is_ascii_digit()));
    if technical || counted || address {
        return false;
    }
    let capitals =
        value.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let hyphens = value.matches('-').count();
    // A question ends with its mark, and an address goes on with names and values.
    let asked_inside =
        value.trim_end_matches('?').contains('?') && is.upper > 0 && !value.contains(['=', '/', '.', '&']);
    letters >= 2 && is.digits >= 1
        || asked_inside && letters >= 5
        || signs_inside && letters >= 3
        || signs >= 2 && letters + is.digits >= 3
        || value.ends_with(['!', '$', '#', '%', '&', '+', '='])
            && is.upper > 0
            && value.len() >= 7
            && capitals
        || capitals
            && is.symbols == 0
            && value.len() >= 8
            && is.changes <= 6
            && !value.starts_with(|c: char| c.is_ascii_lowercase())
        || letters >= 8 && is.symbols == 0 && is.upper > 0 && is.changes * 20 >= letters * 9
        || hyphens >= 3
            && is.symbols == hyphens
            && !value.split('-').any(|word| word.len() < 3 || one_of(SENTENCE, word))
        || hyphens + value.matches('_').count() >= 1 && capitals_start_every_part(value)
        || is.digits >= 4 && is.symbols >= 1 && letters >= 1
}

/// "Correct-Horse", "hunter-Brown": a capital after a sign.
fn capitals_start_every_part(value: &str) -> bool {
    let mut parts = value.split(['-', '_']);
    parts.next();
    value.len() >= 9
        && value.bytes().all(|b| b.is_ascii_alphabetic() || b"-_".contains(&b))
        && value.bytes().any(|b| b.is_ascii_lowercase())
        && parts.all(|part| part.len() >= 3 && part.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// Endings of words that tell how a password is, and are none.
const ENDINGS: &str = "ed ing able ible ful less ive ely ally ent ert ssen sst lich ich ido ida ada ado";
/// The same, whole words.
const TELLING: &str = "weak strong safe secure insecure there here known public secret short long simple easy hard good \
    always never also only blank same different changed sent kept lost stolen set shown given written \
    taken case falsch richtig sicher unsicher bekannt geheim leer faux expire valide invalide oublie \
    correcta incorrecta segura fuerte secreta what which where below above mine yours important useless \
    back over gone obvious fine bad great later first once again";

/// Whether a word of letters alone may be a password.
pub fn guessed_word(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    value.len() >= 5
        && value.len() <= 40
        && value.bytes().all(|b| b.is_ascii_alphabetic() || b >= 0x80)
        && !placeholder(value)
        && !ENDINGS.split(' ').any(|end| lower.ends_with(end))
        && !one_of(TELLING, &lower)
}

/// Whether nothing follows a value in its sentence.
pub fn at_end_of_sentence(value: &Value) -> bool {
    value.ends_line || matches!(value.next, '.' | '!')
}

/// Whether a value looks like a key beside a name that promises one.
pub fn token_like(value: &str, quoted: bool) -> bool {
    let is = chance::makeup(value);
    let letters = is.lower + is.upper;
    let (size, bits) = (value.len(), chance::entropy(value));
    if value.contains("://")
        || value.contains(['\\', '|', '{'])
        || value.matches('/').count() * 6 > size
        || value.matches('.').count() > 4
    {
        return false;
    }
    let version = value.trim_start_matches('v').bytes().all(|b| b.is_ascii_digit() || b".-".contains(&b));
    if version || letters == 0 {
        return false;
    }
    if is.digits == 0 {
        // Keys of letters alone: capitals come where no word begins.
        return size >= 16
            && is.upper > 0
            && is.lower > 0
            && (is.changes * 100 >= letters * 42
                || is.symbols * 8 >= size && value.contains(['$', '!', '^', '%', '&', '*', '@', '#', '+']));
    }
    if chance::random(value) {
        return true;
    }
    let mixed = is.upper > 0 && is.lower > 0 && is.symbols == 0 && size >= 16 && bits >= 3.5;
    let changing = is.digit_changes >= 2 && is.changes * 10 >= (is.digits + letters) * 3;
    let signs = value.contains(['$', '!', '^', '%', '&', '*', '@', '#', '+']) && size >= 12;
    mixed
        || size < 16 && bits >= 2.4 && changing && !value.contains(['/', '('])
        || quoted && size >= 12 && bits >= 2.8 && is.digit_changes >= 2
        || signs && bits >= 3.0
}
