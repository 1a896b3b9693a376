//! The rules for numbers that belong to a person: cards, accounts, identity documents, phones, codes that were sent, and
//! the words of a wallet. Where a number has check digits, they decide.

mod checks;

use super::rules::{Hit, Rule, alone, any, judged, one_of, over};
use checks::{digits, luhn};
use std::ops::Range;

/// The table.
pub const RULES: &[Rule] = &[
    // Lengths apart, since the digits after a number (a date, a code) must not be taken for its own.
    judged(
        "card",
        "",
        r"(?:4[0-9]{3}|5[0-9]{3}|2[2-7][0-9]{2}|6[0-9]{3}|35[0-9]{2})(?:[ .-]{0,2}[0-9]{4}){3}",
        card,
    ),
    judged("card", "", r"3[47][0-9]{2}[ .-]{0,2}[0-9]{6}[ .-]{0,2}[0-9]{5}", card),
    judged("card", "", r"3[0689][0-9]{2}[ .-]{0,2}[0-9]{6}[ .-]{0,2}[0-9]{4}", card),
    judged(
        "card",
        "",
        r"(?:6[0-9]{3}|4[0-9]{3}|5[06-8][0-9]{2})(?:[ .-]{0,2}[0-9]{4}){3}[ .-]{0,2}[0-9]{2,3}",
        card,
    ),
    judged(
        "card-code",
        "cvv|cvc|cvn|prufziffer|prufnummer|cryptogramme|security code",
        r"(?i:\bcv[vcn]2?\b|prufziffer|prufnummer|cryptogramme|security code)[ -/:-~\t]{0,24}?([0-9]{3,4})",
        alone,
    ),
    judged("iban", "", r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,10}", iban),
    judged("us-social-security", "", r"[0-9]{3}-[0-9]{2}-[0-9]{4}", social_security),
    judged(
        "us-social-security",
        "ssn|social sec",
        r"(?i:\bssn\b|social security)[ -/:-~\t]{0,40}?([0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4})",
        alone,
    ),
    judged("spanish-id", "", r"[XYZ0-9][0-9]{7}[ -]?[A-Z]", |hit| checked(hit, checks::dni)),
    judged(
        "italian-id",
        "",
        r"(?i)[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]",
        |hit| checked(hit, checks::codice),
    ),
    judged(
        "french-id",
        "",
        r"[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        |hit| checked(hit, checks::nir),
    ),
    judged(
        "british-id",
        "",
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        alone,
    ),
    judged("brazilian-id", "", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", |hit| checked(hit, checks::cpf)),
    judged("swedish-id", "", r"(?:19|20)?[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[-+][0-9]{4}", |hit| {
        checked(hit, checks::personnummer)
    }),
    judged("swiss-id", "", r"756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}", |hit| checked(hit, checks::ean13)),
    judged("polish-id", "pesel", r"(?i:pesel)[ -/:-~\t]{0,24}?([0-9]{11})", alone),
    judged(
        "id-number",
        "passport|reisepass|passeport|pasaporte|licen|fuhrerschein|ausweis|identi|card|number|national|tax|steuer|versicherung|insurance|nino|bsn|burgerservice|cpf|aadhaar|sin|nhs|account|konto|routing|sort|numero|securite|ahv|personnummer|fiscale",
        r"(?i:passport|reisepass|passeport|pasaporte|driv[a-z'_ -]{0,8}licen[cs]e|fuhrerschein|ausweis|identity[ _-](?:card|document|number)|carte[ _-]d'identite|id[ _-](?:card|number)|national[ _-]id|tax[ _-]id|steuer[ _-]?(?:id|nummer|identifikationsnummer)|versicherungs?[ _-]?(?:nummer|nr)|insurance[ _-](?:number|no)|\bnino\b|\bbsn\b|burgerservicenummer|\bcpf\b|aadhaar|(?-i:\bSIN\b)|\bnhs\b|account[ _-](?:number|no)|\baccount:|kontonummer|konto[ _-]?nr|routing[ _-](?:number|no)|sort[ _-]code|numero[ _-]de[ _-](?:compte|cuenta|securite|seguridad)|securite[ _-]sociale|\bahv\b|personnummer|codice[ _-]fiscale)[ -/:-~\t]{0,32}?\b([A-Z]{0,4}[0-9][0-9A-Z]{0,8}(?:[ ./-]?[0-9A-Z]{1,8}){0,5})",
        id_number,
    ),
    judged("phone", "+", r"\+[1-9][0-9]{0,2}(?:[ ./-]{0,2}\(?[0-9]{1,12}\)?){1,7}", |hit| phone(hit, 9)),
    judged("phone", "", r"\b00[1-9][0-9]{1,2}(?:[ /-]\(?[0-9]{2,8}\)?){2,5}", |hit| phone(hit, 10)),
    judged("phone", "", r"(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[. -][0-9]{4}", |hit| {
        phone(hit, 10)
    }),
    judged("phone", "", r"0[1-9](?:[ .-][0-9]{2}){4}", |hit| phone(hit, 10)),
    judged(
        "phone",
        "",
        r"(?:\(0[1-9][0-9]{1,4}\)|0[1-9][0-9]{1,4})[ /-]{1,2}[0-9]{2,8}(?:[ -][0-9]{2,6}){0,4}",
        |hit| phone(hit, 9),
    ),
    judged(
        "phone",
        "tel|phone|mobile|cell|handy|fax|call|whatsapp|anruf|ruf|portable|movil",
        r"(?i:\btel\b|telefon\w*|telephone|telefono|phone\w*|mobile|mobil\b|\bcell\b|handy\w*|\bfax\b|\bcall\b|whatsapp|anruf\w*|\brufe?\b|rufnummer|portable|movil)[ -*,-/:-~\t]{0,24}?(\+?\(?[0-9](?:[ ()./-]{0,2}[0-9]){6,14})",
        |hit| phone(hit, 7),
    ),
    over(
        3,
        judged(
            "sent-code",
            "code|otp|tan|passcode|codigo|one-time|pin|kod",
            r"(?i:(?:verification|security|confirmation|login|log-in|sign-?in|auth[a-z]*|access|one-?time|single-use|activation|reset|2fa|mfa|two-factor|sms|unlock|door|gate|entry|alarm)[ -](?:pass|pin ?)?codes?|passcode|\botp\b|one-time (?:password|pin)|einmal(?:code|passwort|kennwort)|(?:bestatigungs|sicherheits|verifizierungs|freischalt|aktivierungs|anmelde|zugangs|login-?|tur)code|\b(?:your|ihr|dein|votre|ton|su|tu) (?:code|codigo)(?: is| ist| est| es| lautet| now|:)|\b(?:m|push|photo|sms|chip)?-?tan\b|code (?:de|d') ?(?:verification|securite|confirmation|validation|acces|connexion)|code a usage unique|codigo de (?:verificacion|seguridad|confirmacion|acceso|un solo uso)|kod weryfikacyjny)[ -/:-~\t\n]{0,48}?\b([0-9]{4,8}|[0-9]{3}[ -][0-9]{3}|[0-9]{2} [0-9]{2} [0-9]{2})\b",
            sent_code,
        ),
    ),
    judged(
        "sent-code",
        "code|otp|codigo|pin",
        r"(?i)\b((?:g-|fb-)?[0-9]{4,8}|[0-9]{3}[ -][0-9]{3}) (?:is|ist|est|es) (?:your|ihr|dein|votre|ton|su|tu|the|der|le|el)\b[a-z .-]{0,40}?\b(?:code|otp|codigo|pin|passcode|[a-z]+code)\b",
        any,
    ),
    judged(
        "sent-code",
        "code",
        r"(?i)\b(?:use|enter|type|with|submit)\b[a-z ]{0,16}\bcode:?[ \x22']{1,2}([0-9]{4,8}|[0-9]{3}[ -][0-9]{3})\b",
        any,
    ),
    judged("google-code", "g-", r"\bG-([0-9]{6})\b", any),
    judged(
        "pin",
        "pin|geheimzahl|puk",
        r"(?i:(?:\b(?:[a-z]{2,12}[-_]?)?|_)pin(?:[ _-]?(?:code|number|nummer|nr))?\b|geheimzahl|\bpuk\b)[ -,/:<-~\t-]{0,32}?[ \t:=\x22'_>(*|\[-]([0-9]{4,8})",
        pin,
    ),
    judged(
        "wallet-words",
        "seed|mnemonic|recovery|backup phrase|secret phrase|bip39|bip-39|wallet|passphrase|24 words|12 words|worter|mots|palabras",
        r"(?i)(?:seed|mnemonic|recovery|backup phrase|secret phrase|bip-?39|wallet|passphrase|(?:12|24|twelve|twenty-four) words|(?:12|24) (?:worter|mots|palabras))",
        wallet_words,
    ),
];

/// The value, if it stands alone and its check digits are right.
fn checked(hit: &Hit, check: fn(&str) -> bool) -> Option<Range<usize>> {
    alone(hit).filter(|_| check(hit.value()))
}

/// Whether no digit goes on before or after the value, with a sign between.
fn whole_number(hit: &Hit) -> bool {
    let (before, after) = (hit.before(2).as_bytes(), &hit.text.as_bytes()[hit.value.end..]);
    let joins = |sign: u8| b".-_".contains(&sign);
    let goes_before = matches!(before, [digit, sign] if digit.is_ascii_digit() && joins(*sign));
    let goes_after = matches!(after, [sign, digit, ..] if digit.is_ascii_digit() && joins(*sign));
    !goes_before && !goes_after
}

fn card(hit: &Hit) -> Option<Range<usize>> {
    let digits = digits(hit.value());
    let same = digits.iter().all(|d| *d == digits[0]);
    alone(hit).filter(|_| !hit.before(1).ends_with(['.', '/']) && luhn(&digits) && !same)
}

fn iban(hit: &Hit) -> Option<Range<usize>> {
    let before =
        hit.value.start.checked_sub(1).is_some_and(|at| hit.text.as_bytes()[at].is_ascii_alphanumeric());
    checks::iban(hit.value()).filter(|_| !before).map(|size| hit.value.start..hit.value.start + size)
}

fn social_security(hit: &Hit) -> Option<Range<usize>> {
    let value = hit.value();
    let (area, group, serial) = (&value[..3], &value[4..6], &value[7..]);
    let given = area != "000" && area != "666" && group != "00" && serial != "0000";
    alone(hit).filter(|_| given && whole_number(hit))
}

/// A number of a document, of five digits or more, that is not a date.
fn id_number(hit: &Hit) -> Option<Range<usize>> {
    let digits = digits(hit.value()).len();
    ((5..=20).contains(&digits) && !dated(hit.value())).then(|| hit.value.clone())
}

/// Whether a number begins as dates and spans of years do.
fn dated(value: &str) -> bool {
    let parts: Vec<&str> = value.split(['-', '/', '.', ' ']).collect();
    let year = |part: &str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
    let small = |part: &str| part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| n <= 31);
    match parts.as_slice() {
        [a, b] => year(a) && year(b),
        [a, b, c, ..] => (year(a) && small(b) && small(c)) || (small(a) && small(b) && year(c)),
        _ => false,
    }
}

