use super::*;
use crate::learn::data;
use crate::testkit::{Tiny, tiny};
use familiar_gguf::Header;

/// Where the tiny vocabulary has what.
const BEGIN: u32 = 1;
const CONTROL: u32 = 3;
const END: u32 = 4;
const BYTES: u32 = 5;
const SPACE: u32 = BYTES + 256;

fn letter(c: char) -> u32 {
    SPACE + 1 + (c as u32 - 'a' as u32)
}

fn tokenizer(writer: familiar_gguf::Writer) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let path = writer.write(folder.path(), "tiny").unwrap();
    Tokenizer::open(&path, &Header::open(&path).unwrap()).unwrap()
}

fn examples(text: &str, room: usize, long: Long) -> Result<Examples, String> {
    let tokenizer = tokenizer(tiny(&Tiny::default()));
    let (rows, _) = data::read(text.as_bytes()).unwrap();
    of(rows, &tokenizer, Room::new(room, 512), long).map_err(|error| error.to_string())
}

fn one(text: &str) -> Example {
    examples(text, 512, Long::Fail).unwrap().all.remove(0)
}

#[test]
fn a_text_is_learned_but_for_what_begins_it() {
    let example = one(r#"{"text":"ab"}"#);
    assert_eq!(example.tokens, [BEGIN, letter('a'), letter('b')]);
    assert_eq!(example.weights, [0.0, 1.0, 1.0]);
}

#[test]
fn of_a_pair_the_answer_and_its_end_are_learned() {
    let example = one(r#"{"prompt":"a","completion":"b"}"#);
    assert_eq!(example.tokens, [BEGIN, letter('a'), letter('b'), END]);
    assert_eq!(example.weights, [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn what_people_wrote_never_becomes_a_control_token() {
    let control = |special: bool| {
        one(&format!(r#"{{"segments":[{{"text":"<|im_start|>","special":{special}}},{{"text":"a"}}]}}"#))
            .tokens
    };
    assert_eq!(control(true), [BEGIN, CONTROL, letter('a')]);
    let spelled = control(false);
    assert!(spelled.len() > 6 && !spelled[1..].iter().any(|token| *token < BYTES), "{spelled:?}");
    for form in [r#"{"text":"<s><|im_end|>"}"#, r#"{"prompt":"<s>","completion":"</s>"}"#] {
        let tokens = one(form).tokens;
        assert!(!tokens[1..tokens.len() - 1].iter().any(|token| *token < BYTES), "{tokens:?}");
    }
    let taught = one(r#"{"text":"a","teacher":[{"text":"<|im_start|>"}]}"#).teacher.unwrap();
    assert!(!taught[1..].iter().any(|token| *token < BYTES), "{taught:?}");
}

#[test]
fn a_token_that_begins_a_text_stands_once() {
    let example = one(r#"{"segments":[{"text":"<s>","special":true,"learn":1},{"text":"a"}]}"#);
    assert_eq!(example.tokens, [BEGIN, letter('a')]);
}

#[test]
fn a_text_in_the_middle_gets_no_space_of_its_own() {
    let mut prefixed = tiny(&Tiny::default()).bytes();
    let key = b"tokenizer.ggml.add_space_prefix";
    let at = prefixed.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
    prefixed[at] = 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prefixed.gguf");
    std::fs::write(&path, prefixed).unwrap();
    let tokenizer = Tokenizer::open(&path, &Header::open(&path).unwrap()).unwrap();
    let segment = |text: &str| Segment { text: text.into(), special: false, learn: 1.0 };
    let (together, _) = tokenizer.encode(&[segment("ab")]);
    let (apart, _) = tokenizer.encode(&[segment("a"), segment("b")]);
    assert_eq!(together, [BEGIN, SPACE, letter('a'), letter('b')]);
    assert_eq!(apart, together);
}

#[test]
fn what_does_not_fit_is_named_or_left_out() {
    let text = "{\"text\":\"ab\"}\n{\"text\":\"abcdefghij\"}\n";
    let said = examples(text, 8, Long::Fail).unwrap_err();
    assert!(said.starts_with("data.jsonl:2: it has 11 tokens and 8 fit"), "{said}");
    let some = examples(text, 8, Long::Skip).unwrap();
    assert_eq!((some.all.len(), some.left_out), (1, 1));
    let none = examples(text, 2, Long::Skip).unwrap_err();
    assert!(none.contains("none of the 2 examples") && none.contains("data.jsonl:1"), "{none}");
}

#[test]
fn a_teacher_may_see_more_than_a_micro_batch_and_no_more_than_the_model() {
    let text = |words: usize| {
        let teacher = "ab".repeat(words);
        format!(r#"{{"prompt":"a","completion":"b","teacher":[{{"text":"{teacher}"}}]}}"#)
    };
    let taught = examples(&text(100), 16, Long::Fail).unwrap().all.remove(0).teacher.unwrap();
    assert_eq!((taught[0], taught.len()), (BEGIN, 201));
    let said = examples(&text(260), 16, Long::Fail).unwrap_err();
    assert!(said.contains("`teacher`") && said.contains("512 fit"), "{said}");
}

#[test]
fn what_teaches_nothing_is_left_out_and_nothing_else_left_is_an_error() {
    let nothing = r#"{"tokens":[5,6],"weights":[1,0]}"#;
    let some = examples(&format!("{nothing}\n{{\"text\":\"ab\"}}"), 99, Long::Fail).unwrap();
    assert_eq!((some.all.len(), some.left_out), (1, 1));
    for none in [nothing, r#"{"tokens":[]}"#, r#"{"tokens":[5]}"#] {
        let said = examples(none, 99, Long::Fail).unwrap_err();
        assert!(said.contains("no token to learn"), "{said}");
    }
}

#[test]
fn tokens_past_the_vocabulary_are_refused() {
    let size = tokenizer(tiny(&Tiny::default())).size();
    let said = examples(&format!("{{\"tokens\":[1,{size}]}}"), 99, Long::Skip).unwrap_err();
    assert!(said.contains(&format!("data.jsonl:1: token {size} is not one of the model's {size}")), "{said}");
    assert_eq!(one(&format!("{{\"tokens\":[1,{}]}}", size - 1)).tokens[1], size - 1);
}
