//! llama.cpp behind [`Model`], used only in the engine worker, where an abort of llama.cpp ends nothing
//! but that process. It opens the model's file and its adapter's, and nothing else.

use super::adapters::shown_name;
use super::batch::{Feed, Model, Sampled, Token};
use super::format::{self, Grammar};
use super::template::{Guard, Spellings, Template};
use crate::llama::{self, backend, reason, system_line};
use crate::protocol::frames::{Fault, Generate, Load, ModelInfo, Sampling, Score, Scored, Tokens};
use crate::types::ToolFormat;
use familiar_gguf::Header;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llama_cpp_2::token_type::LlamaTokenAttr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Mutex;

/// Context of a sequence when the settings leave it to the model.
const MAX_OWN_CONTEXT: u32 = 8192;
/// Tokens of a prompt in one call. Small on the CPU, where a call costs little and KV state is
/// reused in whole calls only; larger on a GPU, which small calls leave idle.
const CPU_GRID: usize = 64;
const GPU_GRID: usize = 256;
/// Parameters below which one thread is fastest: threads that wait for each other at every operation
/// cost more than they bring, and on a machine with other work hundreds of times as much.
const SMALL: u64 = 50_000_000;
/// Conversations decoded at once, at most.
const MAX_PARALLEL: u32 = 64;

/// A model's weights, vocabulary and template.
pub struct Weights {
    model: LlamaModel,
    template: Template,
    control: Spellings,
    marks: Spellings,
    /// Tokens whose text belongs to an answer although they are control tokens.
    tags: Vec<Token>,
    info: ModelInfo,
    /// Lives as long as the model. Locked only while a context is made.
    adapter: Option<Mutex<LlamaLoraAdapter>>,
    parallel: u32,
    threads: i32,
    grid: usize,
}

impl Weights {
    /// Checks and loads a model. The error is worded for the owner: which model, what is wrong, what to do.
    pub fn open(load: &Load) -> Result<Weights, Fault> {
        let path = Path::new(&load.path);
        let name =
            path.file_stem().map_or_else(|| load.path.clone(), |stem| stem.to_string_lossy().into_owned());
        let unusable = |why: String| Fault::Model(format!("the model `{name}` cannot be used: {why}"));
        let header = Header::open(path).map_err(|e| unusable(e.to_string()))?;
        header.check().map_err(|e| unusable(e.to_string()))?;
        let backend = backend().map_err(unusable)?;
        llama::forget();
        let layers = if backend.supports_gpu_offload() { load.gpu_layers } else { 0 };
        let params = LlamaModelParams::default().with_n_gpu_layers(layers);
        let mut model = LlamaModel::load_from_file(backend, path, &params)
            .map_err(|e| unusable(reason(&e.to_string())))?;
        let adapter = load.adapter.as_deref().map(|path| adapter(&mut model, path)).transpose()?;
        let mut weights = Weights::describe(model, &name, &header, load, layers).map_err(unusable)?;
        weights.adapter = adapter.map(Mutex::new);
        Ok(weights)
    }

