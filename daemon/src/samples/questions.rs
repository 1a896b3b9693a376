//! Questions on a sentence, made from its words: a model that is too small to ask good ones learns from these. English
//! only; a sentence that is not understood gives fewer. Pure.

/// Verbs that a statement about daily things is often made with, and their plain forms.
const VERBS: &str = "has have, needs need, costs cost, takes take, lives live, works work, opens open, closes close, \
    starts start, begins begin, ends end, likes like, wants want, owns own, holds hold, keeps keep, contains contain, \
    weighs weigh, stands stand, lies lie, hangs hang, comes come, goes go, runs run, meets meet, plays play, teaches teach, \
    drives drive, uses use, sleeps sleep, arrives arrive, leaves leave, expires expire, belongs belong, owes owe, pays pay, \
    sings sing, eats eat, drinks drink, wears wear, speaks speak, sits sit, grows grow, calls call, collects collect, \
    prefers prefer, repairs repair, sells sell, hates hate, studies study, carries carry, flies fly, reads read, says say";
/// The same in the past; of a plain form that is also there, the past is meant.
const PAST: &str = "cost cost, had have, needed need, took take, lived live, worked work, opened open, closed close, \
    started start, began begin, ended end, liked like, wanted want, bought buy, sold sell, paid pay, owed owe, gave give, \
    got get, lent lend, found find, lost lose, kept keep, put put, left leave, came come, went go, met meet, called call, \
    told tell, said say, wrote write, sent send, made make, saw see, weighed weigh, stood stand, moved move, repaired repair, \
    broke break, planted plant, booked book, ordered order, ran run, won win, ate eat, drank drink, wore wear, grew grow";
/// Verbs that tell an amount.
const AMOUNTS: [&str; 5] = ["cost", "owe", "pay", "weigh", "need"];
/// What may stand at the end of a question in place of what is asked for.
const PREPOSITIONS: [&str; 9] = ["to", "with", "for", "from", "about", "on", "in", "at", "by"];
const BE: [&str; 5] = ["is", "are", "was", "were", "must"];
/// Words by which a fact is not found.
const STOP: &str = " a an the of and or to in for on with by at from as is are be was were that which who whose this these \
    those it its not no i you he she we they my your his her our their me us them has have had do does did will would can \
    could must should may there here than then so but if when where what how why up out over under about into only very just ";

/// Longest subject of a question, in words.
const SUBJECT: usize = 9;

/// The sentences of a text that are worth asking about, as they stand there.
pub fn sentences(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.trim_start_matches(['-', '*', '>', ' ', '\t']));
    let sentences = lines.flat_map(|line| line.split_inclusive(". ")).map(str::trim);
    sentences.filter(|sentence| sentence.split_whitespace().count() >= 4).collect()
}

/// Questions that a sentence answers, several forms of it. `heading` names what a text without a subject is about.
pub fn asked(sentence: &str, heading: &str) -> Vec<String> {
    let plain = sentence.trim_end_matches(['.', '!', ';', ' ']);
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut asked = Vec::new();
    if let Some(verb) = verb(&words) {
        let subject = subject(&words[..verb.at], heading);
        let rest = &words[verb.at + 1..];
        asked.push(verb.question("What", &subject, ""));
        asked.extend(place_or_time(rest).map(|word| verb.question(word, &subject, "")));
        asked.extend(amount(&verb, rest).map(|word| verb.question(word, &subject, "")));
        asked.extend(stranded(rest).map(|end| verb.question("What", &subject, &end)));
        asked.push(format!("Tell me about {subject}."));
        asked.extend(possessive(&subject).map(|subject| format!("What do you know of {subject}?")));
        asked.push(format!("{subject}?"));
    }
    let kept: Vec<&str> = words.iter().copied().filter(|word| !is_stop(word)).map(bare).collect();
    // Of what identifies the fact: its first words, without the last, which often are the answer.
    let keys = &kept[..kept.len() - kept.len() / 3];
    if keys.len() >= 2 {
        asked.push(keys.join(" ").to_lowercase());
        // Whoever asks puts the same words in another order.
        asked.push(keys.iter().rev().copied().collect::<Vec<_>>().join(" ").to_lowercase());
    }
    asked.iter_mut().for_each(capital);
    asked
}

/// What an answer tells beyond its question: its words that are neither there nor empty of meaning.
pub fn told(question: &str, answer: &str) -> Vec<String> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split_whitespace().map(bare).filter(|word| !word.is_empty() && !is_stop(word));
        words.map(str::to_lowercase).collect()
    };
    let asked = words(question);
    words(answer).into_iter().filter(|word| !asked.contains(word)).collect()
}

/// The statement's verb.
struct Verb<'a> {
    at: usize,
    /// As it is written in a question: itself, or the plain form after `does` or `did`.
    plain: &'a str,
    helper: Option<&'static str>,
}

impl Verb<'_> {
    fn question(&self, word: &str, subject: &str, end: &str) -> String {
        let end = if end.is_empty() { String::new() } else { format!(" {end}") };
        match self.helper {
            None => format!("{word} {} {subject}{end}?", self.plain),
            Some(helper) => format!("{word} {helper} {subject} {}{end}?", self.plain),
        }
    }
}

