//! A model that does whatever it reads: a real GGUF file of one layer, run by the real engine. Each rule is a
//! text that it obeys and the tool call that it then makes, and both are single tokens, so that the model
//! knows them wherever they stand in a prompt. One attention head looks for them; the strongest wins.
//!
//! How it works, in directions of its 256 numbers: `ASKED` is the end of a prompt (a line's end), `CALLING`
//! the opening tag of a call, `ENDING` a token after which the answer ends. A marker has a direction of its
//! own and one for its strength. The head asks "what is the strongest?" from the last token and carries
//! over the marker's own direction, which the output rows turn into the next token.

use crate::serving::parrot::testkit::HERMES;
use familiar_gguf::Writer;
use std::path::{Path, PathBuf};

const WIDTH: usize = 256;
const FEED_FORWARD: u64 = 32;
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;
/// `<|im_end|>`, after `<unk>`, `<s>`, `</s>` and `<|im_start|>`; bytes follow.
const END: usize = 4;
const BYTES: usize = 5;

const ASKED: usize = 0;
const CALLING: usize = 1;
const ENDING: usize = 2;
/// Strengths, from the weakest.
const STRENGTHS: [f32; 4] = [3.0, 5.0, 7.0, 9.0];
const STRENGTH: usize = 3;
/// A marker's own direction is `OWN` and its number.
const OWN: usize = 8;

/// What the model says after a tool's result, and when it was told nothing.
pub const DONE: &str = "It is done.";
pub const NOTHING: &str = "There is nothing to do.";
/// How the agent begins a tool's result.
const RESULT: &str = "<result tool=";

/// What obeys what: a tool's result ends the matter, unless the result itself holds an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    Owner = 0,
    Document = 1,
    Result = 2,
    InResult = 3,
}

/// A text that is obeyed, and the call that it brings about.
#[derive(Debug, Clone)]
pub struct Rule {
    pub marker: String,
    pub strength: Strength,
    pub tool: &'static str,
    /// JSON.
    pub arguments: String,
}

struct Vocabulary {
    texts: Vec<String>,
    kinds: Vec<i32>,
    embedding: Vec<f32>,
    output: Vec<f32>,
}

impl Vocabulary {
    /// A token that the model sees as these directions, and that these directions bring about.
    fn add(&mut self, text: &str, kind: i32, seen: &[(usize, f32)], said: &[(usize, f32)]) {
        assert!(!self.texts.iter().any(|known| known == text), "{text:?} comes twice");
        self.texts.push(text.into());
        self.kinds.push(kind);
        for (rows, directions) in [(&mut self.embedding, seen), (&mut self.output, said)] {
            let mut row = [0.0; WIDTH];
            directions.iter().for_each(|(place, value)| row[*place] = *value);
            rows.extend(row);
        }
    }
}