    fn describe(
        model: LlamaModel,
        name: &str,
        header: &Header,
        load: &Load,
        layers: u32,
    ) -> Result<Weights, String> {
        let vocab = model.vocab();
        let text = |token: LlamaToken| token_text(&model, token);
        let source = header.text("tokenizer.chat_template");
        let template = Template::new(source, &text(vocab.bos()), &text(vocab.eos()))?;
        let tool_format = ToolFormat::detect(source.unwrap_or(""));
        let (mut control, mut marks, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        for token in vocab.tokens() {
            let attributes = vocab.attr(token).0;
            let special =
                attributes.contains(LlamaTokenAttr::Control) || attributes.contains(LlamaTokenAttr::Unknown);
            let spelling = text(token);
            let (open, close) = tool_format.tags();
            if !spelling.is_empty() && (spelling == open || spelling == close) {
                tags.push(token.0);
            }
            if special {
                control.push(spelling);
            } else if attributes.contains(LlamaTokenAttr::UserDefined)
                && spelling.chars().count() > 2
                && source.is_some_and(|source| source.contains(&spelling))
            {
                marks.push(spelling);
            }
        }
        let train_context = model.n_ctx_train();
        let wanted = if load.context == 0 { MAX_OWN_CONTEXT } else { load.context };
        let flag = |key: &str| matches!(header.values.get(key), Some(familiar_gguf::Value::Bool(true)));
        let hint = |key: &str| header.number(key).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let info = ModelInfo {
            name: name.into(),
            adapter: load.adapter.as_deref().and_then(shown_name),
            architecture: header.architecture().into(),
            parameters: model.n_params(),
            size_bytes: model.size(),
            context: wanted.min(train_context.max(1)),
            train_context,
            tools: template.renders_tools(),
            tool_format,
            grounded_only: flag("familiar.grounded_only"),
            quotes: flag("familiar.quotes") || flag("familiar.grounded_only"),
            passages: hint("familiar.passages"),
            passage_chars: hint("familiar.passage_chars"),
            system: system_line(),
        };
        let threads = match load.threads {
            0 if model.n_params() < SMALL => 1,
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n as usize,
        };
        Ok(Weights {
            model,
            template,
            control: Spellings::new(control),
            marks: Spellings::new(marks),
            tags,
            info,
            adapter: None,
            parallel: load.parallel.clamp(1, MAX_PARALLEL),
            threads: threads.min(512) as i32,
            grid: if layers > 0 { GPU_GRID } else { CPU_GRID },
        })
    }

    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Makes room for the conversations.
    pub fn host(&self) -> Result<Host<'_>, Fault> {
        let total = self.info.context.saturating_mul(self.parallel);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(total))
            .with_n_seq_max(self.parallel)
            .with_kv_unified(false)
            .with_n_batch(GPU_GRID as u32)
            .with_n_ubatch(GPU_GRID as u32)
            .with_n_threads(self.threads)
            .with_n_threads_batch(self.threads);
        let failed = |why: String| {
            Fault::Model(format!(
                "the model `{}` has no room for {} conversations of {} tokens: {why}; lower `context` or `parallel` under [model]",
                self.info.name, self.parallel, self.info.context
            ))
        };
        let backend = backend().map_err(failed)?;
        let mut context =
            self.model.new_context(backend, params).map_err(|e| failed(reason(&e.to_string())))?;
        if let Some(adapter) = &self.adapter {
            let mut adapter = adapter.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            context.lora_adapter_set(&mut adapter, 1.0).map_err(|e| failed(reason(&e.to_string())))?;
        }
        Ok(Host { weights: self, context, batch: LlamaBatch::new(GPU_GRID, 1) })
    }

    /// The token that begins a text, where the model has one.
    fn beginning(&self) -> Option<Token> {
        let vocab = self.model.vocab();
        Some(vocab.bos().0).filter(|bos| *bos >= 0 && vocab.should_add_bos())
    }

    /// The tokens of a text in which nothing is a control token.
    fn plain_tokens(&self, text: &str) -> impl Iterator<Item = Token> {
        self.model.vocab().tokenize(text.as_bytes(), false, false).into_iter().map(|token| token.0)
    }

    fn tokenize(&self, prompt: &str, sentinel: char) -> Vec<Token> {
        let vocab = self.model.vocab();
        let mut tokens = Vec::new();
        for part in prompt.split(sentinel).filter(|part| !part.is_empty()) {
            tokens.extend(vocab.tokenize(part.as_bytes(), false, true).iter().map(|token| token.0));
        }
        // Most templates write the first token themselves; it must stand there once.
        let bos = vocab.bos().0;
        if vocab.should_add_bos() && bos >= 0 && tokens.first() != Some(&bos) {
            tokens.insert(0, bos);
        }
        tokens
    }
}

/// Negative log-likelihood of a token, in nats.
fn surprise(logits: &[f32], token: Token) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    sum.ln() - f64::from(logits[token as usize] - most)
}

/// A loaded model with its KV cache.
pub struct Host<'w> {
    weights: &'w Weights,
    context: LlamaContext<'w>,
    batch: LlamaBatch<'static>,
}

