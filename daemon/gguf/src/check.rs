//! Whether the llama.cpp in use can serve a model, judged by its header alone: llama.cpp aborts the
//! process on some files, so they are refused before it sees them.

use super::{GgufError, Header};

impl Header {
    /// Whether llama.cpp can load it and write ordinary text with it.
    pub fn check(&self) -> Result<(), GgufError> {
        if let Some(parts) = self.number("split.count").filter(|&parts| parts > 1) {
            return Err(GgufError::Split(parts));
        }
        let architecture = self.architecture();
        if architecture.is_empty() {
            return Err(GgufError::Malformed("it names no `general.architecture`".into()));
        }
        if NOT_GENERATIVE.contains(&architecture) {
            return Err(GgufError::NotGenerative(architecture.into()));
        }
        if !ARCHITECTURES.contains(&architecture) {
            return Err(GgufError::UnknownArchitecture(architecture.into()));
        }
        if self.text("tokenizer.ggml.model") != Some("llama") {
            return Ok(());
        }
        match (0..=255u8).find(|&byte| !self.spelled[byte as usize] && byte_occurs(byte)) {
            Some(byte) => Err(GgufError::NoByteTokens(byte)),
            None => Ok(()),
        }
    }
}

/// Whether UTF-8 text can hold the byte at all.
fn byte_occurs(byte: u8) -> bool {
    !matches!(byte, 0xC0 | 0xC1 | 0xF5..=0xFF)
}

/// Architectures that embed, see or speak, or that need an encoder first: no use for a conversation.
const NOT_GENERATIVE: &[&str] = &[
    "clip",
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "gemma-embedding",
    "llama-embed",
    "t5",
    "t5encoder",
    "wavtokenizer-dec",
    "qwen3tts",
    "pockettts",
    "gemma4-assistant",
    "eagle3",
    "dflash",
];

/// The other names of `LLM_ARCH_NAMES` in llama-arch.cpp of the llama.cpp in use.
#[rustfmt::skip]
const ARCHITECTURES: &[&str] = &[
    "llama", "llama4", "deci", "falcon", "grok", "gpt2", "gptj", "gptneox", "mpt", "baichuan", "starcoder", "refact",
    "bloom", "stablelm", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe", "qwen3next", "qwen3vl",
    "qwen3vlmoe", "qwen35", "qwen35moe", "clef", "qwen4exp", "phi2", "phi3", "phimoe", "plamo", "plamo2", "plamo3",
    "codeshell", "orion", "internlm2", "minicpm", "minicpm3", "gemma", "gemma2", "gemma3", "gemma3n", "gemma4",
    "starcoder2", "mamba", "mamba2", "maple", "jamba", "falcon-h1", "xverse", "command-r", "cohere2", "cohere2moe",
    "dbrx", "olmo", "olmo2", "olmoe", "muse-glimmer", "openelm", "arctic", "deepseek", "deepseek2", "deepseek2-ocr",
    "deepseek32", "deepseek4", "chatglm", "glm4", "glm4moe", "glm-dsa", "bitnet", "jais", "jais2", "nemotron",
    "nemotron_h", "nemotron_h_moe", "exaone", "exaone4", "exaone-moe", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7",
    "granite", "granitemoe", "granitehybrid", "graniteswitch", "granite_swa", "chameleon", "plm", "bailingmoe",
    "bailingmoe2", "bailingmoe3", "dots1", "dots3note", "arcee", "afmoe", "laguna", "ernie4_5", "ernie4_5-moe",
    "hunyuan-moe", "hunyuan-dense", "hunyuan_vl", "hy_v3", "hy_v4", "smollm3", "gpt-oss", "lfm2", "lfm2moe", "dream",
    "smallthinker", "llada", "llada-moe", "seed_oss", "grovemoe", "apertus", "minimax-01", "hrm_text", "minimax-m2",
    "minimax-m3", "cogvlm", "rnd1", "pangu-embedded", "mistral3", "mistral4", "paddleocr", "mimo2", "step35",
    "spark2_5", "maincoder", "kimi-linear", "kimi-k3", "glm5-next", "talkie", "mellum", "nanbeige",
];
