//! The rules for secrets without a form of their own, which only the words beside them tell of: `password = …`, "the
//! password is …", a command's option. What is a value and what is code is for `assigned/value.rs`.

mod value;

use super::chance;
use super::rules::{Hit, Rule, alone_and_random, judged, one_of, over, wrapping};
use std::ops::Range;
use value::{Value, at_end_of_sentence, code, guessed_word, placeholder, strange, token_like};

/// Passwords, in the words of some languages. Accents are folded away before.
macro_rules! password {
    () => {
        r"(?:pass[ _-]?(?:word|wd|wort|code|phrase|key)|pas?swort|kennwort|schlusselwort|mot[ _-]?de[ _-]?passe|contrasena|senha|palavra-passe|wachtwoord|haslo|losenord|adgangskode|kodeord|пароль|пароля|密码|密碼|口令|パスワード|비밀번호)[A-Za-z0-9_-]{0,24}|(?:pass|pwd?|psk|mdp|clave|parola)(?:[0-9_-][A-Za-z0-9_-]{0,24})?"
    };
}

/// Other secrets: longer, and nothing that a person would speak.
macro_rules! secret {
    () => {
        r"api[ _-]?(?:key|secret|token)|(?:access|auth|client|app|secret|private|signing|encryption|master|account|license|product|shared|consumer|session|bot|deploy|service|storage|webhook|hmac|jwt|ssh|root|admin)[ _-]?(?:key|secret|token|id)|secret|token|credentials?|bearer|cookie|session(?:id)?|auth|jeton|geheimnis|schlussel|cle d'api|cle api|clave (?:de )?api|key|lizenz|licen[sc]e|serial|seriennummer|webhook|signature|salt|nonce|sid"
    };
}

/// What stands between a name and its value: a sign, a call's comma, a word that says "is", or only a space.
macro_rules! between {
    () => {
        r#"["'`\])*_]{0,4}[ \t]{0,8}(?:\([A-Za-z0-9 ,.-]{1,24}\)[ \t]{0,2})?(?:</?[A-Za-z0-9]{1,8}>[ \t]{0,4}){0,4}(?:[:=]{1,3}>?|->|<-|\||>)|["']?[ \t]{0,2}[,(][ \t]{0,2}|[ \t]+(?:(?:is|was|are|ist|war|lautet|heisst|est|etait|es|era|e|jest|is now|to|has been set to|auf|now)\b(?:[ \t]+(?:now|still|jetzt|nun|currently|maintenant|ahora))?[ \t]{0,2}:?)|[ \t]{1,4}"#
    };
}

