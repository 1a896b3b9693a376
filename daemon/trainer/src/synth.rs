//! Random-weight GGUF files of any shape, architecture and quantization, for tests and benches: llama.cpp
//! loads and runs them, and what they say is nonsense. It writes the one file it is asked for, tensor by
//! tensor, so that a large one needs little memory; it never reads a model.
//!
//! Weights are as wide as trained ones are: attention is neither uniform nor one-hot, blocks add to their
//! input about as much as it is, and logits spread by 2. So an error shows as it would in a real model.

use crate::random::mix;
use familiar_gguf::{Kind, Writer};
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// What a model is made of. Counts are of elements, tokens or blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// `llama`, `qwen2`, `qwen3`, `gemma2` or `gemma3`.
    pub architecture: &'static str,
    pub width: usize,
    pub blocks: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub feed_forward: usize,
    /// With fewer than 261 tokens the byte tokens are cut, and llama.cpp cannot tokenize text.
    pub vocabulary: usize,
    pub context: usize,
    /// The embedding is the head too.
    pub tied: bool,
    pub norm_epsilon: f32,
    pub rope_base: f32,
    /// Divides positions (`rope.scaling.type` `linear`).
    pub rope_linear: Option<f32>,
    /// YaRN: the factor, and the context that the model was first trained on.
    pub rope_yarn: Option<(f32, u32)>,
    /// Divides each frequency by a factor of its own (`rope_freqs.weight`, as Llama 3 has); `llama` only.
    pub rope_factors: bool,
    /// Sliding window; Gemma only.
    pub window: Option<Window>,
    /// Caps logits at `cap * tanh(logit / cap)`; Gemma only.
    pub final_softcap: Option<f32>,
    /// The same for the scores of attention; `gemma2` only.
    pub attention_softcap: Option<f32>,
}

/// Blocks that attend to the last `size` tokens only: all but every `pattern`-th.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub size: u32,
    pub pattern: u32,
    /// RoPE's base in those blocks.
    pub rope_base: f32,
}

/// The names that [`Shape::named`] knows.
pub const SHAPES: [&str; 5] = ["tiny", "small", "smollm2-135m", "smollm2-360m", "smollm2-1.7b"];

const LLAMA: Shape = Shape {
    architecture: "llama",
    width: 576,
    blocks: 30,
    heads: 9,
    kv_heads: 3,
    head_dim: 64,
    feed_forward: 1536,
    vocabulary: 49152,
    context: 8192,
    tied: true,
    norm_epsilon: 1e-5,
    rope_base: 100_000.0,
    rope_linear: None,
    rope_yarn: None,
    rope_factors: false,
    window: None,
    final_softcap: None,
    attention_softcap: None,
};

impl Shape {
    pub fn named(name: &str) -> Option<Shape> {
        Some(match name {
            "tiny" => Shape::tiny("llama"),
            "small" => Shape::small("llama"),
            "smollm2-135m" => LLAMA,
            "smollm2-360m" => {
                Shape { width: 960, blocks: 32, heads: 15, kv_heads: 5, feed_forward: 2560, ..LLAMA }
            }
            "smollm2-1.7b" => {
                Shape { width: 2048, blocks: 24, heads: 32, kv_heads: 32, feed_forward: 8192, ..LLAMA }
            }
            _ => return None,
        })
    }

    /// The smallest that shows everything an architecture has: some 100 000 weights.
    pub fn tiny(architecture: &'static str) -> Shape {
        let tiny = Shape {
            architecture,
            width: 64,
            blocks: 3,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            feed_forward: 96,
            vocabulary: 320,
            context: 1024,
            rope_base: 10_000.0,
            ..LLAMA
        };
        match architecture {
            "llama" => Shape { tied: false, ..tiny },
            // The heads' width is not the model's there, as in Qwen3 0.6B and all of Gemma 3.
            "qwen3" => Shape { head_dim: 32, ..tiny },
            "gemma2" => Shape {
                head_dim: 32,
                window: Some(Window { size: 16, pattern: 2, rope_base: 10_000.0 }),
                final_softcap: Some(8.0),
                attention_softcap: Some(4.0),
                ..tiny
            },
            "gemma3" => Shape {
                head_dim: 32,
                window: Some(Window { size: 16, pattern: 2, rope_base: 1000.0 }),
                ..tiny
            },
            _ => tiny,
        }
    }

