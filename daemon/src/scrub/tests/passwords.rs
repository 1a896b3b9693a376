//! Passwords as people make them, and where they write them down.

use super::formats::{ALNUM, BASE64, DIGIT, Secret};
use super::planted::Dice;

const WORDS: &[&str] = &[
    "sunflower",
    "Brown",
    "hunter",
    "winter",
    "Dragon",
    "monkey",
    "garden",
    "Berlin",
    "coffee",
    "Summer",
    "tiger",
    "Marble",
    "rocket",
    "Willow",
    "piano",
    "Copper",
    "silver",
    "Lena",
    "otter",
    "Maple",
];

/// As people make them: words, years, signs; one in three from a manager.
pub fn word_password(d: &mut Dice) -> String {
    match d.number(9) {
        0 => format!("{}{}", d.pick(WORDS), d.signs(DIGIT, 2)),
        1 => format!("{}{}-{}", d.pick(WORDS), d.number(10), d.pick(WORDS)),
        2 => format!("{}{}!", d.pick(WORDS), 1970 + d.number(55)),
        3 => format!("{}_{}{}", d.pick(WORDS), d.pick(WORDS), d.signs("!$%&#", 1)) + &d.signs(DIGIT, 1),
        4 => {
            d.pick(WORDS).replace('e', "3").replace('o', "0").replace('i', "1").replace('a', "@")
                + &d.signs(DIGIT, 3)
        }
        5 => {
            format!("{}-{}-{}-{}", d.pick(WORDS), d.pick(WORDS), d.pick(WORDS), d.pick(WORDS)).to_lowercase()
        }
        6 => d.signs("ABCDEFGHJKMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789!$%&*+-=?_", 14),
        7 => d.signs(ALNUM, 12),
        _ => d.signs("abcdefghijkmnopqrstuvwxyz23456789", 10) + &d.signs("23456789", 1),
    }
}

pub fn password_in_config(d: &mut Dice) -> Secret {
    let p = word_password(d);
    let line = match d.number(12) {
        0 => format!("password = {p}"),
        1 => format!("  password: \"{p}\""),
        2 => format!("DB_PASSWORD={p}"),
        3 => format!("\"smtp\": {{\"user\": \"anna\", \"pass\": \"{p}\"}},"),
        4 => format!("<password>{p}</password>"),
        5 => format!("machine git.example.org login anna password {p}"),
        6 => format!("    wpa_passphrase={p}"),
        7 => format!("String dbPassword = \"{p}\";"),
        8 => format!("conn = connect(host=\"db\", user=\"app\", password='{p}')"),
        9 => format!("config.setPassword(\"{p}\");"),
        10 => format!("password: |\n  {p}"),
        _ => format!("spring.datasource.password={p}"),
    };
    Secret::said(line, p)
}

pub fn password_in_prose(d: &mut Dice) -> Secret {
    let p = word_password(d);
    let line = match d.number(14) {
        0 => format!("By the way, the password is {p}"),
        1 => format!("The password for the guest wifi is {p}, it changes in June."),
        2 => format!("You can log in with anna and the password {p}."),
        3 => format!("My new password: {p}"),
        4 => format!("I set the admin password to {p} yesterday"),
        5 => format!("{p} is the password for the printer."),
        6 => format!("use {p} as password until the new one arrives"),
        7 => format!("pw: {p}"),
        8 => format!("[18:03] mum: whats the netflix password again\n[18:04] me: password is still {p} :)"),
        9 => format!("Username: anna\nPassword: {p}"),
        10 => format!("**Password:** `{p}`"),
        11 => format!("Our alarm system's passphrase is \"{p}\"."),
        12 => format!("login anna / pass: {p}"),
        _ => format!("Remember: password for the bank = {p}"),
    };
    Secret::said(line, p)
}

pub fn password_in_german_french_spanish(d: &mut Dice) -> Secret {
    let p = word_password(d);
    let line = match d.number(12) {
        0 => format!("Das Passwort lautet {p}."),
        1 => format!("Das Kennwort für den Router ist {p}"),
        2 => format!("Passwort: {p}"),
        3 => format!("Mein neues Passwort ist übrigens {p}, bitte nicht weitersagen."),
        4 => format!("WLAN-Passwort: „{p}“"),
        5 => format!("Le mot de passe est {p}."),
        6 => format!("Mot de passe : {p}"),
        7 => format!("le mot de passe du wifi, c'est {p}"),
        8 => format!("La contraseña es {p}"),
        9 => format!("contraseña: {p}"),
        10 => format!("La contraseña del wifi es {p}, apúntala."),
        _ => format!("mdp = {p}"),
    };
    Secret::said(line, p)
}

pub fn password_in_a_shell(d: &mut Dice) -> Secret {
    let p = word_password(d).replace(['&', '!', '$', '#', '*', '?'], "+");
    let line = match d.number(10) {
        0 => format!("mysql -u root -p{p} shop < dump.sql"),
        1 => format!("sshpass -p '{p}' ssh deploy@10.0.0.7"),
        2 => format!("curl -u anna:{p} https://repo.example.com/x"),
        3 => format!("PGPASSWORD={p} psql -h db.local -U app"),
        4 => format!("export ADMIN_PASSWORD='{p}'"),
        5 => format!("./deploy.sh --user admin --password {p} --dry-run"),
        6 => format!("openssl rsa -in key.pem -passin pass:{p} -out plain.pem"),
        7 => format!("  512  2024-05-17 echo {p} | sudo -S apt update"),
        8 => format!("docker login -u anna -p {p} registry.example.com"),
        _ => format!("redis-cli -h cache -a {p} ping"),
    };
    Secret::said(line, p)
}

pub fn authorization(d: &mut Dice) -> Secret {
    let t = d.signs(ALNUM, 28);
    let basic = format!("{}==", d.signs(BASE64, 22));
    match d.number(6) {
        0 => Secret::said(format!("Authorization: Bearer {t}"), t),
        1 => Secret::said(format!("curl -H 'Authorization: token {t}' https://api.example.com/v1/me"), t),
        2 => Secret::said(format!("headers = {{\"Authorization\": \"Basic {basic}\"}}"), basic),
        3 => Secret::said(format!("Proxy-Authorization: Basic {basic}"), basic),
        4 => Secret::said(format!("X-Api-Key: {t}"), t),
        _ => Secret::said(format!("req.header('authorization', 'Bearer {t}')"), t),
    }
}