fn phone(hit: &Hit, least: usize) -> Option<Range<usize>> {
    let value = hit.value();
    let digits = digits(value);
    // Round numbers are amounts.
    let round = digits.iter().rev().take_while(|d| **d == 0).count() >= 5;
    // Postal codes of the USA, and code points.
    let groups: Vec<&str> = value.split([' ', '-']).collect();
    let postal = matches!(groups.as_slice(), [a, b] if a.len() == 5 && b.len() == 4);
    let points = groups.iter().filter(|group| group.len() == 4 && group.starts_with('0')).count() > 1;
    if postal || points {
        return None;
    }
    let opens = value.matches('(').count() == value.matches(')').count();
    alone(hit).filter(|_| {
        (least..=15).contains(&digits.len()) && whole_number(hit) && !dated(value) && !round && opens
    })
}

/// A code of digits; four of them that read as a year need the word right beside them.
fn sent_code(hit: &Hit) -> Option<Range<usize>> {
    let value = hit.value();
    let year = value.len() == 4 && (value.starts_with("19") || value.starts_with("20"));
    let gap = hit.text[hit.whole.start..hit.value.start].split_whitespace().count();
    alone(hit).filter(|_| whole_number(hit) && !(year && gap > 4))
}

fn pin(hit: &Hit) -> Option<Range<usize>> {
    alone(hit).filter(|_| whole_number(hit))
}

