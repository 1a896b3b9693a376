//! The hyperparameters of a model, read from its header and checked: what the header leaves out is what
//! llama.cpp takes for granted, so that training sees the model that is served. It never looks at tensors.

use crate::gate::Gate;
use crate::model::ModelError;
use crate::rope::Rotary;
use familiar_gguf::{Header, Value};

/// An architecture whose gradients are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama, Mistral, SmolLM, TinyLlama.
    Llama,
    Qwen2,
    Qwen3,
    Gemma2,
    Gemma3,
}

impl Architecture {
    pub const ALL: [Architecture; 5] = [
        Architecture::Llama,
        Architecture::Qwen2,
        Architecture::Qwen3,
        Architecture::Gemma2,
        Architecture::Gemma3,
    ];

    /// Its name in `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
            Architecture::Gemma2 => "gemma2",
            Architecture::Gemma3 => "gemma3",
        }
    }

    pub fn is_gemma(self) -> bool {
        matches!(self, Architecture::Gemma2 | Architecture::Gemma3)
    }

    /// Whether queries and keys are normalized before they are rotated.
    pub fn norms_heads(self) -> bool {
        matches!(self, Architecture::Qwen3 | Architecture::Gemma3)
    }
}

/// Hyperparameters of a decoder-only transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub architecture: Architecture,
    pub blocks: usize,
    /// Features of a token between blocks.
    pub width: usize,
    pub heads: usize,
    /// Heads of keys and values; a divisor of `heads`.
    pub kv_heads: usize,
    /// Features of a head.
    pub head: usize,
    /// Features inside the feed-forward network.
    pub inner: usize,
    /// Tokens that the model was trained to see at once.
    pub context: usize,
    /// What the norms add to the mean square.
    pub eps: f32,
    /// Rotation in blocks that see the whole context.
    pub rotary: Rotary,
    pub local: Option<Local>,
    pub attention_scale: f32,
    pub attention_softcap: Option<f32>,
    /// Bounds the logits to `cap tanh(logit / cap)`.
    pub final_softcap: Option<f32>,
    pub embedding_scale: f32,
    pub gate: Gate,
}

/// Blocks that see only a sliding window.
#[derive(Debug, Clone, PartialEq)]
pub struct Local {
    /// Tokens that one sees, itself included.
    pub window: usize,
    pub rotary: Rotary,
    /// Which blocks these are.
    pub blocks: Vec<bool>,
}

/// More of anything than a model has; keeps products of two of them from overflowing.
const MOST: u64 = 1 << 24;
const MOST_BLOCKS: usize = 512;

impl Shape {
    pub fn read(header: &Header) -> Result<Shape, ModelError> {
        let name = header.architecture();
        let architecture = Architecture::ALL.into_iter().find(|one| one.name() == name);
        let architecture =
            architecture.ok_or_else(|| ModelError::Architecture(name.chars().take(80).collect()))?;
        Keys { header, architecture }.shape()
    }

    /// Whether block `block` sees only a sliding window.
    pub fn is_local(&self, block: usize) -> bool {
        self.local.as_ref().is_some_and(|local| local.blocks[block])
    }
}

struct Keys<'a> {
    header: &'a Header,
    architecture: Architecture,
}

