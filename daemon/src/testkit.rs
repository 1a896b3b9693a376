//! For tests: writes real GGUF files, among them a tiny Llama model with random weights that
//! llama.cpp loads and runs. What it says is nonsense, which is all that most tests need.

use familiar_gguf::Writer;

/// What a tiny model is made of.
pub struct Tiny {
    pub architecture: &'static str,
    pub template: Option<&'static str>,
    pub byte_tokens: bool,
    pub context: u32,
    pub seed: u64,
}

impl Default for Tiny {
    fn default() -> Self {
        Tiny { architecture: "llama", template: Some(HERMES), byte_tokens: true, context: 512, seed: 7 }
    }
}

/// A ChatML template with tools, in the manner of Qwen's.
pub const HERMES: &str = "\
{%- if tools %}<|im_start|>system\n{{ messages[0].content if messages[0].role == 'system' else '' }}# Tools\n\
{%- for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n\
For each call return <tool_call>\\n{\"name\": NAME, \"arguments\": ARGS}\\n</tool_call><|im_end|>\n{% endif -%}
{%- for m in messages %}{% if not (loop.first and m.role == 'system' and tools) -%}
<|im_start|>{{ m.role }}\n{{ m.content }}
{%- for call in m.tool_calls %}\n<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor -%}
<|im_end|>\n{% endif %}{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// Control tokens of the tiny model, after `<unk>`, `<s>` and `</s>`.
const CONTROLS: [&str; 2] = ["<|im_start|>", "<|im_end|>"];

/// A Llama of one layer with random weights and a SentencePiece vocabulary of letters and bytes.
pub fn tiny(shape: &Tiny) -> Writer {
    let (width, feed_forward, heads) = (32u64, 64u64, 4u32);
    let (tokens, kinds) = vocabulary(shape.byte_tokens);
    let count = tokens.len() as u64;
    let scores: Vec<f32> = (0..tokens.len()).map(|i| -(i as f32)).collect();
    let key = |name: &str| format!("{}.{name}", shape.architecture);
    let mut random = Random(shape.seed);
    let mut writer = Writer::default()
        .text("general.architecture", shape.architecture)
        .text("general.name", "tiny")
        .u32(&key("context_length"), shape.context)
        .u32(&key("embedding_length"), width as u32)
        .u32(&key("block_count"), 1)
        .u32(&key("feed_forward_length"), feed_forward as u32)
        .u32(&key("attention.head_count"), heads)
        .u32(&key("attention.head_count_kv"), heads)
        .u32(&key("rope.dimension_count"), width as u32 / heads)
        .f32(&key("attention.layer_norm_rms_epsilon"), 1e-5)
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &tokens)
        .f32s("tokenizer.ggml.scores", &scores)
        .i32s("tokenizer.ggml.token_type", &kinds)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", 4)
        .u32("tokenizer.ggml.unknown_token_id", 0)
        .bool("tokenizer.ggml.add_space_prefix", false);
    if let Some(template) = shape.template {
        writer = writer.text("tokenizer.chat_template", template);
    }
    let mut matrix = |writer: Writer, name: &str, columns: u64, rows: u64| {
        let scale = 3.0 / (columns as f32).sqrt();
        let values = (0..columns * rows).map(|_| random.next() * scale).collect();
        writer.tensor(name, &[columns, rows], values)
    };
    let ones = |writer: Writer, name: &str| writer.tensor(name, &[width], vec![1.0; width as usize]);
    writer = matrix(writer, "token_embd.weight", width, count);
    writer = matrix(writer, "output.weight", width, count);
    writer = ones(writer, "output_norm.weight");
    writer = ones(writer, "blk.0.attn_norm.weight");
    writer = ones(writer, "blk.0.ffn_norm.weight");
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        writer = matrix(writer, &format!("blk.0.{name}.weight"), width, width);
    }
    writer = matrix(writer, "blk.0.ffn_gate.weight", width, feed_forward);
    writer = matrix(writer, "blk.0.ffn_up.weight", width, feed_forward);
    matrix(writer, "blk.0.ffn_down.weight", feed_forward, width)
}

/// A LoRA of rank 4 on every matrix of the tiny model's layer, strong enough to change what it says.
pub fn lora(seed: u64) -> Writer {
    let (width, feed_forward, rank) = (32u64, 64u64, 4u64);
    let mut random = Random(seed);
    let mut writer = Writer::default()
        .text("general.architecture", "llama")
        .text("general.type", "adapter")
        .text("adapter.type", "lora")
        .f32("adapter.lora.alpha", 2.0 * rank as f32);
    let mut pair = |writer: Writer, name: &str, inputs: u64, outputs: u64| {
        let mut values = |count: u64| (0..count).map(|_| random.next()).collect();
        let (a, b) = (values(inputs * rank), values(rank * outputs));
        let tensor = |part: &str| format!("blk.0.{name}.weight.lora_{part}");
        writer.tensor(&tensor("a"), &[inputs, rank], a).tensor(&tensor("b"), &[rank, outputs], b)
    };
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        writer = pair(writer, name, width, width);
    }
    writer = pair(writer, "ffn_gate", width, feed_forward);
    writer = pair(writer, "ffn_up", width, feed_forward);
    pair(writer, "ffn_down", feed_forward, width)
}

fn vocabulary(byte_tokens: bool) -> (Vec<String>, Vec<i32>) {
    const NORMAL: i32 = 1;
    const UNKNOWN: i32 = 2;
    const CONTROL: i32 = 3;
    const BYTE: i32 = 6;
    let mut all = vec![("<unk>".to_string(), UNKNOWN), ("<s>".into(), CONTROL), ("</s>".into(), CONTROL)];
    all.extend(CONTROLS.map(|text| (text.to_string(), CONTROL)));
    if byte_tokens {
        all.extend((0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), BYTE)));
    }
    all.push(("▁".into(), NORMAL));
    all.extend(('a'..='z').map(|letter| (letter.to_string(), NORMAL)));
    all.extend(
        ["th", "he", "in", "er", "{\"", "\":", "name", "</tool", "\"}"]
            .map(|text| (text.to_string(), NORMAL)),
    );
    all.into_iter().unzip()
}

/// Numbers from -1 to 1, the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    }
}
