//! Text to tokens with the base model's own vocabulary, read by llama.cpp without the weights. What
//! people wrote never becomes a control token; a chat template's own words may.

use super::data::Segment;
use crate::llama::{backend, forget, reason};
use familiar_gguf::{Header, Value};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use std::path::Path;

/// The vocabulary of one model.
pub struct Tokenizer {
    model: LlamaModel,
    /// A text begins with a space of its own, so one in the middle of an example must be kept from it.
    space_prefix: bool,
    /// What a new line becomes, behind which a text can be tokenized as in the middle of another.
    newline: Vec<u32>,
}

impl Tokenizer {
    /// Reads the vocabulary of a model whose header is `header`. The error is a sentence.
    pub fn open(path: &Path, header: &Header) -> Result<Tokenizer, String> {
        let params = LlamaModelParams::default().with_vocab_only(true);
        let backend = backend()?;
        forget();
        let model = LlamaModel::load_from_file(backend, path, &params)
            .map_err(|error| format!("its vocabulary cannot be read: {}", reason(&error.to_string())))?;
        let space_prefix = match header.values.get("tokenizer.ggml.add_space_prefix") {
            Some(Value::Bool(prefix)) => *prefix,
            _ => header.text("tokenizer.ggml.model") == Some("llama"),
        };
        let mut tokenizer = Tokenizer { model, space_prefix, newline: Vec::new() };
        tokenizer.newline = tokenizer.piece("\n", false);
        Ok(tokenizer)
    }

    /// Tokens of the vocabulary.
    pub fn size(&self) -> u32 {
        self.model.vocab().n_tokens().max(0) as u32
    }

    /// The token that ends an answer, where the vocabulary has one.
    pub fn end(&self) -> Option<u32> {
        u32::try_from(self.model.vocab().eos().0).ok()
    }

    /// The token that each text of this model begins with.
    pub fn begin(&self) -> Option<u32> {
        let vocab = self.model.vocab();
        if vocab.should_add_bos() { u32::try_from(vocab.bos().0).ok() } else { None }
    }

    /// The tokens of the segments in a row, each with its segment's weight. The token that begins a text
    /// comes first, once, and is never learned.
    pub fn encode(&self, segments: &[Segment]) -> (Vec<u32>, Vec<f32>) {
        let (mut tokens, mut weights) = (Vec::new(), Vec::new());
        for segment in segments.iter().filter(|segment| !segment.text.is_empty()) {
            let piece = match tokens.is_empty() {
                true => self.piece(&segment.text, segment.special),
                false => self.continued(&segment.text, segment.special),
            };
            weights.resize(tokens.len() + piece.len(), segment.learn);
            tokens.extend(piece);
        }
        if let Some(begin) = self.begin().filter(|begin| tokens.first() != Some(begin)) {
            tokens.insert(0, begin);
            weights.insert(0, 0.0);
        }
        (tokens, weights)
    }

    /// The tokens of a text that follows another.
    fn continued(&self, text: &str, special: bool) -> Vec<u32> {
        if !self.space_prefix {
            return self.piece(text, special);
        }
        match self.piece(&format!("\n{text}"), special).strip_prefix(self.newline.as_slice()) {
            Some(rest) => rest.to_vec(),
            // The new line became one token with what follows it.
            None => self.piece(text, special),
        }
    }

    fn piece(&self, text: &str, special: bool) -> Vec<u32> {
        let tokens = self.model.vocab().tokenize(text.as_bytes(), false, special);
        tokens.iter().filter_map(|token| u32::try_from(token.0).ok()).collect()
    }
}