/// The table.
pub const RULES: &[Rule] = &[
    judged(
        "password",
        "pas|kennwor|schlusselwort|pw|psk|mdp|contrasena|clave|senha|wachtwoord|haslo|losenord|adgangskode|kodeord|parola|парол|密|口令|パスワード|비밀번호",
        concat!("(?i)(", password!(), ")(?:", between!(), ")"),
        password,
    ),
    // "The password for the router is …"
    over(
        2,
        judged(
            "password-said",
            "pas|kennwor|mdp|contrasena|senha|wachtwoord|парол",
            r"(?i)(?:pass ?(?:word|phrase|code|wort)|pas?swort|kennwort|mot de passe|mdp|contrasena|senha|wachtwoord|пароль)[ \x22-\x2d/-:<->@-~\t]{0,60}?(?:[ \t](?:is|was|ist|lautet|war|est|c'est|es|to|auf|a|e)[ \t]|[:=])[ \t\n]{0,3}",
            password_said,
        ),
    ),
    // "… is my password", "use … as the password"
    judged(
        "password-said",
        "pas|kennwor|mdp|contrasena|clave|pin",
        r#"(?im)(?:^|[ \t"'`(])([!-~]{5,64})[ \t]+(?:is|was|as|for|ist|war|als|est|comme|es|como)[ \t]+(?:(?:the|my|your|our|his|her|their|a|das|mein|dein|unser|le|mon|ton|notre|la|mi|tu|su|nuestra)[ \t]+)?(?:[a-z-]{2,12}[ \t]+){0,2}?(?:pass ?(?:word|phrase|code|wort)|kennwort|mot de passe|mdp|contrasena|clave)"#,
        password_before,
    ),
    judged(
        "secret",
        "key|secret|token|credential|bearer|cookie|session|auth|jeton|geheimnis|schlussel|cle |clave|licen|lizenz|serial|serien|webhook|signature|salt|nonce|sid|_id",
        concat!("(?i)((?:", secret!(), ")[A-Za-z0-9_-]{0,24})(?:", between!(), ")"),
        secret,
    ),
    wrapping(judged(
        "secret-near",
        "key|token|secret|credential|passwor|kennwort|schlussel|jeton|clave|contrasena|mot de passe",
        r"(?i)(?:api[ _-]?key|token|secret|credential|passwor[dt]|kennwort|(?:access|private|encryption|signing|master|recovery|auth)[ _-]?key|schlussel|jeton|clave|contrasena|mot de passe)",
        near,
    )),
    over(
        1,
        judged(
            "authorization",
            "authorization|authorisation",
            r#"(?i)authori[sz]ation["']?[ \t]{0,2}[:=,][ \t]{0,2}["'`]?(?:[A-Za-z-]{2,20}[ \t]+)?([A-Za-z0-9+/=._~:-]{8,})"#,
            header,
        ),
    ),
    judged("bearer", "bearer", r"(?i)bearer[ :]{1,2}([A-Za-z0-9+/=._~-]{12,})", header),
    judged("basic", "basic", r"\b[Bb]asic ([A-Za-z0-9+/]{10,}={0,2})", |hit| {
        header(hit).filter(|_| upper_and_digit(hit.value()))
    }),
    judged("session-cookie", "cookie", r"(?i)cookie: ?(?:[ !-~]{0,200}?)=([A-Za-z0-9%+/=._~-]{16,})", header),
    judged(
        "product-key",
        "key|licen|serial|lizenz|schlussel|activation|recovery|backup|code",
        r"\b([A-Za-z0-9]{4,8}(?:-[A-Za-z0-9]{4,8}){2,9})\b",
        product_key,
    ),
    judged(
        "command",
        "sshpass|curl|wget|mysql|mariadb|redis-cli|smbclient|htpasswd|-passin|-passout|sudo -s|-ppass|unzip|zip |7z |rdesktop|xfreerdp|net use|ldapsearch|mongo|docker login|identified by",
        r#"(?i)(?:sshpass[ ]+-p[ ]*|(?:curl|wget)\b[ -~]{0,200}?[ ](?:-u|--user|--proxy-user|-U)[ =]?["']?[A-Za-z0-9_.@-]{0,60}:|(?:mysql|mariadb|mysqldump|mysqladmin)\b[ -~]{0,200}?[ ]-p|redis-cli\b[ -~]{0,100}?[ ]-a[ ]+|smbclient\b[ -~]{0,100}?%|htpasswd[ ]+-[a-z]*b[a-z]*[ ]+[!-~]{1,80}[ ]+[!-~]{1,40}[ ]+|-pass(?:in|out)[ ]+pass:|echo[ ]+["']?([!-~]{4,64}?)["']?[ ]*\|[ ]*sudo[ ]+-s|(?:un)?zip\b[ -~]{0,80}?[ ]-P[ ]*|7z[ ][ -~]{0,80}?[ ]-p|(?:rdesktop|xfreerdp)\b[ -~]{0,120}?(?:[ ]-p[ ]+|/p:)|net use[ -~]{0,120}?/user:[!-~]{1,60}[ ]+|(?:ldapsearch|mongo(?:sh|dump|restore)?|docker login)\b[ -~]{0,160}?[ ](?:-w|-p)[ ]+|identified by[ ]+(?:password[ ]+)?["'])"#,
        command,
    ),
];

/// Names that end so are about a secret and do not hold it.
const ABOUT: &str = "file path url uri field name length len policy reset type count id ids label hint prompt min max \
    size limit expiry expires expiration ttl form input manager store s es less age protected required \
    changed at by for regex pattern strength format env var ref error placeholder title text word words \
    board";

/// How a value is bound to its name.
#[derive(Clone, Copy, PartialEq)]
enum Bond {
    /// By a sign.
    Sign,
    /// In a call or a tuple: it must be quoted.
    Call,
    /// By a word that says "is".
    Word,
    /// Only by a space.
    Space,
}

fn bond(hit: &Hit) -> Bond {
    let whole = &hit.text[hit.whole.clone()];
    let trimmed = whole.trim_end_matches([' ', '\t']);
    match trimmed.chars().next_back() {
        Some(',' | '(') => Bond::Call,
        Some(':' | '=' | '>' | '|' | '-') => Bond::Sign,
        _ if trimmed.contains([' ', '\t']) && says_is(trimmed) => Bond::Word,
        _ => Bond::Space,
    }
}