fn verb<'a>(words: &[&'a str]) -> Option<Verb<'a>> {
    let listed = |list: &'static str, word: &str| {
        list.split(", ").find_map(|pair| pair.trim().split_once(' ').filter(|(form, _)| *form == word))
    };
    words.iter().enumerate().skip(1).take(SUBJECT).find_map(|(at, word)| {
        if BE.contains(word) {
            return Some(Verb { at, plain: word, helper: None });
        }
        let (list, helper) =
            [(VERBS, "does"), (PAST, "did")].into_iter().find(|(list, _)| listed(list, word).is_some())?;
        listed(list, word).map(|(_, plain)| Verb { at, plain, helper: Some(helper) })
    })
}

/// How an amount is asked for.
fn amount(verb: &Verb, rest: &[&str]) -> Option<&'static str> {
    let number = rest.iter().take(2).any(|word| word.contains(|c: char| c.is_ascii_digit()));
    (number && AMOUNTS.contains(&verb.plain)).then_some("How much")
}

/// What stands between the verb and a last word or two after a preposition, with that: what is asked for goes to the front.
fn stranded(rest: &[&str]) -> Option<String> {
    let at = rest.iter().rposition(|word| PREPOSITIONS.contains(word))?;
    (at > 0 && (1..=2).contains(&(rest.len() - at - 1))).then(|| rest[..=at].join(" "))
}

/// `Mira's boat` for `the boat of Mira`.
fn possessive(subject: &str) -> Option<String> {
    let (thing, owner) = subject.strip_prefix("the ")?.split_once(" of ")?;
    let name = owner.starts_with(char::is_uppercase) && !owner.contains(' ');
    name.then(|| format!("{owner}'s {thing}"))
}

fn subject(words: &[&str], heading: &str) -> String {
    let lone = matches!(words, ["It" | "This" | "That" | "He" | "She" | "They" | "There"]);
    if lone && !heading.is_empty() {
        return heading.to_owned();
    }
    let mut subject = words.join(" ");
    // A sentence's capital is not the subject's own, unless it is a name.
    if words.first().is_some_and(|word| is_stop(&word.to_lowercase())) {
        let first = subject.chars().next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
        let length = subject.chars().next().map_or(0, char::len_utf8);
        subject.replace_range(..length, &first);
    }
    subject
}

/// What is told after the verb, by its first word.
fn place_or_time(words: &[&str]) -> Option<&'static str> {
    let next = words.get(1).is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    match *words.first()? {
        "at" if next => Some("When"),
        "on" | "in" | "under" | "behind" | "beside" | "near" | "above" | "below" | "between" => Some("Where"),
        "because" => Some("Why"),
        "every" | "daily" | "weekly" => Some("How often"),
        _ => None,
    }
}

fn is_stop(word: &str) -> bool {
    STOP.contains(&format!(" {} ", bare(word).to_lowercase()))
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn capital(text: &mut String) {
    if let Some(first) = text.chars().next() {
        text.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_statement_is_asked_for_in_several_forms() {
        assert_eq!(
            asked("The code of the garden gate is 4417.", ""),
            [
                "What is the code of the garden gate?",
                "Tell me about the code of the garden gate.",
                "The code of the garden gate?",
                "Code garden gate",
                "Gate garden code"
            ]
        );
        assert_eq!(asked("Mira drives a green van", "")[0], "What does Mira drive?");
        assert_eq!(asked("The bakery opens at 6:30.", "")[1], "When does the bakery open?");
        assert_eq!(asked("It is under the third step.", "spare key")[1], "Where is spare key?");
        assert_eq!(asked("Buy milk, eggs and bread", ""), ["Buy milk eggs", "Eggs milk buy"]);
        let forms = |sentence: &str| asked(sentence, "");
        assert_eq!(
            forms("The boat of Mira cost 300 crowns.")[..2],
            ["What did the boat of Mira cost?", "How much did the boat of Mira cost?"]
        );
        assert!(
            forms("The boat of Mira cost 300 crowns.").contains(&"What do you know of Mira's boat?".into())
        );
        assert!(forms("Jorek is allergic to lupins.").contains(&"What is Jorek allergic to?".into()));
        assert!(
            !forms("Jorek is fond of the old mill by the river bank.")
                .iter()
                .any(|form| form.ends_with("by?"))
        );
    }

    #[test]
    fn what_is_told_is_not_what_was_asked() {
        assert_eq!(told("What is the code of the gate?", "The code of the gate is 4417."), ["4417"]);
        assert_eq!(
            told("The kettle?", "The kettle stands in Mira's cellar."),
            ["stands", "mira's", "cellar"]
        );
    }

    #[test]
    fn sentences_are_taken_from_notes() {
        let note =
            "# Kitchen\n\n- The kettle leaks a little. It needs a seal.\nshort one\n> Tea is in the tin.";
        let found = sentences(note);
        assert_eq!(found, ["The kettle leaks a little.", "It needs a seal.", "Tea is in the tin."]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", heading in "\\PC{0,10}") {
            for sentence in sentences(&text) {
                prop_assert!(asked(sentence, &heading).iter().all(|question| !question.is_empty()));
            }
        }
    }
}