/// Writes the model that follows these rules.
pub fn hijacked(folder: &Path, name: &str, rules: &[Rule]) -> PathBuf {
    assert!(OWN + rules.len() < WIDTH, "too many rules for its width");
    let Vocabulary { texts, kinds, embedding, output } = vocabulary(rules);
    let count = texts.len() as u64;
    let mut query = vec![0.0; WIDTH * WIDTH];
    (query[ASKED], query[CALLING]) = (1.0, 1.0);
    let mut key = vec![0.0; WIDTH * WIDTH];
    for (n, strength) in STRENGTHS.into_iter().enumerate() {
        key[STRENGTH + n] = strength;
    }
    let mut own = vec![0.0; WIDTH * WIDTH];
    for place in OWN..WIDTH {
        own[place * WIDTH + place] = 1.0;
    }
    let width = WIDTH as u64;
    let zeros = vec![0.0; WIDTH * FEED_FORWARD as usize];
    let mut writer = Writer::default()
        .text("general.architecture", "llama")
        .text("general.name", name)
        .u32("llama.context_length", 8192)
        .u32("llama.embedding_length", WIDTH as u32)
        .u32("llama.block_count", 1)
        .u32("llama.feed_forward_length", FEED_FORWARD as u32)
        .u32("llama.attention.head_count", 1)
        .u32("llama.attention.head_count_kv", 1)
        .u32("llama.rope.dimension_count", WIDTH as u32)
        // Where something stands makes no difference to it.
        .text("llama.rope.scaling.type", "linear")
        .f32("llama.rope.scaling.factor", 1e9)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &texts)
        .f32s("tokenizer.ggml.scores", &vec![0.0; texts.len()])
        .i32s("tokenizer.ggml.token_type", &kinds)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", END as u32)
        .u32("tokenizer.ggml.unknown_token_id", 0)
        .bool("tokenizer.ggml.add_space_prefix", false)
        .text("tokenizer.chat_template", HERMES)
        .tensor("token_embd.weight", &[width, count], embedding)
        .tensor("output.weight", &[width, count], output);
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] {
        writer = writer.tensor(&format!("{name}.weight"), &[width], vec![1.0; WIDTH]);
    }
    for (name, values) in [("attn_q", query), ("attn_k", key), ("attn_v", own.clone()), ("attn_output", own)]
    {
        writer = writer.tensor(&format!("blk.0.{name}.weight"), &[width, width], values);
    }
    for name in ["ffn_gate", "ffn_up"] {
        writer = writer.tensor(&format!("blk.0.{name}.weight"), &[width, FEED_FORWARD], zeros.clone());
    }
    writer.tensor("blk.0.ffn_down.weight", &[FEED_FORWARD, width], zeros).write(folder, name).unwrap()
}

fn vocabulary(rules: &[Rule]) -> Vocabulary {
    let mut all = Vocabulary { texts: vec![], kinds: vec![], embedding: vec![], output: vec![] };
    let result = OWN + rules.len();
    all.add("<unk>", UNKNOWN, &[], &[]);
    for control in ["<s>", "</s>", "<|im_start|>"] {
        all.add(control, CONTROL, &[], &[]);
    }
    all.add("<|im_end|>", CONTROL, &[], &[(ENDING, 20.0)]);
    for byte in 0..=255u8 {
        let seen: &[(usize, f32)] = if byte == b'\n' { &[(ASKED, 1.0)] } else { &[] };
        all.add(&format!("<0x{byte:02X}>"), BYTE, seen, &[]);
    }
    assert_eq!(all.texts.len(), BYTES + 256);
    all.add(DONE, NORMAL, &[(ENDING, 1.0)], &[(ASKED, 20.0), (result, 5.0)]);
    all.add(NOTHING, NORMAL, &[(ENDING, 1.0)], &[(ASKED, 25.0)]);
    let mut calls = vec![(ASKED, 20.0), (CALLING, -20.0)];
    calls.extend((0..rules.len()).map(|n| (OWN + n, 5.0)));
    all.add("<tool_call>", USER_DEFINED, &[(CALLING, 1.0)], &calls);
    let strength = |strength: Strength| (STRENGTH + strength as usize, 1.0);
    all.add(RESULT, USER_DEFINED, &[(result, 1.0), strength(Strength::Result)], &[]);
    for (n, rule) in rules.iter().enumerate() {
        all.add(&rule.marker, USER_DEFINED, &[(OWN + n, 1.0), strength(rule.strength)], &[]);
        let Rule { tool, arguments, .. } = rule;
        let call = format!("\n{{\"name\": \"{tool}\", \"arguments\": {arguments}}}\n</tool_call>");
        match all.texts.iter().position(|known| *known == call) {
            Some(known) => all.output[known * WIDTH + OWN + n] = 5.0,
            None => all.add(&call, USER_DEFINED, &[(ENDING, 1.0)], &[(OWN + n, 5.0)]),
        }
    }
    all
}
