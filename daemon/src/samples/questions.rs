//! Questions on a sentence, made from its words: a model that is too small to ask good ones learns from these. English
//! only; a sentence that is not understood gives fewer. Pure.

/// Verbs that a statement about daily things is often made with, and their plain forms.
const VERBS: &str = "has have, needs need, costs cost, takes take, lives live, works work, opens open, closes close, \
    starts start, begins begin, ends end, likes like, wants want, owns own, holds hold, keeps keep, contains contain, \
    weighs weigh, stands stand, lies lie, hangs hang, comes come, goes go, runs run, meets meet, plays play, teaches teach, \
    drives drive, uses use, sleeps sleep, arrives arrive, leaves leave, expires expire, belongs belong, owes owe, pays pay, \
    sings sing, eats eat, drinks drink, wears wear, speaks speak, sits sit, grows grow, calls call, collects collect, \
    prefers prefer, repairs repair, sells sell, hates hate, studies study, carries carry, flies fly, reads read, says say";
const BE: [&str; 5] = ["is", "are", "was", "were", "must"];
/// Words by which a fact is not found.
const STOP: &str = " a an the of and or to in for on with by at from as is are be was were that which who whose this these \
    those it its not no i you he she we they my your his her our their me us them has have had do does did will would can \
    could must should may there here than then so but if when where what how why up out over under about into only very just ";

/// Longest subject of a question, in words.
const SUBJECT: usize = 9;

/// The sentences of a text that are worth asking about, as they stand there.
pub fn sentences(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.trim_start_matches(['#', '-', '*', '>', ' ', '\t']));
    let sentences = lines.flat_map(|line| line.split_inclusive(". ")).map(str::trim);
    sentences.filter(|sentence| sentence.split_whitespace().count() >= 4).collect()
}

/// Questions that a sentence answers, several forms of it. `heading` names what a text without a subject is about.
pub fn asked(sentence: &str, heading: &str) -> Vec<String> {
    let plain = sentence.trim_end_matches(['.', '!', ';', ' ']);
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut asked = Vec::new();
    if let Some((at, verb)) = verb(&words) {
        let subject = subject(&words[..at], heading);
        let is_be = BE.contains(&verb);
        match is_be {
            true => asked.push(format!("What {verb} {subject}?")),
            false => asked.push(format!("What does {subject} {verb}?")),
        }
        let word = place_or_time(&words[at + 1..]);
        match (word, is_be) {
            (Some(word), true) => asked.push(format!("{word} {verb} {subject}?")),
            (Some(word), false) => asked.push(format!("{word} does {subject} {verb}?")),
            (None, _) => {}
        }
        asked.push(format!("Tell me about {subject}."));
        asked.push(format!("{subject}?"));
    }
    let kept: Vec<&str> = words.iter().copied().filter(|word| !is_stop(word)).map(bare).collect();
    // Of what identifies the fact: its first words, without the last, which often are the answer.
    let keys = &kept[..kept.len() - kept.len() / 3];
    if keys.len() >= 2 {
        asked.push(keys.join(" ").to_lowercase());
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

/// Where the statement's verb stands, and how it is written in a question.
fn verb<'a>(words: &[&'a str]) -> Option<(usize, &'a str)> {
    words.iter().enumerate().skip(1).take(SUBJECT).find_map(|(at, word)| {
        if BE.contains(word) {
            return Some((at, *word));
        }
        let plain =
            VERBS.split(", ").find_map(|pair| pair.trim().split_once(' ').filter(|(third, _)| third == word));
        plain.map(|(_, plain)| (at, plain))
    })
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
                "Code garden gate"
            ]
        );
        assert_eq!(asked("Mira drives a green van", "")[0], "What does Mira drive?");
        assert_eq!(asked("The bakery opens at 6:30.", "")[1], "When does the bakery open?");
        assert_eq!(asked("It is under the third step.", "spare key")[1], "Where is spare key?");
        assert_eq!(asked("Buy milk, eggs and bread", ""), ["Buy milk eggs"]);
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