    /// Some 5 million weights, with rows that every type of block divides.
    pub fn small(architecture: &'static str) -> Shape {
        let tiny = Shape::tiny(architecture);
        Shape {
            width: 256,
            blocks: 4,
            heads: 4,
            kv_heads: 2,
            head_dim: 64,
            feed_forward: 768,
            vocabulary: 4096,
            tied: false,
            window: tiny.window.map(|window| Window { size: 64, ..window }),
            ..tiny
        }
    }
}

/// What the matrices are packed as. As in the files that `llama-quantize` makes, a type is a mixture:
/// vectors stay F32; the head (a tied embedding is one) is in `Q6_K`; `Q4_K` and `Q5_K` mean `Q4_K_M` and
/// `Q5_K_M`, which keep some `attn_v` and `ffn_down` in `Q6_K`; and a matrix whose rows are no multiple of
/// 256 falls back from `Q4_K` to `Q5_0`, `Q5_K` to `Q5_1`, and `Q6_K` to `Q8_0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum Quantization {
    F32,
    Q8_0,
    Q6_K,
    Q5_K,
    Q4_K,
    Q4_0,
    IQ4_NL,
}

impl Quantization {
    pub const ALL: [Quantization; 7] = {
        use Quantization::*;
        [F32, Q8_0, Q6_K, Q5_K, Q4_K, Q4_0, IQ4_NL]
    };

    /// By its name, such as `Q4_K` or `Q4_K_M`.
    pub fn named(name: &str) -> Option<Quantization> {
        let name = name.to_uppercase();
        let name = name.strip_suffix("_M").unwrap_or(&name);
        Quantization::ALL.into_iter().find(|quantization| quantization.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Quantization::F32 => "F32",
            Quantization::Q8_0 => "Q8_0",
            Quantization::Q6_K => "Q6_K",
            Quantization::Q5_K => "Q5_K",
            Quantization::Q4_K => "Q4_K",
            Quantization::Q4_0 => "Q4_0",
            Quantization::IQ4_NL => "IQ4_NL",
        }
    }

    /// The type of a matrix whose rows have `columns` elements.
    fn kind(self, role: Role, columns: usize) -> Kind {
        use Quantization::*;
        let name = match (self, role) {
            (F32 | Q8_0, _) => self.name(),
            (_, Role::Head) | (Q4_K | Q5_K, Role::MoreBits) => "Q6_K",
            _ => self.name(),
        };
        let kind = known(name);
        match name {
            _ if (columns as u64).is_multiple_of(kind.block) => kind,
            "Q4_K" => known("Q5_0"),
            "Q5_K" => known("Q5_1"),
            "Q6_K" => known("Q8_0"),
            _ => kind,
        }
    }
}

fn known(name: &str) -> Kind {
    Kind::of_name(name).expect("a name of the table")
}

/// Writes a model to `path`, the same for the same `seed`.
///
/// # Errors
/// When the architecture is not one of the five, a row is no multiple of a block, or the disk refuses.
pub fn write(shape: &Shape, quantization: Quantization, seed: u64, path: &Path) -> io::Result<()> {
    let tensors = tensors(shape, quantization)?;
    let mut writer = metadata(shape, quantization);
    for tensor in &tensors {
        writer = writer.later(&tensor.name, &tensor.shape(), tensor.kind);
    }
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut rest = tensors.iter();
    writer.write_with(&mut file, |_, out| rest.next().expect("one for each announced").write(seed, out))?;
    file.flush()
}

/// Where llama.cpp's mixtures differ from their name.
#[derive(Clone, Copy)]
enum Role {
    Head,
    MoreBits,
    Plain,
}

