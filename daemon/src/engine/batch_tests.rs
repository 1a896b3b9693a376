use super::*;
use crate::protocol::frames::Sampling;
use crate::types::{Message, Role, ToolChoice};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// A model that says the prompt's bytes one after the other, wrapping around: what it says next
/// depends on every token that the sequence really holds, so a wrong reuse shows.
struct Echo {
    context: u32,
    held: Vec<Vec<Token>>,
    /// Sampling positions of the last decode: what each sequence held then.
    last: HashMap<usize, Vec<Token>>,
    decoded: Vec<usize>,
    can_cut: bool,
    fail_next: bool,
}

struct EchoSampler {
    prompt: Vec<Token>,
    said: usize,
    end_after: usize,
}

const GRID: usize = 50;
const END: u8 = b'$';

impl Echo {
    fn new(context: u32, sequences: usize) -> Echo {
        let held = vec![Vec::new(); sequences];
        Echo { context, held, last: HashMap::new(), decoded: Vec::new(), can_cut: true, fail_next: false }
    }
}

impl Model for Echo {
    type Sampler = EchoSampler;

    fn context(&self) -> u32 {
        self.context
    }
    fn sequences(&self) -> usize {
        self.held.len()
    }
    fn grid(&self) -> usize {
        GRID
    }
    fn prompt(&self, request: &Generate) -> Result<Vec<Token>, Fault> {
        Ok(request.messages[0].content.bytes().map(Token::from).collect())
    }
    fn sampler(&self, request: &Generate) -> Result<EchoSampler, Fault> {
        if request.sampling.temperature < 0.0 {
            return Err(Fault::Invalid("cold".into()));
        }
        let prompt = self.prompt(request)?;
        let end_after = prompt.iter().position(|&token| token == Token::from(END)).unwrap_or(usize::MAX);
        Ok(EchoSampler { prompt, said: 0, end_after })
    }
    fn keep(&mut self, sequence: usize, length: usize) -> usize {
        let length = if self.can_cut || length == self.held[sequence].len() { length } else { 0 };
        self.held[sequence].truncate(length);
        length
    }
    fn decode(&mut self, feeds: &[Feed]) -> Result<(), Fault> {
        let reading = feeds.windows(2).all(|pair| pair[0].sequence == pair[1].sequence) && feeds.len() > 1;
        assert!(!reading || feeds[0].position.is_multiple_of(GRID) && feeds.len() <= GRID, "off the grid");
        self.last.clear();
        self.decoded.push(feeds.len());
        if std::mem::take(&mut self.fail_next) {
            return Err(Fault::Internal("out of luck".into()));
        }
        for (index, feed) in feeds.iter().enumerate() {
            assert_eq!(feed.position, self.held[feed.sequence].len(), "a hole in the cache");
            self.held[feed.sequence].push(feed.token);
            assert!(self.held[feed.sequence].len() <= self.context as usize, "past the context");
            if feed.last {
                self.last.insert(index, self.held[feed.sequence].clone());
            }
        }
        Ok(())
    }
    fn sample(&mut self, sampler: &mut EchoSampler, index: usize) -> Result<Sampled, Fault> {
        let held = &self.last[&index];
        let said = &sampler.prompt.iter().cycle().take(sampler.said).copied().collect::<Vec<_>>();
        assert_eq!(*held, [&sampler.prompt[..], said].concat(), "the cache holds another conversation");
        if sampler.said == sampler.end_after {
            return Ok(Sampled::End);
        }
        let token = sampler.prompt[sampler.said % sampler.prompt.len()];
        sampler.said += 1;
        Ok(Sampled::Token { token, bytes: vec![token as u8] })
    }
    fn tokens(&self, _: &Score) -> Result<Tokens, Fault> {
        Ok(Tokens::default())
    }

    fn score(&mut self, sequence: usize, score: &Score) -> Result<Scored, Fault> {
        self.held[sequence].clear();
        Ok(Scored { nats: vec![0.0; score.text.len()], bytes: score.text.len() as u64 })
    }
    fn called_tool(&self, _: &EchoSampler) -> bool {
        false
    }
}

fn ask(text: &str, max_tokens: u32) -> Generate {
    Generate {
        messages: vec![Message::new(Role::User, text)],
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        json_schema: None,
        quotes: None,
        sampling: Sampling { max_tokens, ..Sampling::default() },
    }
}

#[derive(Default)]
struct Seen {
    text: HashMap<u32, String>,
    started: HashMap<u32, (u32, u32)>,
    answers: HashMap<u32, Result<Reply, Fault>>,
    order: Vec<u32>,
}