/// Sampling state of one answer.
pub struct Sampler {
    chain: LlamaSampler,
    grammar: Option<LlamaSampler>,
    /// The grammar rules from here on; before, an answer may be free text.
    ruled: bool,
    /// An answer that begins with `[` is ruled by the grammar too.
    may_quote: bool,
    offers_tools: bool,
    format: ToolFormat,
    /// The answer so far, as the grammar sees it.
    answer: Vec<u8>,
    /// Bytes at the end of a ruled answer that begin a character.
    unfinished: Vec<u8>,
}

/// Whether the answer so far holds a call's or a quote's beginning.
fn opens(answer: &[u8], format: ToolFormat, may_quote: bool) -> bool {
    (may_quote && answer.first() == Some(&b'[')) || format.find(&String::from_utf8_lossy(answer)).is_some()
}

impl Model for Host<'_> {
    type Sampler = Sampler;

    fn context(&self) -> u32 {
        self.weights.info.context
    }

    fn sequences(&self) -> usize {
        self.weights.parallel as usize
    }

    fn grid(&self) -> usize {
        self.weights.grid
    }

    fn prompt(&self, request: &Generate) -> Result<Vec<Token>, Fault> {
        let guard = Guard::new(&self.weights.control, &self.weights.marks, request);
        let prompt = self.weights.template.render(request, &guard)?;
        Ok(self.weights.tokenize(&prompt, guard.sentinel))
    }

    fn sampler(&self, request: &Generate) -> Result<Sampler, Fault> {
        validate(&request.sampling)?;
        let format = self.weights.info.tool_format;
        let grammar = format::grammar(request, format)?;
        let ruled = grammar.as_ref().is_some_and(|grammar| grammar.triggers.is_empty());
        Ok(Sampler {
            chain: chain(&request.sampling),
            grammar: grammar.map(|grammar| self.grammar(&grammar)).transpose()?,
            ruled,
            may_quote: request.quotes.is_some(),
            offers_tools: !request.tools.is_empty() && request.tool_choice != crate::types::ToolChoice::None,
            format,
            answer: Vec::new(),
            unfinished: Vec::new(),
        })
    }

    fn keep(&mut self, sequence: usize, length: usize) -> usize {
        let cut = self.context.kv_cache_seq_rm(sequence as i32, Some(length as u32), None);
        if cut.is_ok() {
            return length;
        }
        // A recurrent memory cannot go back: it starts again. Removing all of a sequence never fails.
        let _ = self.context.kv_cache_seq_rm(sequence as i32, None, None);
        0
    }

    fn decode(&mut self, feeds: &[Feed]) -> Result<(), Fault> {
        self.batch.clear();
        for feed in feeds {
            self.batch
                .add(LlamaToken(feed.token), feed.position as i32, &[feed.sequence as i32], feed.last)
                .map_err(|e| Fault::Internal(format!("the batch is full: {e}")))?;
        }
        self.context
            .decode(&mut self.batch)
            .map_err(|e| Fault::Internal(format!("llama.cpp could not decode: {}", reason(&e.to_string()))))
    }

    fn sample(&mut self, sampler: &mut Sampler, index: usize) -> Result<Sampled, Fault> {
        let mut all = self.context.token_data_array_ith(index as i32);
        loop {
            let Some(token) = pick(sampler, &mut all) else { return Ok(Sampled::End) };
            if self.weights.model.vocab().is_eog(token) {
                return Ok(Sampled::End);
            }
            if self.accept(sampler, token) {
                let shown = sampler.ruled || self.weights.tags.contains(&token.0);
                return Ok(Sampled::Token { token: token.0, bytes: self.piece(token, shown) });
            }
            // A token that opens a call and already breaks its grammar, or bytes that are no character.
            all.data.retain(|candidate| candidate.id() != token);
        }
    }

    fn score(&mut self, sequence: usize, score: &Score) -> Result<Scored, Fault> {
        let mut tokens = match &score.prompt {
            Some(prompt) => self.prompt(prompt)?,
            None => self.weights.beginning().into_iter().collect(),
        };
        let read = tokens.len();
        tokens.extend(self.weights.plain_tokens(&score.text));
        let limit = self.weights.info.context;
        if tokens.len() > limit as usize {
            return Err(Fault::PromptTooLong { tokens: tokens.len() as u32, limit });
        }
        self.keep(sequence, 0);
        let scored = self.predict(sequence, &tokens, read);
        self.keep(sequence, 0);
        scored
    }

    fn tokens(&self, score: &Score) -> Result<Tokens, Fault> {
        let known = |token: Token| u32::try_from(token).ok();
        let prompt = match &score.prompt {
            Some(prompt) => self.prompt(prompt)?,
            None => self.weights.beginning().into_iter().collect(),
        };
        Ok(Tokens {
            prompt: prompt.into_iter().filter_map(known).collect(),
            text: self.weights.plain_tokens(&score.text).filter_map(known).collect(),
            end: known(self.weights.model.vocab().eos().0),
        })
    }

    fn called_tool(&self, sampler: &Sampler) -> bool {
        sampler.offers_tools && sampler.format.find(&String::from_utf8_lossy(&sampler.answer)).is_some()
    }
}