struct Tensor {
    name: String,
    columns: usize,
    /// 1 for a vector.
    rows: usize,
    kind: Kind,
    /// Its values are normal with this mean and deviation.
    mean: f32,
    deviation: f32,
}

/// Elements that are made and packed at a time: 32 MiB of `f32`.
const PIECE: usize = 1 << 23;

impl Tensor {
    fn shape(&self) -> Vec<u64> {
        match self.rows {
            1 => vec![self.columns as u64],
            rows => vec![self.columns as u64, rows as u64],
        }
    }

    fn write(&self, seed: u64, out: &mut dyn Write) -> io::Result<()> {
        let key = key(seed, &self.name);
        let step = (PIECE / self.columns).clamp(1, self.rows);
        for first in (0..self.rows).step_by(step) {
            let rows = step.min(self.rows - first);
            let bytes = self.kind.size(self.columns as u64).expect("a row's size") as usize;
            let mut packed = vec![0u8; rows * bytes];
            packed.par_chunks_exact_mut(bytes).enumerate().for_each_init(
                || vec![0.0; self.columns],
                |row, (at, out)| {
                    let start = ((first + at) * self.columns) as u64;
                    for (i, value) in row.iter_mut().enumerate() {
                        *value = self.mean + self.deviation * normal(key, start + i as u64);
                    }
                    quantize(self.kind, row, out);
                },
            );
            out.write_all(&packed)?;
        }
        Ok(())
    }
}

/// All tensors of the model, in the order of the file.
fn tensors(shape: &Shape, quantization: Quantization) -> io::Result<Vec<Tensor>> {
    if !["llama", "qwen2", "qwen3", "gemma2", "gemma3"].contains(&shape.architecture) {
        let message = format!("no random model of architecture `{}`", shape.architecture);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut plan = Plan { shape, quantization, tensors: Vec::new() };
    plan.ends();
    (0..shape.blocks).for_each(|block| plan.block(block));
    match plan.tensors.iter().find(|tensor| !(tensor.columns as u64).is_multiple_of(tensor.kind.block)) {
        Some(tensor) => {
            let (columns, kind, name) = (tensor.columns, tensor.kind, &tensor.name);
            let message =
                format!("{name} has rows of {columns}, no multiple of {}'s {}", kind.name, kind.block);
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
        None => Ok(plan.tensors),
    }
}

/// The tensors of a model in the making.
struct Plan<'a> {
    shape: &'a Shape,
    quantization: Quantization,
    tensors: Vec<Tensor>,
}

impl Plan<'_> {
    /// What is before and after the blocks.
    fn ends(&mut self) {
        let shape = self.shape;
        let root = (shape.width as f32).sqrt();
        // Logits are sums of `width` products with normed values: this gives them their spread.
        let head = 2.0 / root;
        // What blocks read first has a deviation of 1; a tied embedding's is small beside what they add, or
        // each token would foretell itself. Gemma multiplies embeddings by the root of the width.
        let embedded = if shape.tied { 0.15 } else { 1.0 };
        let embedding = if shape.architecture.starts_with("gemma") { embedded / root } else { embedded };
        let role = if shape.tied { Role::Head } else { Role::Plain };
        self.matrix("token_embd.weight", shape.width, shape.vocabulary, role, embedding);
        if !shape.tied {
            self.matrix("output.weight", shape.width, shape.vocabulary, Role::Head, head);
        }
        self.norm("output_norm", shape.width, if shape.tied { head / embedding } else { 1.0 });
        if shape.rope_factors {
            self.vector("rope_freqs.weight", shape.head_dim / 2, 2.0, 0.4);
        }
    }

    fn block(&mut self, block: usize) {
        let shape = self.shape;
        let (width, inner) = (shape.width, shape.feed_forward);
        let (q, kv) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let more = if more_bits(block, shape.blocks) { Role::MoreBits } else { Role::Plain };
        // All blocks together add about as much as was there.
        let added = (2.0 / shape.blocks as f32).sqrt().min(1.0);
        let linears = [
            ("attn_q", width, q, Role::Plain, SHARP),
            ("attn_k", width, kv, Role::Plain, SHARP),
            ("attn_v", width, kv, more, 1.0),
            ("attn_output", q, width, Role::Plain, added),
            ("ffn_gate", width, inner, Role::Plain, 1.0),
            ("ffn_up", width, inner, Role::Plain, 1.0),
            ("ffn_down", inner, width, more, added),
        ];
        for (part, columns, rows, role, gain) in linears {
            let deviation = gain / (columns as f32).sqrt();
            self.matrix(&format!("blk.{block}.{part}.weight"), columns, rows, role, deviation);
        }
        let heads = [("attn_q_norm", shape.head_dim, SHARP), ("attn_k_norm", shape.head_dim, SHARP)];
        let after = [("post_attention_norm", width, 0.5 * added), ("post_ffw_norm", width, 0.5 * added)];
        let norms = [("attn_norm", width, 1.0), ("ffn_norm", width, 1.0)].into_iter();
        let of_heads = heads.into_iter().filter(|_| matches!(shape.architecture, "qwen3" | "gemma3"));
        let of_gemma = after.into_iter().filter(|_| shape.architecture.starts_with("gemma"));
        for (part, columns, mean) in norms.chain(of_heads).chain(of_gemma) {
            self.norm(&format!("blk.{block}.{part}"), columns, mean);
        }
        if shape.architecture == "qwen2" {
            for (part, columns) in [("attn_q", q), ("attn_k", kv), ("attn_v", kv)] {
                self.vector(&format!("blk.{block}.{part}.bias"), columns, 0.0, 0.3);
            }
        }
    }

    fn matrix(&mut self, name: &str, columns: usize, rows: usize, role: Role, deviation: f32) {
        let kind = self.quantization.kind(role, columns);
        self.tensors.push(Tensor { name: name.into(), columns, rows, kind, mean: 0.0, deviation });
    }

    fn vector(&mut self, name: &str, columns: usize, mean: f32, deviation: f32) {
        self.tensors.push(Tensor { name: name.into(), columns, rows: 1, kind: Kind::F32, mean, deviation });
    }

    fn norm(&mut self, name: &str, columns: usize, mean: f32) {
        self.vector(&format!("{name}.weight"), columns, mean, 0.1 * mean);
    }
}