/// Steps until nobody waits any more.
fn run(batch: &mut Batch<Echo, u32>, cancelled: &HashSet<u32>) -> Seen {
    let seen = RefCell::new(Seen::default());
    while !batch.idle() {
        let answers = batch.step(
            |ticket| cancelled.contains(ticket).then_some(Fault::Cancelled),
            |ticket, event| match event {
                Event::Text(text) => {
                    let mut seen = seen.borrow_mut();
                    seen.text.entry(*ticket).or_default().push_str(&text);
                    seen.order.push(*ticket);
                }
                Event::Started { prompt_tokens, cached_tokens } => {
                    seen.borrow_mut().started.insert(*ticket, (prompt_tokens, cached_tokens));
                }
                Event::Progress { .. } | Event::Step(_) => {}
            },
        );
        seen.borrow_mut().answers.extend(answers);
    }
    seen.into_inner()
}

fn finish(seen: &Seen, ticket: u32) -> Finish {
    match &seen.answers[&ticket] {
        Ok(Reply::Generated { finish, .. }) => *finish,
        other => panic!("{other:?}"),
    }
}

fn none() -> HashSet<u32> {
    HashSet::new()
}

#[test]
fn an_answer_ends_by_itself_or_by_its_limit() {
    let mut batch = Batch::new(Echo::new(100, 1));
    assert!(batch.admit(1, &ask("hello$x", 50)).is_none());
    let seen = run(&mut batch, &none());
    assert_eq!((seen.text[&1].as_str(), finish(&seen, 1)), ("hello", Finish::Stop));
    batch.admit(2, &ask("abc", 7));
    let seen = run(&mut batch, &none());
    assert_eq!((seen.text[&2].as_str(), finish(&seen, 2)), ("abcabca", Finish::Length));
    let Ok(Reply::Generated { usage, .. }) = &seen.answers[&2] else { panic!() };
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (3, 7));
}

