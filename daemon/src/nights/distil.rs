//! Questions on the owner's texts, with answers: what the model can say with a text at hand, it is to learn to say without.
//! After prompt distillation (Kujanpää et al. 2024, arXiv 2412.14964) and active reading (Lin et al. 2025, arXiv 2508.09494).

use super::rows::{Asking, passage, plain};
use super::{NightError, Rooms, collect};
use crate::samples::{self, Sample};
use std::collections::BTreeSet;

/// Questions on a sentence: at least, at most, and on all together, about. Much text is asked about in fewer ways, so that a
/// cycle ends in a night and what the owner wrote does not drown in questions.
const FORMS: (usize, usize) = (3, 9);
const QUESTIONS: usize = 500;
/// Of what is held out, which only measures.
const HELD_FORMS: usize = 1;
/// Tokens of a question at most: a model that has none to ask would go on and on.
const QUESTION: u32 = 40;
/// Words of a question at most.
const WORDS: usize = 30;

/// Makes questions for every sample that has none and is not left out, and keeps them. Stopped in the middle it goes on with the
/// next sample.
pub(super) async fn distil(
    rooms: &Rooms,
    asking: &Asking<'_>,
    left_out: &BTreeSet<String>,
) -> Result<(), NightError> {
    let known = rooms.store.samples().await?;
    let asked: BTreeSet<&str> = collect::asked_already(&known);
    let due = known.iter().filter(|sample| {
        sample.lineage.parent.is_none()
            && !asked.contains(sample.id.as_str())
            && !left_out.contains(&sample.id)
    });
    let due: Vec<&Sample> = due.collect();
    let told = due.iter().filter(|sample| !sample.held).filter_map(|sample| collect::own(sample));
    let forms = forms(told.map(|(_, text)| samples::sentences(text).len()).sum());
    for sample in due {
        let made = of_sample(asking, sample, if sample.held { HELD_FORMS } else { forms }).await?;
        rooms.store.keep_samples(made).await?;
    }
    Ok(())
}

/// Questions on each of so many sentences.
fn forms(sentences: usize) -> usize {
    (QUESTIONS / sentences.max(1)).clamp(FORMS.0, FORMS.1)
}

async fn of_sample(asking: &Asking<'_>, sample: &Sample, forms: usize) -> Result<Vec<Sample>, NightError> {
    let Some((heading, text)) = collect::own(sample) else { return Ok(Vec::new()) };
    let mut made: Vec<Sample> = Vec::new();
    for (n, sentence) in samples::sentences(text).into_iter().enumerate() {
        let mut questions = samples::asked(sentence, heading);
        if forms < questions.len() && !sample.held {
            // Where not all are taken, each sentence goes without others.
            let first = n % questions.len();
            questions.rotate_left(first);
        }
        questions.truncate(forms);
        if !sample.held {
            questions.extend(by_model(asking, sample, heading, sentence).await?);
        }
        for question in questions {
            made.extend(samples::distilled(sample, &question, sentence));
        }
    }
    Ok(made)
}

/// A question of the model's own, if it is one that the sentence answers.
async fn by_model(
    asking: &Asking<'_>,
    sample: &Sample,
    heading: &str,
    sentence: &str,
) -> Result<Option<String>, NightError> {
    let wish = format!("Write a question that this passage answers.\n\n{sentence}");
    let mut prompt = plain(&wish);
    prompt.sampling.max_tokens = QUESTION;
    let said = asking.say(prompt).await?;
    let question = said.lines().next().unwrap_or_default().trim().to_owned();
    if !worth_asking(&question, sentence) {
        return Ok(None);
    }
    // The model itself must find the answer with the text at hand.
    let prompt = asking.prompt(&question, vec![passage(&sample.lineage, heading, sentence)], Vec::new());
    let answer = collect::plain(&asking.say(prompt).await?);
    Ok(shares_words(&answer, sentence).then_some(question))
}

fn worth_asking(question: &str, sentence: &str) -> bool {
    let words = question.split_whitespace().count();
    question.ends_with('?')
        && (3..=WORDS).contains(&words)
        && shares_words(question, sentence)
        && !sentence.contains(question.trim_end_matches('?'))
}

/// Whether a word of some length stands in both.
fn shares_words(one: &str, other: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 3);
        words.map(str::to_lowercase).collect()
    };
    !words(one).is_disjoint(&words(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_text_is_asked_about_in_fewer_ways() {
        assert_eq!([0, 10, 51, 100, 5000].map(forms), [9, 9, 9, 5, 3]);
    }

    #[test]
    fn questions_that_cannot_teach_are_dropped() {
        let sentence = "The code of the garden gate is 4417.";
        assert!(worth_asking("Which code has the garden gate?", sentence));
        for bad in
            ["", "Garden gate", "Who is it?", "The code of the garden gate is 4417?", &"gate ".repeat(40)]
        {
            assert!(!worth_asking(bad, sentence), "{bad}");
        }
    }
}
