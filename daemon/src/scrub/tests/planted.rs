//! Secrets planted in texts of every day, from a seed. It knows how secrets look from their makers' descriptions and
//! nothing of the rules.

use super::formats::{FORMATS, Kind, Secret};

/// Numbers from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn number(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.number(from.len())]
    }

    pub fn signs(&mut self, alphabet: &str, count: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..count).map(|_| alphabet[self.number(alphabet.len())]).collect()
    }
}

/// A text with one secret in it.
pub struct Case {
    pub format: &'static str,
    pub text: String,
    /// The lines with the secret.
    pub planted: String,
    /// None of these may be left.
    pub secrets: Vec<String>,
    /// All of these should be.
    pub around: Vec<String>,
}

/// So many texts from a seed, the formats in turn.
pub fn cases(seed: u64, count: usize) -> Vec<Case> {
    let mut dice = Dice(seed);
    (0..count)
        .map(|n| {
            let (format, kind, make) = FORMATS[n % FORMATS.len()];
            let secret = make(&mut dice);
            plant(&mut dice, format, kind, &secret)
        })
        .collect()
}

/// Lines that people and programs write, without a secret.
const AROUND: &[&str] = &[
    "Thanks for the photos of the harbour, the light was lovely that evening.",
    "We meet on 17 May at 10:30 in room 204; bring the draft and two copies.",
    "The invoice comes to 1,299.00 EUR and is due on 2024-06-30.",
    "Please answer to otto.meyer@example.org, I am away until Thursday.",
    "def total(items): return sum(item.price for item in items)",
    "    let lines = text.lines().filter(|line| !line.is_empty()).count();",
    "cd ~/projects/garden && make test",
    "git log --oneline -n 20",
    "timeout: 30",
    "\"region\": \"eu-central-1\",",
    "log_level = \"info\"",
    "Der Zug nach Hamburg hatte schon wieder zwanzig Minuten Verspätung.",
    "Le marché ouvre à huit heures, sauf le lundi.",
    "La reunión se aplaza al martes por la tarde.",
    "[10:42] ben: lunch at the usual place?",
    "> Could you look at the second chapter again before Friday?",
    "2024-05-17T08:15:30Z INFO server started on port 8080 in 431 ms",
    "- [ ] water the tomatoes, call the plumber",
];

fn plant(dice: &mut Dice, format: &'static str, kind: Kind, secret: &Secret) -> Case {
    let mut value = secret.text.clone();
    let mut secrets = secret.parts.clone();
    let planted = match kind {
        Kind::Said => value,
        Kind::Block => block(dice, &value),
        Kind::Token | Kind::Number => {
            // One in eight is hidden by a trick.
            if let Some((tricky, parts)) = (dice.number(8) == 0).then(|| trick(dice, kind, &value)).flatten()
            {
                value = tricky;
                secrets = parts;
            }
            carry(dice, kind, &secret.name, &value)
        }
    };
    let mut around: Vec<String> = Vec::new();
    while around.len() < 6 {
        let line = dice.pick(AROUND).to_owned();
        if !around.contains(&line) {
            around.push(line);
        }
    }
    let at = dice.number(6);
    let text = [&around[..at], std::slice::from_ref(&planted), &around[at..]].concat().join("\n");
    Case { format, text, planted, secrets, around }
}

/// The value made hard to see, and what of it must not be left.
fn trick(dice: &mut Dice, kind: Kind, value: &str) -> Option<(String, Vec<String>)> {
    let middle = value.floor_char_boundary(value.len() / 2);
    match dice.number(3) {
        0 => {
            let hidden = format!(
                "{}{}{}",
                &value[..middle],
                dice.pick(&["\u{200b}", "\u{2060}", "\u{feff}", "\u{ad}"]),
                &value[middle..]
            );
            Some((hidden.clone(), vec![hidden]))
        }
        1 => {
            let wide: String = value
                .chars()
                .map(
                    |c| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c },
                )
                .collect();
            Some((wide.clone(), vec![wide]))
        }
        _ if kind == Kind::Token && value.len() >= 40 => {
            let at = 24 + dice.number(value.len() - 36);
            let mend = dice.pick(&["\n", "\n  ", "\\\n", "=\n", "\r\n", "\n> "]);
            Some((
                format!("{}{mend}{}", &value[..at], &value[at..]),
                vec![value[..at].to_owned(), value[at..].to_owned()],
            ))
        }
        _ => None,
    }
}

/// A value with a name in one of many surroundings.
fn carry(dice: &mut Dice, kind: Kind, name: &str, value: &str) -> String {
    let snake = name.to_lowercase().replace([' ', '-'], "_");
    let shout = snake.to_uppercase();
    let user = dice.pick(&["anna", "ben", "carla", "deploy", "root"]);
    let common = [
        format!("Hi {user}, the {name} you asked for is {value}. Please keep it to yourself."),
        format!("{name}: {value}"),
        format!("| {name} | {value} |"),
        format!("{{\"{snake}\": \"{value}\", \"enabled\": true}}"),
        format!("  {snake}: {value}"),
        format!("  {snake}: \"{value}\"  # from the old server"),
        format!("[09:1{}] {user}: here you go, {name} {value}", dice.number(10)),
        format!("> On Tuesday {user} wrote that the {name} is {value},"),
        format!("- {name} → `{value}`"),
        format!("<td>{name}</td><td>{value}</td>"),
        format!("{user};{name};{value};2024-05-17"),
    ];
    let of_tokens = [
        format!("export {shout}={value}"),
        format!("{shout}='{value}'"),
        format!("{snake} = \"{value}\""),
        format!("const {snake} = '{value}';"),
        format!("client.setOption(\"{snake}\", \"{value}\")"),
        format!("let client = Client::new(\"{value}\"); // {name}"),
        format!("{snake}={value} ./run.sh --verbose"),
        format!("2024-05-17T08:15:31Z DEBUG {snake}={value} accepted"),
        format!("<add key=\"{snake}\" value=\"{value}\" />"),
        format!("config set --{} {value}", snake.replace('_', "-")),
        format!("    [InlineData(\"{snake}\", \"{value}\")]"),
        format!("\"env\": [{{\"name\": \"{shout}\", \"value\": \"{value}\"}}]"),
    ];
    let n = dice.number(if kind == Kind::Token { common.len() + of_tokens.len() } else { common.len() });
    common.into_iter().chain(of_tokens).nth(n).unwrap_or_default()
}

/// A text of several lines as it is, quoted, indented, or as a string of JSON.
fn block(dice: &mut Dice, value: &str) -> String {
    let each = |mark: &str| value.lines().map(|line| format!("{mark}{line}")).collect::<Vec<_>>().join("\n");
    match dice.number(6) {
        0 => each("> "),
        1 => format!("private_key: |\n{}", each("    ")),
        2 => format!("{{\"private_key\": \"{}\"}}", value.replace('\n', "\\n")),
        3 => value.replace('\n', "\r\n"),
        4 => format!("cat > key <<EOF\n{value}\nEOF"),
        _ => value.to_owned(),
    }
}
