//! Reads the header of a GGUF file and says whether llama.cpp can use it, before llama.cpp, which
//! aborts the process on some files, sees it. Pure: it reads from what it is given, trusts no
//! count or length in it, and never looks at the weights.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What the header says of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub version: u32,
    /// Scalars and strings; arrays are not kept.
    pub values: BTreeMap<String, Value>,
    pub tensors: u64,
    /// Sum of the tensors' elements.
    pub parameters: u64,
    /// Name of the tensor type that most parameters have, such as `Q4_K`.
    pub quantization: &'static str,
    /// Tokens of the vocabulary.
    pub vocabulary: u64,
    /// Bytes that the vocabulary can spell: as `<0xNN>`, or as themselves.
    spelled: [bool; 256],
}

/// A metadata value; integers of every width become one of the two.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
}

/// Why a file cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a GGUF file (its first bytes are not `GGUF`); choose a model in the GGUF format")]
    NotGguf,
    #[error("it is GGUF version {0} and this build reads 2 and 3; convert it anew with llama.cpp's scripts")]
    Version(u32),
    #[error("it is truncated: needs {needs} bytes, has {has}; download it again")]
    Truncated { needs: u64, has: u64 },
    #[error("its header is broken ({0}); download it again")]
    Malformed(String),
    #[error("its architecture `{0}` is unknown to the llama.cpp in this build; a newer Familiar may know it")]
    UnknownArchitecture(String),
    #[error("its architecture `{0}` does not write text; choose a text-generation model")]
    NotGenerative(String),
    #[error(
        "its tokenizer has no token for byte <0x{0:02X}>, so ordinary text would crash llama.cpp; \
         convert the model again with its byte tokens"
    )]
    NoByteTokens(u8),
    #[error("it is part of a model split over {0} files; join them with `llama-gguf-split --merge` first")]
    Split(u64),
}