/// Deviation of queries and keys: scores then differ enough for a token to attend to a few others.
const SHARP: f32 = 1.4;

/// The blocks that `llama-quantize` gives more bits: the first and last eighth, and every third between.
fn more_bits(block: usize, blocks: usize) -> bool {
    let eighth = blocks / 8;
    block < eighth || block >= 7 * blocks / 8 || (block - eighth) % 3 == 2
}

fn metadata(shape: &Shape, quantization: Quantization) -> Writer {
    let key = |name: &str| format!("{}.{name}", shape.architecture);
    let (tokens, types) = vocabulary(shape.vocabulary);
    let scores: Vec<f32> = (0..tokens.len()).map(|i| -(i as f32)).collect();
    let name = format!("random {} of width {} in {}", shape.architecture, shape.width, quantization.name());
    let mut writer = Writer::default()
        .text("general.architecture", shape.architecture)
        .text("general.name", &name)
        .u32(&key("context_length"), shape.context as u32)
        .u32(&key("embedding_length"), shape.width as u32)
        .u32(&key("block_count"), shape.blocks as u32)
        .u32(&key("feed_forward_length"), shape.feed_forward as u32)
        .u32(&key("attention.head_count"), shape.heads as u32)
        .u32(&key("attention.head_count_kv"), shape.kv_heads as u32)
        .u32(&key("attention.key_length"), shape.head_dim as u32)
        .u32(&key("attention.value_length"), shape.head_dim as u32)
        .u32(&key("rope.dimension_count"), shape.head_dim as u32)
        .f32(&key("rope.freq_base"), shape.rope_base)
        .f32(&key("attention.layer_norm_rms_epsilon"), shape.norm_epsilon)
        .u32(&key("vocab_size"), shape.vocabulary as u32)
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &tokens)
        .f32s("tokenizer.ggml.scores", &scores)
        .i32s("tokenizer.ggml.token_type", &types)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", 4)
        .u32("tokenizer.ggml.unknown_token_id", 0)
        .bool("tokenizer.ggml.add_space_prefix", false)
        .text("tokenizer.chat_template", CHATML);
    if let Some(factor) = shape.rope_linear {
        writer = writer.text(&key("rope.scaling.type"), "linear").f32(&key("rope.scaling.factor"), factor);
    }
    if let Some((factor, context)) = shape.rope_yarn {
        writer = writer
            .text(&key("rope.scaling.type"), "yarn")
            .f32(&key("rope.scaling.factor"), factor)
            .u32(&key("rope.scaling.original_context_length"), context);
    }
    if let Some(cap) = shape.attention_softcap {
        writer = writer.f32(&key("attn_logit_softcapping"), cap);
    }
    if let Some(window) = shape.window {
        writer = writer
            .u32(&key("attention.sliding_window"), window.size)
            .u32(&key("attention.sliding_window_pattern"), window.pattern)
            .f32(&key("rope.freq_base_swa"), window.rope_base);
    }
    if let Some(cap) = shape.final_softcap {
        writer = writer.f32(&key("final_logit_softcapping"), cap);
    }
    writer
}

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A SentencePiece vocabulary of `count` tokens and their types: controls, bytes, letters, made-up words.
fn vocabulary(count: usize) -> (Vec<String>, Vec<i32>) {
    const NORMAL: i32 = 1;
    const UNKNOWN: i32 = 2;
    const CONTROL: i32 = 3;
    const BYTE: i32 = 6;
    let controls = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"].map(|text| (text.to_string(), CONTROL));
    std::iter::once(("<unk>".to_string(), UNKNOWN))
        .chain(controls)
        .chain((0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), BYTE)))
        .chain(std::iter::once(("▁".to_string(), NORMAL)))
        .chain(('a'..='z').map(|letter| (letter.to_string(), NORMAL)))
        .chain((0..).map(|n| (word(n), NORMAL)))
        .take(count)
        .unzip()
}

