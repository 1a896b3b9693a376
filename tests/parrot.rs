//! Models whose every word is known: real GGUF files that llama.cpp runs, in which each token is followed
//! by exactly one other. Attention and feed-forward add nothing, so the last token alone decides.

#[allow(dead_code)]
#[path = "../daemon/src/testkit.rs"]
pub mod testkit;

use familiar_gguf::Writer;
use std::path::{Path, PathBuf};
use testkit::HERMES;

const WIDTH: u64 = 32;
const FEED_FORWARD: u64 = 32;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;
/// `<|im_end|>`, after `<unk>`, `<s>`, `</s>` and `<|im_start|>`; bytes follow.
const END: usize = 4;
const BYTES: usize = 5;

/// A model that answers with `text`, whose letters all differ, whatever it is asked.
pub fn parrot(folder: &Path, name: &str, text: &str, context: u32) -> PathBuf {
    write(folder, name, text, END, context)
}

/// A model that begins with `text` and then repeats its last letter until it is stopped.
pub fn endless(folder: &Path, name: &str, text: &str, context: u32) -> PathBuf {
    write(folder, name, text, BYTES + usize::from(*text.as_bytes().last().unwrap()), context)
}

fn write(folder: &Path, name: &str, text: &str, last: usize, context: u32) -> PathBuf {
    let mut chain = vec![BYTES + usize::from(b'\n')];
    chain.extend(text.bytes().map(|byte| BYTES + usize::from(byte)));
    let mut tokens = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"].map(String::from).to_vec();
    tokens.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>")));
    let mut kinds = vec![UNKNOWN, CONTROL, CONTROL, CONTROL, CONTROL];
    kinds.resize(tokens.len(), BYTE);
    let count = tokens.len();
    assert!(chain.len() <= WIDTH as usize, "{text} is too long");
    // A token of the chain is a direction of its own, and its successor's output looks that way.
    let mut embedding = vec![0.0; count * WIDTH as usize];
    let mut output = embedding.clone();
    for (place, token) in chain.iter().enumerate() {
        let next = chain.get(place + 1).copied().unwrap_or(last);
        assert_eq!(chain.iter().filter(|other| *other == token).count(), 1, "a letter of {text} comes twice");
        embedding[token * WIDTH as usize + place] = 1.0;
        output[next * WIDTH as usize + place] = 10.0;
    }
    let zeros = |columns: u64, rows: u64| vec![0.0; (columns * rows) as usize];
    let mut writer = Writer::default()
        .text("general.architecture", "llama")
        .text("general.name", name)
        .u32("llama.context_length", context)
        .u32("llama.embedding_length", WIDTH as u32)
        .u32("llama.block_count", 1)
        .u32("llama.feed_forward_length", FEED_FORWARD as u32)
        .u32("llama.attention.head_count", 2)
        .u32("llama.attention.head_count_kv", 2)
        .u32("llama.rope.dimension_count", WIDTH as u32 / 2)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &tokens)
        .f32s("tokenizer.ggml.scores", &vec![0.0; count])
        .i32s("tokenizer.ggml.token_type", &kinds)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", END as u32)
        .u32("tokenizer.ggml.unknown_token_id", 0)
        .bool("tokenizer.ggml.add_space_prefix", false)
        .text("tokenizer.chat_template", HERMES)
        .tensor("token_embd.weight", &[WIDTH, count as u64], embedding)
        .tensor("output.weight", &[WIDTH, count as u64], output);
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] {
        writer = writer.tensor(&format!("{name}.weight"), &[WIDTH], vec![1.0; WIDTH as usize]);
    }
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        writer = writer.tensor(&format!("blk.0.{name}.weight"), &[WIDTH, WIDTH], zeros(WIDTH, WIDTH));
    }
    for name in ["ffn_gate", "ffn_up"] {
        let zeros = zeros(WIDTH, FEED_FORWARD);
        writer = writer.tensor(&format!("blk.0.{name}.weight"), &[WIDTH, FEED_FORWARD], zeros);
    }
    let zeros = zeros(FEED_FORWARD, WIDTH);
    writer.tensor("blk.0.ffn_down.weight", &[FEED_FORWARD, WIDTH], zeros).write(folder, name).unwrap()
}