#[test]
fn many_conversations_run_side_by_side() {
    let mut batch = Batch::new(Echo::new(64, 3));
    for ticket in 0..20u32 {
        batch.admit(ticket, &ask(&format!("conversation {ticket} ends$"), 40));
    }
    let seen = run(&mut batch, &none());
    for ticket in 0..20 {
        assert_eq!(seen.text[&ticket], format!("conversation {ticket} ends"));
    }
    let both = seen.order.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(both > 100, "they took turns: {both}");
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_whole() {
    let mut batch = Batch::new(Echo::new(100, 1));
    let (_, answer) = batch.admit(1, &ask(&"x".repeat(90), 512)).unwrap();
    assert_eq!(answer, Err(Fault::PromptTooLong { tokens: 90, limit: 75 }));
    assert!(batch.admit(2, &ask(&"x".repeat(90), 10)).is_none(), "a short answer leaves more room");
    assert_eq!(finish(&run(&mut batch, &none()), 2), Finish::Length);
    assert!(matches!(batch.admit(3, &ask("", 5)), Some((3, Err(Fault::Invalid(_))))));
}

#[test]
fn a_full_context_ends_the_answer() {
    let mut batch = Batch::new(Echo::new(32, 1));
    batch.admit(1, &ask("0123456789", 512));
    let seen = run(&mut batch, &none());
    assert_eq!(finish(&seen, 1), Finish::Length);
    // 32 positions hold the prompt and all of the answer but its last token.
    assert_eq!(seen.text[&1].len(), 22);
}

#[test]
fn a_prompt_that_begins_the_same_is_not_decoded_again() {
    let mut batch = Batch::new(Echo::new(400, 2));
    batch.admit(1, &ask(&("a".repeat(200) + "$"), 250));
    run(&mut batch, &none());
    batch.admit(2, &ask("something else$", 50));
    run(&mut batch, &none());
    batch.admit(3, &ask(&("a".repeat(170) + "bc$"), 250));
    let seen = run(&mut batch, &none());
    assert_eq!(seen.started[&3], (173, 150), "whole calls are reused");
    assert_eq!(seen.text[&3], "a".repeat(170) + "bc");
    batch.admit(4, &ask(&"a".repeat(150), 9));
    let seen = run(&mut batch, &none());
    assert_eq!(seen.started[&4], (150, 100), "the last token is decoded again for its logits");
    assert_eq!(seen.text[&4], "a".repeat(9));
    // What was written one by one is not what a prompt's call would have made.
    batch.admit(5, &ask(&"a".repeat(300), 9));
    assert_eq!(run(&mut batch, &none()).started[&5], (300, 150));
}

#[test]
fn a_memory_that_cannot_be_cut_starts_again() {
    let mut model = Echo::new(400, 1);
    model.can_cut = false;
    let mut batch = Batch::new(model);
    batch.admit(1, &ask(&("a".repeat(120) + "$"), 150));
    run(&mut batch, &none());
    batch.admit(2, &ask(&("a".repeat(110) + "$"), 150));
    let seen = run(&mut batch, &none());
    assert_eq!((seen.started[&2], seen.text[&2].len()), ((111, 0), 110));
}

#[test]
fn the_cancelled_stop_and_the_others_go_on() {
    let mut batch = Batch::new(Echo::new(100, 1));
    for ticket in 1..=3 {
        batch.admit(ticket, &ask("ab", 10));
    }
    let seen = run(&mut batch, &HashSet::from([1, 2]));
    assert_eq!(seen.answers[&1], Err(Fault::Cancelled));
    assert_eq!(seen.answers[&2], Err(Fault::Cancelled));
    assert_eq!(seen.text[&3], "ababababab");
    assert!(!seen.text.contains_key(&1));
}

#[test]
fn cancelling_takes_effect_within_one_step() {
    let mut batch = Batch::new(Echo::new(100, 1));
    batch.admit(1, &ask("ab", 50));
    let mut written = 0;
    for _ in 0..5 {
        assert!(
            batch
                .step(|_| None, |_, event| written += usize::from(matches!(event, Event::Text(_))))
                .is_empty()
        );
    }
    let answers = batch.step(|_| Some(Fault::Cancelled), |_, _| panic!("nothing after a cancel"));
    assert_eq!(answers, vec![(1, Err(Fault::Cancelled))]);
    assert_eq!(written, 5);
    assert!(batch.idle());
}

#[test]
fn long_prompts_are_decoded_in_parts_and_do_not_hold_up_a_writer() {
    let mut batch = Batch::new(Echo::new(4000, 2));
    batch.admit(1, &ask("w", 100));
    batch.step(|_| None, |_, _| ());
    batch.admit(2, &ask(&"p".repeat(1000), 5));
    let seen = run(&mut batch, &none());
    assert_eq!(seen.text[&1].len() + 1, 100);
    assert_eq!(seen.text[&2], "ppppp");
    // Six calls reach the 256 tokens of a step, then the writer has its turn.
    assert_eq!(batch.model().decoded[1..10], [1, 50, 50, 50, 50, 50, 50, 1, 50]);
    let mut batch = Batch::new(Echo::new(4000, 1));
    batch.admit(1, &ask(&"p".repeat(120), 1));
    run(&mut batch, &none());
    assert_eq!(batch.model().decoded, [50, 50, 20]);
}

#[test]
fn a_failed_decode_fails_its_conversations_and_serves_the_next() {
    let mut batch = Batch::new(Echo::new(100, 2));
    batch.admit(1, &ask("first$", 50));
    run(&mut batch, &none());
    batch.model.fail_next = true;
    batch.admit(2, &ask("first again$", 50));
    batch.admit(3, &ask("third$", 50));
    let seen = run(&mut batch, &none());
    assert!(seen.answers[&2].is_err() && seen.answers[&3].is_err());
    batch.admit(4, &ask("first$", 50));
    let seen = run(&mut batch, &none());
    assert_eq!((seen.started[&4], seen.text[&4].as_str()), ((6, 0), "first"));
}

#[test]
fn stop_strings_end_an_answer_and_characters_come_whole() {
    let mut batch = Batch::new(Echo::new(100, 1));
    let mut request = ask("one€ two END three", 50);
    request.sampling.stop = vec!["END".into(), "nothing".into()];
    batch.admit(1, &request);
    let seen = run(&mut batch, &none());
    assert_eq!((seen.text[&1].as_str(), finish(&seen, 1)), ("one€ two ", Finish::Stop));
    // Cut inside the euro sign: what cannot become a character any more is marked.
    batch.admit(2, &ask("€", 2));
    let seen = run(&mut batch, &none());
    assert_eq!((seen.text[&2].as_str(), finish(&seen, 2)), ("\u{FFFD}", Finish::Length));
}

#[test]
fn a_refused_request_is_answered_at_once() {
    let mut batch = Batch::new(Echo::new(100, 1));
    let mut request = ask("x", 5);
    request.sampling.temperature = -1.0;
    assert_eq!(batch.admit(9, &request), Some((9, Err(Fault::Invalid("cold".into())))));
    assert!(batch.idle());
}

#[test]
fn scoring_takes_a_free_sequence_and_leaves_no_trace() {
    let mut batch = Batch::new(Echo::new(1000, 1));
    batch.admit(1, &ask(&"long".repeat(40), 5));
    let cold = run(&mut batch, &none());
    let text = Score { prompt: None, text: "text".into() };
    assert_eq!(batch.score(&text).unwrap().nats.len(), 4);
    batch.admit(1, &ask(&"long".repeat(40), 5));
    let again = run(&mut batch, &none());
    assert_eq!((&again.text, &again.started), (&cold.text, &cold.started));
    batch.admit(2, &ask("waits", 4));
    assert!(matches!(batch.score(&text), Err(Fault::Busy(_))));
}