/// Bytes after the keyword in which the words of a wallet are looked for.
const WALLET: usize = 900;
/// Words of English that wallets do not use, and that hardly a sentence does without.
const SENTENCE: &str = "the and for with from are was its but which has were been than these into two";

/// Twelve words or more in a row, each of three to eight small letters, as lists for wallets have them.
fn wallet_words(hit: &Hit) -> Option<Range<usize>> {
    let (mut ends, mut others, mut at) = (Vec::new(), 0, 0);
    for word in hit.after(WALLET).split_inclusive(|c: char| !c.is_ascii_alphabetic()) {
        let letters = word.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
        let fits = (3..=8).contains(&letters.len()) && letters.bytes().all(|b| b.is_ascii_lowercase());
        if fits && !one_of(SENTENCE, letters) {
            ends.push(at + letters.len());
        } else if !letters.is_empty() {
            if ends.len() >= 12 {
                break;
            }
            others += ends.len() + 1;
            ends.clear();
        }
        // What came before a colon or a quote was not yet the list, or all of it; and code is none.
        if word.ends_with(|c: char| ":=\"({}[];&<_/".contains(c)) {
            if ends.len() >= 12 {
                break;
            }
            ends.clear();
        }
        if others > 24 || ends.len() == 24 {
            break;
        }
        at += word.len();
    }
    // Wallets have 12, 15, 18, 21 or 24 words; what goes on after them is something else.
    let size = ends.len() / 3 * 3;
    (size >= 12).then(|| hit.whole.start..hit.whole.end + ends[size - 1])
}