impl Header {
    /// Reads the header of the file at `path`, and checks that the file is as long as the header says.
    pub fn open(path: &Path) -> Result<Header, GgufError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Header::read(BufReader::with_capacity(1 << 16, file), length)
    }

    /// Reads a header from the start of something `length` bytes long.
    pub fn read(from: impl Read, length: u64) -> Result<Header, GgufError> {
        Cursor { from, at: 0, length }.header()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        match *self.values.get(key)? {
            Value::Unsigned(n) => Some(n),
            Value::Signed(n) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    pub fn architecture(&self) -> &str {
        self.text("general.architecture").unwrap_or("")
    }

    /// Context in tokens that the model was trained with; 0 when the file does not say.
    pub fn train_context(&self) -> u32 {
        let key = format!("{}.context_length", self.architecture());
        self.number(&key).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
    }

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

/// Longest metadata string that is kept; longer ones are skipped. Chat templates are far below.
const MAX_TEXT: u64 = 1 << 20;
/// More metadata or tensors than any model has.
const MAX_ENTRIES: u64 = 1 << 17;

struct Cursor<R> {
    from: R,
    at: u64,
    length: u64,
}

impl<R: Read> Cursor<R> {
    fn header(&mut self) -> Result<Header, GgufError> {
        let start = self.length.min(4) as usize;
        if self.bytes(start as u64)? != b"GGUF"[..start] || self.length == 0 {
            return Err(GgufError::NotGguf);
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let tensors = self.count("tensors", 24)?;
        let entries = self.count("metadata entries", 13)?;
        let mut header = Header {
            version,
            values: BTreeMap::new(),
            tensors,
            parameters: 0,
            quantization: "",
            vocabulary: 0,
            spelled: [false; 256],
        };
        for _ in 0..entries {
            self.entry(&mut header)?;
        }
        self.tensor_infos(&mut header)?;
        Ok(header)
    }

    fn entry(&mut self, header: &mut Header) -> Result<(), GgufError> {
        let key = self.string(1 << 16)?;
        let kind = self.u32()?;
        if kind == ARRAY {
            return self.array(&key, header);
        }
        let Some(value) = self.value(kind)? else { return Ok(()) };
        if header.values.insert(key.clone(), value).is_some() {
            return Err(malformed(format!("the key `{}` stands twice", shown(&key))));
        }
        Ok(())
    }

    /// `None`: a text too long to keep.
    fn value(&mut self, kind: u32) -> Result<Option<Value>, GgufError> {
        Ok(Some(match kind {
            0 => Value::Unsigned(self.bytes(1)?[0].into()),
            1 => Value::Signed((self.bytes(1)?[0] as i8).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array_of()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array_of()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array_of()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array_of()?).into()),
            7 => Value::Bool(self.bytes(1)?[0] != 0),
            8 => {
                let length = self.u64()?;
                if length > MAX_TEXT {
                    self.skip(length)?;
                    return Ok(None);
                }
                Value::Text(self.text(length)?)
            }
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array_of()?)),
            12 => Value::Float(f64::from_le_bytes(self.array_of()?)),
            other => return Err(malformed(format!("a metadata value of unknown type {other}"))),
        }))
    }

    fn array(&mut self, key: &str, header: &mut Header) -> Result<(), GgufError> {
        let kind = self.u32()?;
        let count = self.u64()?;
        let tokens = key == "tokenizer.ggml.tokens";
        if tokens {
            header.vocabulary = count;
        }
        if kind != TEXT {
            let width = match kind {
                0 | 1 | 7 => 1,
                2 | 3 => 2,
                4..=6 => 4,
                10..=12 => 8,
                other => return Err(malformed(format!("an array of unknown type {other}"))),
            };
            let size =
                count.checked_mul(width).ok_or_else(|| malformed("an array too long to be true".into()))?;
            return self.skip(size);
        }
        if count > (self.length - self.at) / 8 {
            return Err(self.truncated(count.saturating_mul(8)));
        }
        for _ in 0..count {
            let length = self.u64()?;
            // Only the spelling of single bytes matters, and those tokens are short.
            if tokens && length <= 6 {
                if let Some(byte) = spelled_byte(&self.bytes(length)?) {
                    header.spelled[byte as usize] = true;
                }
            } else {
                self.skip(length)?;
            }
        }
        Ok(())
    }

    fn tensor_infos(&mut self, header: &mut Header) -> Result<(), GgufError> {
        let mut end = 0u64;
        let mut by_type = BTreeMap::<u32, u64>::new();
        for _ in 0..header.tensors {
            let name = self.string(1 << 10)?;
            let dimensions = self.u32()?;
            if !(1..=4).contains(&dimensions) {
                return Err(malformed(format!("tensor `{}` has {dimensions} dimensions", shown(&name))));
            }
            let first = self.u64()?;
            let mut elements = first;
            for _ in 1..dimensions {
                elements = elements.checked_mul(self.u64()?).ok_or_else(|| too_large(&name))?;
            }
            let kind = self.u32()?;
            let offset = self.u64()?;
            let bytes = tensor_bytes(&name, kind, first, elements)?;
            let tensor_end = offset.checked_add(bytes).ok_or_else(|| too_large(&name))?;
            end = end.max(tensor_end);
            header.parameters = header.parameters.checked_add(elements).ok_or_else(|| too_large(&name))?;
            *by_type.entry(kind).or_default() += elements;
        }
        let main = by_type.iter().max_by_key(|(_, elements)| **elements).map(|(kind, _)| *kind);
        header.quantization = main.and_then(tensor_type).map_or("", |kind| kind.name);
        self.check_length(header, end)
    }

    fn check_length(&self, header: &Header, end: u64) -> Result<(), GgufError> {
        let alignment = match header.values.get("general.alignment") {
            None => 32,
            Some(_) => header.number("general.alignment").unwrap_or(0),
        };
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(malformed(format!("an alignment of {alignment} bytes")));
        }
        let needs = self.at.next_multiple_of(alignment).checked_add(end);
        let needs = needs.ok_or_else(|| malformed("tensors too large to be true".into()))?;
        if header.tensors > 0 && needs > self.length {
            return Err(GgufError::Truncated { needs, has: self.length });
        }
        Ok(())
    }

    fn count(&mut self, what: &str, least_bytes: u64) -> Result<u64, GgufError> {
        let count = self.u64()?;
        if count > MAX_ENTRIES {
            return Err(malformed(format!("{count} {what}")));
        }
        if count * least_bytes > self.length - self.at {
            return Err(self.truncated(count * least_bytes));
        }
        Ok(count)
    }

    fn string(&mut self, limit: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > limit {
            return Err(malformed(format!("a name of {length} bytes")));
        }
        self.text(length)
    }

    fn text(&mut self, length: u64) -> Result<String, GgufError> {
        Ok(String::from_utf8_lossy(&self.bytes(length)?).into_owned())
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array_of()?))
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array_of()?))
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.within(N as u64)?;
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Callers bound `count` themselves: it is allocated.
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, GgufError> {
        self.within(count)?;
        let mut bytes = vec![0; count as usize];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<(), GgufError> {
        self.within(count)?;
        let skipped = io::copy(&mut self.from.by_ref().take(count), &mut io::sink())?;
        if skipped < count {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    /// Counts `count` bytes as read, if the file has them.
    fn within(&mut self, count: u64) -> Result<(), GgufError> {
        if count > self.length - self.at {
            return Err(self.truncated(count));
        }
        self.at += count;
        Ok(())
    }

    fn truncated(&self, wanted: u64) -> GgufError {
        // A length beyond every file is not a cut, it is nonsense.
        match self.at.checked_add(wanted) {
            Some(needs) if wanted < 1 << 42 => GgufError::Truncated { needs, has: self.length },
            _ => malformed(format!("a length of {wanted} bytes")),
        }
    }
}

fn malformed(what: String) -> GgufError {
    GgufError::Malformed(what)
}

fn too_large(tensor: &str) -> GgufError {
    malformed(format!("tensor `{}` is too large to be true", shown(tensor)))
}

/// A name from the file, short and without control characters.
fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

/// The byte that a token's text stands for when a text has no better token, if it is such a token.
fn spelled_byte(token: &[u8]) -> Option<u8> {
    match token {
        [byte] => Some(*byte),
        [b'<', b'0', b'x', high, low, b'>'] if !high.is_ascii_lowercase() && !low.is_ascii_lowercase() => {
            let digits = [*high, *low];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        }
        _ => None,
    }
}

fn tensor_bytes(name: &str, kind: u32, first: u64, elements: u64) -> Result<u64, GgufError> {
    let kind = tensor_type(kind).ok_or_else(|| {
        malformed(format!("tensor `{}` is of type {kind}, which this build does not know", shown(name)))
    })?;
    if !first.is_multiple_of(kind.block) || elements == 0 {
        return Err(malformed(format!("tensor `{}` has a row of {first} elements", shown(name))));
    }
    (elements / kind.block).checked_mul(kind.bytes).ok_or_else(|| too_large(name))
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

struct TensorType {
    id: u32,
    name: &'static str,
    /// Elements of a block, and its bytes.
    block: u64,
    bytes: u64,
}

fn tensor_type(id: u32) -> Option<&'static TensorType> {
    TENSOR_TYPES.iter().find(|kind| kind.id == id)
}

const fn t(id: u32, name: &'static str, block: u64, bytes: u64) -> TensorType {
    TensorType { id, name, block, bytes }
}

/// `ggml_type` and its traits, from ggml.h and ggml-common.h of the llama.cpp in use.
#[rustfmt::skip]
const TENSOR_TYPES: &[TensorType] = &[
    t(0, "F32", 1, 4), t(1, "F16", 1, 2), t(2, "Q4_0", 32, 18), t(3, "Q4_1", 32, 20), t(6, "Q5_0", 32, 22),
    t(7, "Q5_1", 32, 24), t(8, "Q8_0", 32, 34), t(9, "Q8_1", 32, 36), t(10, "Q2_K", 256, 84), t(11, "Q3_K", 256, 110),
    t(12, "Q4_K", 256, 144), t(13, "Q5_K", 256, 176), t(14, "Q6_K", 256, 210), t(15, "Q8_K", 256, 292),
    t(16, "IQ2_XXS", 256, 66), t(17, "IQ2_XS", 256, 74), t(18, "IQ3_XXS", 256, 98), t(19, "IQ1_S", 256, 50),
    t(20, "IQ4_NL", 32, 18), t(21, "IQ3_S", 256, 110), t(22, "IQ2_S", 256, 82), t(23, "IQ4_XS", 256, 136),
    t(24, "I8", 1, 1), t(25, "I16", 1, 2), t(26, "I32", 1, 4), t(27, "I64", 1, 8), t(28, "F64", 1, 8),
    t(29, "IQ1_M", 256, 56), t(30, "BF16", 1, 2), t(34, "TQ1_0", 256, 54), t(35, "TQ2_0", 256, 66),
    t(39, "MXFP4", 32, 17), t(40, "NVFP4", 64, 36), t(41, "Q1_0", 128, 18), t(42, "Q2_0", 64, 18),
];

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

#[cfg(test)]
#[path = "gguf_tests.rs"]
mod tests;