impl Keys<'_> {
    fn shape(&self) -> Result<Shape, ModelError> {
        self.refuse()?;
        let blocks = self.need("block_count")?;
        if blocks > MOST_BLOCKS {
            return Err(self.wrong("block_count", format!("at most {MOST_BLOCKS}")));
        }
        let width = self.need("embedding_length")?;
        let heads = self.need_each("attention.head_count", blocks)?;
        let kv_heads = self.each("attention.head_count_kv", blocks)?.unwrap_or(heads);
        if !heads.is_multiple_of(kv_heads) {
            return Err(self.wrong("attention.head_count_kv", format!("a divisor of the {heads} heads")));
        }
        let head = match self.number("attention.key_length")? {
            Some(head) => head,
            None if width.is_multiple_of(heads) => width / heads,
            None => return Err(self.wrong("attention.head_count", format!("a divisor of the width {width}"))),
        };
        for key in ["attention.value_length", "attention.key_length_swa", "attention.value_length_swa"] {
            if self.number(key)?.is_some_and(|size| size != head) {
                return Err(self.wrong(key, format!("{head}, the features of every head")));
            }
        }
        let context = self.need("context_length")?;
        let rotary = self.rotary(head, context)?;
        let cap =
            |key: &str, without: Option<f32>| Ok(self.float(key)?.or(without).filter(|cap| *cap != 0.0));
        let gemma = self.architecture.is_gemma();
        let gemma2 = self.architecture == Architecture::Gemma2;
        Ok(Shape {
            architecture: self.architecture,
            blocks,
            width,
            heads,
            kv_heads,
            head,
            inner: self.need_each("feed_forward_length", blocks)?,
            context,
            eps: self.eps()?,
            local: self.local(blocks, &rotary)?,
            rotary,
            attention_scale: self.attention_scale(blocks, width, heads, head),
            // llama.cpp reads the key for Gemma 2 alone.
            attention_softcap: if gemma2 { cap("attn_logit_softcapping", Some(50.0))? } else { None },
            final_softcap: if gemma { cap("final_logit_softcapping", gemma2.then_some(30.0))? } else { None },
            embedding_scale: if gemma { (width as f32).sqrt() } else { 1.0 },
            gate: if gemma { Gate::Gelu } else { Gate::Silu },
        })
    }

    /// What llama.cpp can serve with these architectures and this program cannot train.
    fn refuse(&self) -> Result<(), ModelError> {
        if self.number("expert_count")?.is_some_and(|experts| experts > 0) {
            return Err(ModelError::Unsupported("its feed-forward networks are mixtures of experts".into()));
        }
        if self.header.values.get(&self.key("attention.causal")) == Some(&Value::Bool(false)) {
            return Err(ModelError::Unsupported("its attention is not causal".into()));
        }
        if self.number("nextn_predict_layers")?.is_some_and(|layers| layers > 0) {
            return Err(ModelError::Unsupported("it has blocks that predict further tokens".into()));
        }
        Ok(())
    }

    fn eps(&self) -> Result<f32, ModelError> {
        let key = "attention.layer_norm_rms_epsilon";
        let eps = self.float(key)?.ok_or_else(|| ModelError::NoKey(self.key(key)))?;
        if eps < 0.0 { Err(self.wrong(key, "zero or more".into())) } else { Ok(eps) }
    }

    /// The 27B models of Gemma scale by the width, as llama.cpp tells them: by their number of blocks.
    fn attention_scale(&self, blocks: usize, width: usize, heads: usize, head: usize) -> f32 {
        let large = match self.architecture {
            Architecture::Gemma2 => blocks == 46,
            Architecture::Gemma3 => blocks == 62,
            _ => false,
        };
        1.0 / ((if large { width / heads } else { head }) as f32).sqrt()
    }

    fn rotary(&self, head: usize, context: usize) -> Result<Rotary, ModelError> {
        let dims = self.number("rope.dimension_count")?.unwrap_or(head);
        if dims == 0 || dims > head || !dims.is_multiple_of(2) {
            return Err(
                self.wrong("rope.dimension_count", format!("even and from 2 to {head}, a head's features"))
            );
        }
        if self.number("rope.dimension_count_swa")?.is_some_and(|local| local != dims) {
            return Err(self.wrong("rope.dimension_count_swa", format!("{dims}, as in the other blocks")));
        }
        let base = self.base("rope.freq_base")?.unwrap_or(10_000.0);
        let factor = match self.float("rope.scaling.factor")? {
            Some(factor) => Some(factor),
            None => self.float("rope.scale_linear")?,
        };
        let factor = factor.filter(|factor| *factor != 0.0).unwrap_or(1.0);
        if factor < 1e-3 {
            return Err(self.wrong("rope.scaling.factor", "0.001 or more".into()));
        }
        let magnitude = self.float("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let mut rotary = Rotary {
            dims,
            halves: self.architecture != Architecture::Llama,
            base,
            scale: 1.0 / factor,
            yarn: None,
            magnitude,
            factors: None,
        };
        match self.header.text(&self.key("rope.scaling.type")).unwrap_or("linear") {
            "linear" => {}
            "none" => rotary.scale = 1.0,
            "yarn" => {
                let trained = self.number("rope.scaling.original_context_length")?;
                let trained = trained.filter(|trained| *trained > 0).unwrap_or(context);
                rotary.yarn = Some(trained as f32);
                // ggml multiplies with `1 + 0.1 ln(factor)`, which llama.cpp takes out for factors below 1.
                if factor < 1.0 {
                    rotary.magnitude /= 1.0 + 0.1 * factor.ln();
                }
            }
            other => {
                let other: String = other.chars().take(80).collect();
                return Err(ModelError::Unsupported(format!(
                    "its `{}` is `{other}`; none, linear and yarn are",
                    self.key("rope.scaling.type")
                )));
            }
        }
        Ok(rotary)
    }

    fn base(&self, key: &str) -> Result<Option<f32>, ModelError> {
        match self.float(key)? {
            Some(base) if base <= 1.0 => Err(self.wrong(key, "above one".into())),
            base => Ok(base),
        }
    }

    fn local(&self, blocks: usize, rotary: &Rotary) -> Result<Option<Local>, ModelError> {
        let (window, period, scale, base) = match self.architecture {
            Architecture::Gemma2 => (Some(4096), 2, rotary.scale, rotary.base),
            Architecture::Gemma3 => (None, 6, 1.0, 10_000.0),
            _ => return Ok(None),
        };
        let window = self.number("attention.sliding_window")?.or(window);
        let Some(window) = window.filter(|window| *window > 0) else { return Ok(None) };
        let base = self.base("rope.freq_base_swa")?.unwrap_or(base);
        let rotary = Rotary { base, scale, ..rotary.clone() };
        Ok(Some(Local { window, rotary, blocks: self.pattern(blocks, period)? }))
    }

    /// Which blocks are local: listed one by one, or all but the last of each `period`.
    fn pattern(&self, blocks: usize, period: usize) -> Result<Vec<bool>, ModelError> {
        let key = "attention.sliding_window_pattern";
        let Some(Value::List(list)) = self.header.values.get(&self.key(key)) else {
            let period = self.number(key)?.unwrap_or(period);
            return Ok((0..blocks).map(|block| period == 0 || block % period < period - 1).collect());
        };
        if list.len() < blocks {
            return Err(self.wrong(key, format!("a list of {blocks}")));
        }
        let flag = |value: &Value| match *value {
            Value::Bool(yes) => Ok(yes),
            Value::Unsigned(n) => Ok(n != 0),
            Value::Signed(n) => Ok(n != 0),
            _ => Err(self.wrong(key, "a list of yes and no".into())),
        };
        list[..blocks].iter().map(flag).collect()
    }

    fn need(&self, key: &str) -> Result<usize, ModelError> {
        self.positive(key, self.number(key)?)
    }

    fn need_each(&self, key: &str, blocks: usize) -> Result<usize, ModelError> {
        self.positive(key, self.each(key, blocks)?)
    }

    fn positive(&self, key: &str, number: Option<usize>) -> Result<usize, ModelError> {
        match number {
            None => Err(ModelError::NoKey(self.key(key))),
            Some(0) => Err(self.wrong(key, "above zero".into())),
            Some(number) => Ok(number),
        }
    }

    /// A number that may be listed for each block; only models with the same for all can be trained.
    fn each(&self, key: &str, blocks: usize) -> Result<Option<usize>, ModelError> {
        let Some(Value::List(list)) = self.header.values.get(&self.key(key)) else {
            return self.number(key)?.map(|n| self.positive(key, Some(n))).transpose();
        };
        let [first, ..] = &list[..] else { return Err(self.wrong(key, format!("a list of {blocks}"))) };
        if list.len() != blocks {
            return Err(self.wrong(key, format!("a list of {blocks}")));
        }
        if list.iter().any(|value| value != first) {
            return Err(ModelError::Unsupported(format!("its blocks differ in `{}`", self.key(key))));
        }
        self.positive(key, Some(self.whole(key, first)?)).map(Some)
    }

    fn number(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.header.values.get(&self.key(key)).map(|value| self.whole(key, value)).transpose()
    }

    fn whole(&self, key: &str, value: &Value) -> Result<usize, ModelError> {
        let number = match *value {
            Value::Unsigned(n) => Some(n),
            Value::Signed(n) => u64::try_from(n).ok(),
            _ => None,
        };
        match number {
            Some(n) if n <= MOST => Ok(n as usize),
            _ => Err(self.wrong(key, format!("a whole number up to {MOST}"))),
        }
    }

    fn float(&self, key: &str) -> Result<Option<f32>, ModelError> {
        let Some(value) = self.header.values.get(&self.key(key)) else { return Ok(None) };
        match *value {
            Value::Float(x) if (x as f32).is_finite() => Ok(Some(x as f32)),
            _ => Err(self.wrong(key, "a finite number".into())),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.name())
    }

    fn wrong(&self, key: &str, should: String) -> ModelError {
        ModelError::Value { key: self.key(key), should }
    }
}