/// The `n`-th made-up word, unlike all others: its digits in base 70, spelled as syllables.
fn word(mut n: usize) -> String {
    let mut word = String::from("▁");
    loop {
        let digit = n % 70;
        word.push(b"bdfgklmnprstvz"[digit / 5] as char);
        word.push(b"aeiou"[digit % 5] as char);
        n /= 70;
        if n == 0 {
            return word;
        }
    }
}

/// A stream of numbers for each tensor: FNV-1a of its name, with the seed.
fn key(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    mix(seed, hash)
}

/// Number `index` of a stream: nearly normal, as the sum of four even ones, and at most 3.47 from 0.
fn normal(key: u64, index: u64) -> f32 {
    let bits = mix(key, index);
    let sum = (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
    (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
}

/// Packs one row into blocks of `kind`, by ggml's own writer of the type, without an importance matrix.
#[allow(unsafe_code)]
fn quantize(kind: Kind, row: &[f32], out: &mut [u8]) {
    assert_eq!(kind.size(row.len() as u64), Some(out.len() as u64));
    assert!((row.len() as u64).is_multiple_of(kind.block));
    // SAFETY: `row` is a whole number of blocks and `out` has room for just those (checked above); the
    // tables that some types need are made under ggml's lock.
    let written = unsafe {
        llama_cpp_sys_2::ggml_quantize_chunk(
            kind.id as llama_cpp_sys_2::ggml_type,
            row.as_ptr(),
            out.as_mut_ptr().cast(),
            0,
            1,
            row.len() as i64,
            std::ptr::null(),
        )
    };
    assert_eq!(written, out.len());
}

#[cfg(test)]
#[path = "synth_tests.rs"]
mod tests;