/// Words that say "is", and "now" after them.
const IS: &str = "is was are ist war lautet heisst est etait es era e jest to auf now still jetzt nun currently maintenant ahora";

fn says_is(trimmed: &str) -> bool {
    one_of(IS, &trimmed.rsplit([' ', '\t']).next().unwrap_or("").to_ascii_lowercase())
}

/// The name that the value is bound to, with what is written in one word with it.
fn name(hit: &Hit) -> String {
    let before = hit.before(40);
    let own = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '-').len();
    format!("{}{}", &before[own..], hit.value()).to_lowercase()
}

/// Heads that the names of [`ABOUT`] end.
const HEADS: &str =
    "password passwort passphrase passwd token secret key credential pwd pass cookie session auth _ -";
/// Names that end as if they were about a secret, and hold one.
const HOLDS: &str = "passphrase password passcode passkey credentials sid session_id sessionid";

fn about(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let ends = |list: &str, text: &str| list.split(' ').any(|end| text.ends_with(end));
    let told = |end: &str| name.strip_suffix(end).is_some_and(|head| ends(HEADS, head));
    ABOUT.split(' ').any(told) && !ends(HOLDS, name)
}

fn password(hit: &Hit) -> Option<Range<usize>> {
    let (name, bond) = (name(hit), bond(hit));
    let value = Value::read(hit.text, hit.whole.end)?;
    if placeholder(value.text) || (bond == Bond::Call && (!value.quoted || value.next_line)) {
        return None;
    }
    // A name in capitals, an underscore before it or a sign after it make "pass" one; in "they pass" it is none.
    let short = ["pass", "pw", "clave", "parola", "psk"].contains(&name.as_str());
    if ["bypass", "compass", "surpass", "trespass", "underpass", "overpass", "encompass"]
        .iter()
        .any(|word| name.starts_with(word))
    {
        return None;
    }
    let strange = strange(value.text);
    let hit = match bond {
        _ if about(&name) => {
            strange && value.text.len() >= 8 && value.text.bytes().any(|b| b.is_ascii_digit())
        }
        Bond::Sign if value.quoted => value.fits_password(),
        Bond::Call if hit.text[..hit.whole.end].ends_with('(') => value.fits_password(),
        // Of two strings in a row, the second is often another name.
        Bond::Call => {
            strange && !value.text.bytes().all(|b| b.is_ascii_alphabetic()) && !value.text.contains('_')
        }
        Bond::Sign if code(value.text, value.next) => false,
        Bond::Sign if value.next_line => strange,
        Bond::Sign => {
            strange
                || number(value.text)
                || (value.ends_line && !short && guessed_word(value.text) && hit.starts_line())
        }
        Bond::Word if value.quoted => !value.text.contains(' ') || value.text.split(' ').count() >= 4,
        Bond::Word => {
            strange
                || number(value.text)
                || (!short && at_end_of_sentence(&value) && guessed_word(value.text))
        }
        Bond::Space if code(value.text, value.next) || value.text.contains('/') => false,
        Bond::Space if name.starts_with('-') => strange || value.text.len() >= 4 && guessed_word(value.text),
        Bond::Space => {
            strange && value.text.len() >= 6 && (!short || value.text.bytes().any(|b| b.is_ascii_digit()))
        }
    };
    hit.then_some(value.range)
}

/// Four digits or more.
fn number(value: &str) -> bool {
    value.len() >= 4 && value.bytes().all(|b| b.is_ascii_digit())
}

fn password_said(hit: &Hit) -> Option<Range<usize>> {
    let mut at = hit.whole.end;
    // "is, by the way, …"
    for _ in 0..3 {
        let value = Value::read(hit.text, at)?;
        if !placeholder(value.text) && !code(value.text, value.next) && strange(value.text) {
            return Some(value.range);
        }
        if ![' ', ','].contains(&value.next) {
            break;
        }
        at = value.range.end + 1;
    }
    None
}

fn password_before(hit: &Hit) -> Option<Range<usize>> {
    let value = hit.value().trim_matches(['"', '\'', '`', '(', ')', ',', ';', ':'].as_slice());
    let quoted = hit.value().starts_with(['"', '\'', '`']) && value.len() + 2 <= hit.value().len();
    (!placeholder(value) && !code(value, ' ') && (strange(value) || quoted)).then(|| hit.value.clone())
}

