//! How secrets look, by their makers' descriptions: prefix, alphabet, length, check digits.

use super::passwords::{
    authorization, password_in_a_shell, password_in_config, password_in_german_french_spanish,
    password_in_prose, word_password,
};
use super::planted::Dice;

/// How a secret is set down.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// A key, which stands in sentences as in code.
    Token,
    /// A number, which stands in sentences and records.
    Number,
    /// A whole sentence or line with the secret in it.
    Said,
    /// Several lines.
    Block,
}

/// One secret.
pub struct Secret {
    /// What its owner calls it.
    pub name: String,
    /// What is planted.
    pub text: String,
    /// What must not be left of it.
    pub parts: Vec<String>,
}

impl Secret {
    fn new(name: &str, text: String) -> Self {
        Self { name: name.to_owned(), parts: vec![text.clone()], text }
    }

    pub fn said(text: String, part: String) -> Self {
        Self { name: String::new(), text, parts: vec![part] }
    }
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub const DIGIT: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
pub const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const URLSAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

type Make = fn(&mut Dice) -> Secret;

/// Every format, with how it is set down.
pub const FORMATS: &[(&str, Kind, Make)] = &[
    ("aws access key", Kind::Token, |d| {
        Secret::new(
            "access key id",
            format!("{}{}", d.pick(&["AKIA", "ASIA"]), d.signs("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        )
    }),
    ("aws secret key", Kind::Token, |d| Secret::new("AWS secret access key", d.signs(BASE64, 40))),
    ("github", Kind::Token, |d| {
        Secret::new(
            "GitHub token",
            format!("{}{}", d.pick(&["ghp_", "gho_", "ghs_", "ghu_"]), d.signs(ALNUM, 36)),
        )
    }),
    ("github fine-grained", Kind::Token, |d| {
        Secret::new("github pat", format!("github_pat_{}_{}", d.signs(ALNUM, 22), d.signs(ALNUM, 59)))
    }),
    ("gitlab", Kind::Token, |d| Secret::new("gitlab token", format!("glpat-{}", d.signs(URLSAFE, 20)))),
    ("slack", Kind::Token, |d| {
        Secret::new(
            "slack bot token",
            format!("xoxb-{}-{}-{}", d.signs(DIGIT, 12), d.signs(DIGIT, 13), d.signs(ALNUM, 24)),
        )
    }),
    ("slack webhook", Kind::Token, |d| {
        Secret::new(
            "webhook",
            format!(
                "https://hooks.slack.com/services/T{}/B{}/{}",
                d.signs(UPPER, 8),
                d.signs(UPPER, 10),
                d.signs(ALNUM, 24)
            ),
        )
    }),
    ("stripe", Kind::Token, |d| {
        let size = [24, 99][d.number(2)];
        let start = d.pick(&["sk_live_", "rk_live_", "sk_test_"]).to_owned();
        Secret::new("stripe key", start + &d.signs(ALNUM, size))
    }),
    ("openai", Kind::Token, |d| {
        Secret::new("OpenAI key", format!("sk-proj-{}T3BlbkFJ{}", d.signs(URLSAFE, 74), d.signs(URLSAFE, 74)))
    }),
    ("anthropic", Kind::Token, |d| {
        Secret::new("anthropic key", format!("sk-ant-api03-{}AA", d.signs(URLSAFE, 93)))
    }),
    ("google", Kind::Token, |d| Secret::new("maps key", format!("AIzaSy{}", d.signs(URLSAFE, 33)))),
    ("hugging face", Kind::Token, |d| {
        Secret::new(
            "hf login",
            format!("hf_{}", d.signs("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 34)),
        )
    }),
    ("npm", Kind::Token, |d| Secret::new("publish token", format!("npm_{}", d.signs(ALNUM, 36)))),
    ("pypi", Kind::Token, |d| {
        Secret::new("upload token", format!("pypi-AgEIcHlwaS5vcmc{}", d.signs(URLSAFE, 140)))
    }),
    ("telegram", Kind::Token, |d| {
        Secret::new("bot", format!("{}:AA{}", 100_000_000 + d.number(6_000_000_000), d.signs(URLSAFE, 33)))
    }),
    ("discord", Kind::Token, |d| {
        Secret::new(
            "bot",
            format!(
                "{}{}.{}.{}",
                d.pick(&["M", "N", "O"]),
                d.signs(ALNUM, 25),
                d.signs(URLSAFE, 6),
                d.signs(URLSAFE, 38)
            ),
        )
    }),
    ("jwt", Kind::Token, |d| {
        Secret::new(
            "session",
            format!(
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI{}.{}",
                d.signs(ALNUM, 60),
                d.signs(URLSAFE, 43)
            ),
        )
    }),
    ("age", Kind::Token, |d| {
        Secret::new(
            "identity",
            format!("AGE-SECRET-KEY-1{}", d.signs("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
        )
    }),
    ("hex key", Kind::Token, |d| {
        let size = [32, 40, 64][d.number(3)];
        let name = d.pick(&["api key", "client secret", "auth token", "signing key"]).to_owned();
        Secret::new(&name, d.signs(HEX, size))
    }),
    ("base64 key", Kind::Token, |d| {
        let size = [32, 43, 64][d.number(3)];
        let name = d.pick(&["api secret", "encryption key", "access token", "secret key"]).to_owned();
        Secret::new(&name, d.signs(BASE64, size))
    }),
    ("letters and digits", Kind::Token, |d| {
        let size = 20 + d.number(20);
        let name = d.pick(&["api key", "token", "secret", "app secret"]).to_owned();
        Secret::new(&name, d.signs(ALNUM, size))
    }),
    ("ethereum key", Kind::Token, |d| Secret::new("wallet", format!("0x{}", d.signs(HEX, 64)))),
    ("bitcoin key", Kind::Token, |d| {
        Secret::new(
            "paper wallet",
            format!(
                "{}{}",
                d.pick(&["K", "L"]),
                d.signs("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 51)
            ),
        )
    }),
    ("url with password", Kind::Token, |d| {
        let secret = word_password(d).replace(['@', '/', '#', ' '], "-");
        let scheme = d.pick(&["postgres", "mysql", "mongodb+srv", "redis", "https", "amqp", "ftp"]);
        let text = format!(
            "{scheme}://{}:{secret}@{}.example.com:{}/main",
            d.pick(&["app", "admin", "anna", "svc_backup"]),
            d.pick(&["db", "cache-1", "repo"]),
            1000 + d.number(9000)
        );
        Secret { name: "database".into(), parts: vec![text.clone()], text }
    }),
    ("connection string", Kind::Said, |d| {
        let p = word_password(d).replace([';', '"'], "");
        Secret::said(
            format!(
                "\"Default\": \"Server=db{}.local;Database=shop;User Id=app;Password={p};Encrypt=true\"",
                d.number(9)
            ),
            p,
        )
    }),
    ("authorization", Kind::Said, authorization),
    ("password in config", Kind::Said, password_in_config),
    ("password in prose", Kind::Said, password_in_prose),
    ("password elsewhere", Kind::Said, password_in_german_french_spanish),
    ("password in a shell", Kind::Said, password_in_a_shell),
    ("wireguard", Kind::Said, |d| {
        let k = format!(
            "{}=",
            d.signs(BASE64, 42)
                + d.pick(&["A", "E", "I", "M", "Q", "U", "Y", "c", "g", "k", "o", "s", "w", "0", "4", "8"])
        );
        Secret::said(format!("[Interface]\nAddress = 10.0.0.2/32\nPrivateKey = {k}"), k)
    }),
    ("pem", Kind::Block, |d| pem(d, "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----")),
    ("openssh", Kind::Block, |d| {
        pem(d, "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----")
    }),
    ("pgp", Kind::Block, |d| {
        pem(d, "-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "-----END PGP PRIVATE KEY BLOCK-----")
    }),
    ("pem, cut off", Kind::Block, |d| pem(d, "-----BEGIN EC PRIVATE KEY-----", "")),
    ("card", Kind::Number, card),
    ("iban", Kind::Number, iban),
    ("social security", Kind::Number, |d| {
        Secret::new(
            "SSN",
            format!("{:03}-{:02}-{:04}", 1 + d.number(665), 1 + d.number(99), 1 + d.number(9999)),
        )
    }),
    ("phone", Kind::Number, phone),
    ("pin", Kind::Said, pin),
    ("code by mail", Kind::Said, code_by_mail),
    ("wallet words", Kind::Said, wallet_words),
    ("national id", Kind::Number, national_id),
];

fn pem(d: &mut Dice, begin: &str, end: &str) -> Secret {
    let lines: Vec<String> = (0..6 + d.number(20)).map(|_| d.signs(BASE64, 64)).collect();
    let lines = [lines, vec![d.signs(BASE64, 31) + "="]].concat();
    Secret {
        name: String::new(),
        text: format!("{begin}\n{}\n{end}", lines.join("\n")).trim_end().to_owned(),
        parts: lines,
    }
}

fn card(d: &mut Dice) -> Secret {
    let (prefix, size) =
        [("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("36", 14)][d.number(6)];
    let mut number = format!("{prefix}{}", d.signs(DIGIT, size - 1 - prefix.len()));
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, b)| (u32::from(b - b'0')) * if at % 2 == 0 { 2 } else { 1 })
        .map(|n| n / 10 + n % 10)
        .sum();
    number.push_str(&((10 - sum % 10) % 10).to_string());
    let groups: &[usize] = match size {
        16 => &[4, 4, 4, 4],
        15 => &[4, 6, 5],
        _ => &[4, 6, 4],
    };
    Secret::new(
        d.pick(&["Visa", "card number", "credit card", "Kreditkarte", "card"]),
        grouped(d, &number, groups, &[" ", "-", "", "\u{a0}"]),
    )
}

fn grouped(d: &mut Dice, number: &str, groups: &[usize], signs: &[&str]) -> String {
    let sign = d.pick(signs);
    let mut rest = number;
    let mut parts = Vec::new();
    for group in groups {
        let (part, more) = rest.split_at((*group).min(rest.len()));
        parts.push(part);
        rest = more;
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts.join(sign)
}

fn iban(d: &mut Dice) -> Secret {
    let (country, head, size) = [
        ("DE", "", 18),
        ("FR", "", 23),
        ("ES", "", 20),
        ("AT", "", 16),
        ("NL", "INGB", 10),
        ("GB", "NWBK", 14),
    ][d.number(6)];
    let account = format!("{head}{}", d.signs(DIGIT, size));
    let digits: String =
        format!("{account}{country}00").chars().map(|c| c.to_digit(36).unwrap().to_string()).collect();
    let rest = digits.bytes().fold(0, |rest, b| (rest * 10 + u32::from(b - b'0')) % 97);
    let number = format!("{country}{:02}{account}", 98 - rest);
    Secret::new(
        d.pick(&["IBAN", "account", "Konto", "bank"]),
        grouped(d, &number, &[4, 4, 4, 4, 4, 4, 4], &[" ", ""]),
    )
}

fn phone(d: &mut Dice) -> Secret {
    let n = |d: &mut Dice, count| d.signs("123456789", count);
    let number = match d.number(9) {
        0 => format!("+49 17{} {}", d.number(10), n(d, 7)),
        1 => format!("+1 (4{}) {}-{}", n(d, 2), format_args!("5{}", n(d, 2)), n(d, 4)),
        2 => format!("({}) {}-{}", format_args!("2{}", n(d, 2)), format_args!("7{}", n(d, 2)), n(d, 4)),
        3 => format!("6{}-3{}-{}", n(d, 2), n(d, 2), n(d, 4)),
        4 => format!("0171 {}", n(d, 7)),
        5 => format!("06 {} {} {} {}", n(d, 2), n(d, 2), n(d, 2), n(d, 2)),
        6 => format!("+34 6{} {} {}", n(d, 2), n(d, 3), n(d, 3)),
        7 => format!("+44 20 7{} {}", n(d, 3), n(d, 4)),
        _ => format!("030/{}", n(d, 7)),
    };
    Secret::new(d.pick(&["phone", "mobile", "number", "Handy", "Tel."]), number)
}

fn pin(d: &mut Dice) -> Secret {
    let p = d.signs(DIGIT, 4);
    let line = match d.number(8) {
        0 => format!("My PIN is {p}, don't tell anyone"),
        1 => format!("PIN: {p}"),
        2 => format!("the pin for the new debit card is {p}"),
        3 => format!("Die PIN der EC-Karte ist {p}."),
        4 => format!("SIM-PIN {p}, PUK im Ordner"),
        5 => format!("le code PIN est {p}"),
        6 => format!("El PIN de la tarjeta es {p}"),
        _ => format!("card_pin={p}"),
    };
    Secret::said(line, p)
}

fn code_by_mail(d: &mut Dice) -> Secret {
    let c = d.signs(DIGIT, 6);
    let split = format!("{} {}", &c[..3], &c[3..]);
    match d.number(10) {
        0 => Secret::said(format!("Your verification code is {c}. It expires in 10 minutes."), c),
        1 => Secret::said(format!("{c} is your Google verification code."), c),
        2 => Secret::said(
            format!(
                "Use the following one-time code to sign in:\n\n{c}\n\nIf this was not you, ignore this mail."
            ),
            c,
        ),
        3 => Secret::said(format!("Ihr Bestätigungscode lautet: {c}"), c),
        4 => Secret::said(format!("Votre code de vérification est {c}"), c),
        5 => Secret::said(format!("Tu código de verificación es {c}."), c),
        6 => Secret::said(format!("Security code: {split}"), split),
        7 => Secret::said(format!("Your OTP is {c}, valid for 5 min"), c),
        8 => Secret::said(format!("G-{c} is your code"), c),
        _ => Secret::said(format!("Enter code {c} to confirm the transfer"), c),
    }
}

/// From the lists that wallets use: common words of three to eight letters.
const WALLET: &[&str] = &[
    "abandon", "brick", "canyon", "debris", "eagle", "fabric", "garlic", "hazard", "ignore", "jungle",
    "kitten", "lemon", "magnet", "napkin", "oyster", "panda", "quiz", "ribbon", "saddle", "talent",
    "umbrella", "velvet", "walnut", "zebra", "what", "this", "fox", "orbit", "mirror", "twelve",
];

fn wallet_words(d: &mut Dice) -> Secret {
    let count = if d.number(2) == 0 { 12 } else { 24 };
    let words: Vec<&str> = (0..count).map(|_| d.pick(WALLET)).collect();
    let phrase = words.join(" ");
    match d.number(5) {
        0 => Secret::said(format!("My seed phrase is {phrase}"), phrase),
        1 => Secret::said(format!("recovery phrase for the Ledger: {phrase}"), phrase),
        2 => Secret::said(format!("MNEMONIC=\"{phrase}\""), phrase),
        3 => {
            let listed = words
                .iter()
                .enumerate()
                .map(|(n, word)| format!("{}. {word}", n + 1))
                .collect::<Vec<_>>()
                .join("\n");
            Secret {
                name: String::new(),
                text: format!("Wallet recovery words:\n{listed}"),
                parts: words
                    .iter()
                    .enumerate()
                    .map(|(n, word)| format!("{}. {word}\n", n + 1))
                    .take(count - 1)
                    .collect(),
            }
        }
        _ => {
            let (a, b) = (words[..count / 2].join(" "), words[count / 2..].join(" "));
            Secret {
                name: String::new(),
                text: format!("Here are the {count} words of the wallet, keep them offline:\n{a}\n{b}"),
                parts: vec![a, b],
            }
        }
    }
}

fn national_id(d: &mut Dice) -> Secret {
    match d.number(5) {
        0 => {
            let n = d.number(99_999_999);
            let letter = "TRWAGMYFPDXBNJZSQVHLCKE".as_bytes()[n % 23] as char;
            Secret::new("DNI", format!("{n:08}{letter}"))
        }
        1 => {
            let head = format!(
                "{}{:02}{:02}{:02}{:03}{:03}",
                1 + d.number(2),
                d.number(99),
                1 + d.number(12),
                10 + d.number(80),
                1 + d.number(900),
                1 + d.number(900)
            );
            let key = 97 - head.parse::<u64>().unwrap() % 97;
            Secret::new("numéro de sécurité sociale", format!("{head}{key:02}"))
        }
        2 => Secret::new(
            "National Insurance number",
            format!(
                "{} {:02} {:02} {:02} {}",
                d.pick(&["AB", "JK", "PX", "SC"]),
                d.number(99),
                d.number(99),
                d.number(99),
                d.signs("ABCD", 1)
            ),
        ),
        3 => Secret::new("passport number", format!("{}{}", d.signs("CFGHJK", 1), d.signs("123456789", 8))),
        _ => Secret::new("Steuer-ID", d.signs("123456789", 11)),
    }
}