impl Host<'_> {
    /// Reads the tokens in an empty sequence and tells how surprising each is from `from` on, but never the first.
    fn predict(&mut self, sequence: usize, tokens: &[Token], from: usize) -> Result<Scored, Fault> {
        let mut scored = Scored::default();
        for (cell, part) in tokens.chunks(self.weights.grid).enumerate() {
            let begin = cell * self.weights.grid;
            let feed = |(at, &token)| Feed { sequence, position: begin + at, token, last: true };
            self.decode(&part.iter().enumerate().map(feed).collect::<Vec<_>>())?;
            for at in 0..part.len() {
                let Some(&next) = tokens.get(begin + at + 1) else { break };
                if begin + at + 1 < from {
                    continue;
                }
                scored.nats.push(surprise(self.context.get_logits_ith(at as i32), next) as f32);
                scored.bytes += self.piece(LlamaToken(next), true).len() as u64;
            }
        }
        Ok(scored)
    }

    fn grammar(&self, grammar: &Grammar) -> Result<LlamaSampler, Fault> {
        let model = &self.weights.model;
        let made = match grammar.triggers.as_slice() {
            [] => LlamaSampler::grammar(model, &grammar.text, "root"),
            triggers => LlamaSampler::grammar_lazy_patterns(model, &grammar.text, "root", triggers, &[]),
        };
        made.map_err(|_| {
            Fault::Invalid(format!(
                "the JSON schema cannot be made a grammar ({}): make it smaller, or less recursive",
                reason("llama.cpp refuses it")
            ))
        })
    }

    fn piece(&self, token: LlamaToken, special: bool) -> Vec<u8> {
        self.weights.model.vocab().token_to_piece(token, special, None)
    }

    /// Tells the grammar of a token. `false`: the token would open a call and break it at once, or it is
    /// bytes that a grammar lets pass although no character begins so (overlong forms, halves of pairs).
    fn accept(&self, sampler: &mut Sampler, token: LlamaToken) -> bool {
        let Some(grammar) = &mut sampler.grammar else { return true };
        if sampler.ruled {
            match unfinished(&sampler.unfinished, &self.piece(token, true)) {
                Some(bytes) => sampler.unfinished = bytes,
                None => return false,
            }
        }
        let length = sampler.answer.len();
        sampler.answer.extend(self.piece(token, true));
        let opens = !sampler.ruled && opens(&sampler.answer, sampler.format, sampler.may_quote);
        // Accepting may fail only where free text turns into a call or a quote, so only there a way back is kept.
        let before = opens.then(|| grammar.clone());
        let accepted = grammar.try_accept(token).is_ok();
        match before {
            Some(before) if !accepted => {
                *grammar = before;
                sampler.answer.truncate(length);
                false
            }
            _ => {
                sampler.ruled |= opens;
                true
            }
        }
    }
}

/// What begins a character at the end of text; `None` where the bytes are no text.
fn unfinished(before: &[u8], piece: &[u8]) -> Option<Vec<u8>> {
    let bytes = [before, piece].concat();
    match std::str::from_utf8(&bytes) {
        Ok(_) => Some(Vec::new()),
        Err(error) if error.error_len().is_none() => Some(bytes[error.valid_up_to()..].to_vec()),
        Err(_) => None,
    }
}