fn secret(hit: &Hit) -> Option<Range<usize>> {
    let (name, bond) = (name(hit), bond(hit));
    let value = Value::read(hit.text, hit.whole.end)?;
    if placeholder(value.text)
        || (bond == Bond::Call && (!value.quoted || value.next_line))
        || value.text.contains(' ')
    {
        return None;
    }
    let list = !value.quoted && value.text.starts_with(['[', '{', '(']);
    let author = name.contains("author") && !name.contains("authori");
    let second = bond == Bond::Call && !chance::random(value.text);
    if list || author || second || name.contains("pub") {
        return None;
    }
    let plain_key = [
        "key",
        "auth",
        "signature",
        "session",
        "cookie",
        "salt",
        "nonce",
        "licence",
        "license",
        "serial",
        "id",
    ]
    .contains(&name.as_str());
    let least = if plain_key || bond == Bond::Space || about(&name) { 16 } else { 8 };
    let fits = value.text.len() >= least
        && token_like(value.text, value.quoted)
        && !(chance::uuid(value.text) && (name.ends_with("id") || plain_key))
        && (value.quoted || !code(value.text, value.next));
    fits.then_some(value.range)
}

/// Bytes after a word like "token" in which something drawn by chance is taken for one.
const NEAR: usize = 100;

fn near(hit: &Hit) -> Option<Range<usize>> {
    let ahead = hit.after(NEAR);
    let back = hit.before(NEAR);
    if let Some(inside) = drawn(ahead) {
        return Some(hit.whole.start..hit.whole.end + inside.end);
    }
    drawn(back).map(|inside| hit.value.start - back.len() + inside.start..hit.whole.end)
}

/// The first word of a text that looks drawn by chance, unless something before it says that it is a digest.
fn drawn(text: &str) -> Option<Range<usize>> {
    let mut at = 0;
    for run in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || "+/_=-.~".contains(c))) {
        let value = run.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '='));
        let value = value.rsplit_once('=').filter(|(_, end)| end.len() > 2).map_or(value, |(_, end)| end);
        let path = value.contains('.') || value.matches('/').count() > 4;
        if chance::random(value) && !path && !chance::uuid(value) {
            let named = ["commit", "rev", "sha", "hash", "digest", "checksum"];
            let before = text[..at].to_ascii_lowercase();
            return (!named.iter().any(|word| before.contains(word))).then(|| at..at + run.len());
        }
        at += run.len();
    }
    None
}

/// Groups between dashes, unless they are part of something longer, as of a UUID.
fn product_key(hit: &Hit) -> Option<Range<usize>> {
    let longer = hit.before(1).ends_with('-') || hit.after(1).starts_with('-');
    alone_and_random(hit).filter(|_| !longer)
}

fn header(hit: &Hit) -> Option<Range<usize>> {
    let value = hit.value();
    let is = chance::makeup(value);
    let letters_only = is.digits == 0 && is.symbols == 0;
    let fits = !placeholder(value)
        && chance::entropy(value) >= 2.6
        && !(letters_only && (is.lower == 0 || is.upper == 0 || is.changes * 4 < value.len()));
    (fits
        && !code(value, hit.text[hit.value.end..].chars().next().unwrap_or(' '))
        && (is.digits > 0 || is.upper > 1))
        .then(|| hit.value.clone())
}

fn upper_and_digit(value: &str) -> bool {
    let is = chance::makeup(value);
    is.upper > 1 && is.lower > 0 && (is.digits > 0 || value.ends_with('=')) && is.changes * 4 >= value.len()
}

fn command(hit: &Hit) -> Option<Range<usize>> {
    if hit.value != hit.whole {
        return (!placeholder(hit.value())).then(|| hit.value.clone());
    }
    // `mysql -p db` asks; only what is written at once is the password.
    let spaced = hit.text[hit.whole.end..].starts_with([' ', '\n']);
    let value = Value::read(hit.text, hit.whole.end)?;
    let fits = !spaced
        && !value.next_line
        && value.text.len() >= 3
        && !placeholder(value.text)
        && !code(value.text, value.next);
    (fits && !value.text.starts_with('-')).then_some(value.range)
}

impl Hit<'_> {
    /// Whether nothing but a name, marks and words like `export` stand before the match on its line.
    fn starts_line(&self) -> bool {
        let before = self.before(64);
        let before = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "_-.".contains(c));
        let before = before.trim_matches(|c: char| c.is_whitespace() || "\"'`-*#>|{,;$:[(".contains(c));
        before.is_empty() || one_of("export set SET ENV env ARG my the wifi WiFi Wi-Fi setx", before)
    }
}