/// The next token by the sampling settings, among those the grammar allows. `None`: it allows none,
/// as when its text is complete and the vocabulary has no token that ends an answer.
fn pick(sampler: &mut Sampler, all: &mut LlamaTokenDataArray) -> Option<LlamaToken> {
    let mut some = all.clone();
    sampler.chain.apply(&mut some);
    let token = some.selected_token()?;
    let Some(grammar) = sampler.grammar.as_mut().filter(|_| sampler.ruled) else { return Some(token) };
    // The whole vocabulary is held against the grammar only when the first choice breaks it.
    let mut one = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 1.0, 0.0)], false);
    grammar.apply(&mut one);
    if one.data[0].logit() > f32::NEG_INFINITY {
        return Some(token);
    }
    grammar.apply(all);
    all.data.retain(|candidate| candidate.logit() > f32::NEG_INFINITY);
    if all.data.is_empty() {
        return None;
    }
    let mut allowed = all.clone();
    sampler.chain.apply(&mut allowed);
    allowed.selected_token()
}

fn chain(sampling: &Sampling) -> LlamaSampler {
    if sampling.temperature == 0.0 {
        return LlamaSampler::chain([LlamaSampler::greedy()], true);
    }
    let mut samplers = Vec::new();
    if sampling.top_k > 0 {
        samplers.push(LlamaSampler::top_k(sampling.top_k));
    }
    if sampling.top_p < 1.0 {
        samplers.push(LlamaSampler::top_p(sampling.top_p, 1));
    }
    if sampling.min_p > 0.0 {
        samplers.push(LlamaSampler::min_p(sampling.min_p, 1));
    }
    samplers.push(LlamaSampler::temp(sampling.temperature));
    samplers.push(LlamaSampler::dist(sampling.seed));
    LlamaSampler::chain(samplers, true)
}

fn validate(sampling: &Sampling) -> Result<(), Fault> {
    let within = |name: &str, value: f32, low: f32, high: f32| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(Fault::Invalid(format!("`{name}` is {value} and must be from {low} to {high}")))
    };
    within("temperature", sampling.temperature, 0.0, 10.0)?;
    within("top_p", sampling.top_p, 0.0, 1.0)?;
    within("min_p", sampling.min_p, 0.0, 1.0)?;
    within("top_k", sampling.top_k as f32, 0.0, i32::MAX as f32)?;
    within("max_tokens", sampling.max_tokens as f32, 1.0, u32::MAX as f32)?;
    within("number of stop strings", sampling.stop.len() as f32, 0.0, 16.0)?;
    match sampling.stop.iter().find(|stop| stop.is_empty() || stop.len() > 1024) {
        Some(stop) => {
            Err(Fault::Invalid(format!("a stop string has {} bytes and must have 1 to 1024", stop.len())))
        }
        None => Ok(()),
    }
}

/// Reads an adapter onto the model. llama.cpp checks that its tensors are those of the model.
fn adapter(model: &mut LlamaModel, path: &str) -> Result<LlamaLoraAdapter, Fault> {
    let unusable = |why: String| {
        let name = shown_name(path).unwrap_or_default();
        Fault::Model(format!(
            "the adapter `{name}` cannot be used: {why}; `familiar model use NAME --adapter none` goes on without"
        ))
    };
    // llama.cpp asks a file that is not there to be, and reads past one that is cut.
    Header::open(Path::new(path)).map_err(|e| unusable(e.to_string()))?;
    model.lora_adapter_init(path).map_err(|e| unusable(reason(&e.to_string())))
}

fn token_text(model: &LlamaModel, token: LlamaToken) -> String {
    let vocab = model.vocab();
    if token.0 < 0 || token.0 >= vocab.n_tokens() {
        return String::new();
    }
    vocab.text(token).map_or_else(String::new, |text| text.to_string_lossy().into_owned())
}

#[cfg(test)]
#[path = "llama_tests.rs"]
mod tests;
