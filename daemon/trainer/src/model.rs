//! A decoder-only transformer over a mapped GGUF file: its tensors found and checked, and its forward and
//! backward pass, which equal llama.cpp's graph of the same file. It never writes to the file.

use crate::acts::{Acts, LANES};
use crate::attention::{Heads, Reach};
use crate::block::{Block, Inside, Linear, Step};
use crate::kept::Kept;
use crate::lora::{Adapter, Target};
use crate::norm::Norm;
use crate::rope::{Rotary, Rotation};
use crate::run::{Batch, How, Keep, Stopped};
use crate::shape::{Architecture, Shape};
use crate::weight::{Weight, dequantize};
use familiar_gguf::Gguf;
use std::collections::HashSet;

/// Why a model that may well be served cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(
        "served, not trainable yet: architecture `{0}`; llama (also Mistral, SmolLM, TinyLlama), qwen2, \
         qwen3, gemma2 and gemma3 can be trained"
    )]
    Architecture(String),
    #[error("served, not trainable yet: {0}; choose another model to learn with")]
    Unsupported(String),
    #[error("the model's header lacks `{0}`; convert the model again with llama.cpp's scripts")]
    NoKey(String),
    #[error("the model's header has a wrong `{key}`: it should be {should}; convert the model again")]
    Value { key: String, should: String },
    #[error("the model lacks the tensor `{0}`; convert the model again with llama.cpp's scripts")]
    NoTensor(String),
    #[error(
        "the tensor `{name}` has the shape {has:?}, and by the header {should:?}; convert the model again"
    )]
    Tensor { name: String, has: Vec<u64>, should: Vec<u64> },
    #[error("the tensor `{name}` is of the type {kind}, which cannot be used there; convert the model again")]
    Kind { name: String, kind: &'static str },
    #[error("served, not trainable yet: the tensor `{0}` is nothing that training knows")]
    UnknownTensor(String),
    #[error("the vocabulary has {tokens} tokens and `token_embd.weight` {rows}; convert the model again")]
    Vocabulary { tokens: u64, rows: u64 },
    #[error("the token {token} is none of the model's {vocabulary}; the text was split for another model")]
    Token { token: u32, vocabulary: usize },
    #[error(
        "a batch has {tokens} tokens, {positions} positions and {segments} segments; it needs as many of each"
    )]
    Lengths { tokens: usize, positions: usize, segments: usize },
}

/// A model whose adapters can be trained.
pub struct Model<'a> {
    pub shape: Shape,
    embedding: Weight<'a>,
    head: Weight<'a>,
    output_norm: Norm,
    blocks: Vec<Block<'a>>,
}

/// A forward pass, with what its backward pass needs.
pub struct Pass {
    /// Hidden states after the output norm `[width x tokens]`: what [`Model::head`] turns into logits.
    pub hidden: Acts,
    /// The last block's output.
    last: Acts,
    /// Of each block, from the first one with an adapter on.
    kept: Vec<Saved>,
    places: Places,
}

/// What is kept of one block.
enum Saved {
    Border(Kept),
    Inside(Kept, Box<Inside<Kept>>),
}

/// Rotations and reaches of a batch's tokens, in ordinary blocks and in those with a sliding window.
struct Places {
    global: (Rotation, Reach),
    local: Option<(Rotation, Reach)>,
}

impl<'a> Model<'a> {
    pub fn open(gguf: &'a Gguf) -> Result<Model<'a>, ModelError> {
        let mut shape = Shape::read(&gguf.header)?;
        let mut tensors = Tensors { gguf, used: HashSet::new() };
        let width = shape.width;
        let embedding = tensors.embedding(width)?;
        let head = match gguf.tensor("output.weight") {
            Some(_) => tensors.matrix("output.weight".into(), width, embedding.outputs)?,
            None => embedding,
        };
        let output_norm = tensors.norm("output_norm.weight".into(), width, shape.eps)?;
        if shape.architecture == Architecture::Llama {
            shape.rotary.factors = tensors.factors(&shape.rotary)?;
        }
        let blocks = (0..shape.blocks).map(|index| tensors.block(&shape, index)).collect::<Result<_, _>>()?;
        tensors.all_used()?;
        Ok(Model { shape, embedding, head, output_norm, blocks })
    }

    /// Where adapters may sit: block, target, inputs and outputs.
    pub fn sites(&self, targets: &[Target]) -> Vec<(usize, Target, usize, usize)> {
        let of_block = |block: &Block<'a>| {
            let index = block.index;
            let sizes = block.linears.each_ref().map(|linear| (linear.weight.inputs, linear.weight.outputs));
            let sites = Target::ALL.into_iter().zip(sizes);
            sites
                .filter(|(target, _)| targets.contains(target))
                .map(move |(target, (i, o))| (index, target, i, o))
        };
        self.blocks.iter().flat_map(of_block).collect()
    }

    /// The matrix that turns hidden states into logits: `output.weight`, or the embedding where they are tied.
    pub fn head(&self) -> Weight<'a> {
        self.head
    }

    /// Elements of the matrices that every token is multiplied with: those of the blocks, and the head's.
    pub fn matrix_elements(&self) -> (usize, usize) {
        let linears = self.blocks.iter().flat_map(|block| &block.linears);
        let blocks = linears.map(|linear| linear.weight.inputs * linear.weight.outputs).sum();
        (blocks, self.head.inputs * self.head.outputs)
    }

    pub fn vocabulary(&self) -> usize {
        self.embedding.outputs
    }

    /// Whether [`Self::forward`] can take the batch.
    pub fn check(&self, batch: &Batch) -> Result<(), ModelError> {
        let (tokens, positions, segments) = (batch.tokens.len(), batch.positions.len(), batch.segments.len());
        if (positions, segments) != (tokens, tokens) {
            return Err(ModelError::Lengths { tokens, positions, segments });
        }
        let vocabulary = self.vocabulary();
        match batch.tokens.iter().find(|token| **token as usize >= vocabulary) {
            Some(&token) => Err(ModelError::Token { token, vocabulary }),
            None => Ok(()),
        }
    }

    /// Without an adapter it is the base model's pass, and nothing is kept for a backward one.
    ///
    /// # Panics
    /// When [`Self::check`] refuses the batch.
    pub fn forward(&self, batch: &Batch, adapter: Option<&Adapter>, how: &How) -> Result<Pass, Stopped> {
        let places = Places::new(&self.shape, batch);
        let first = first_trained(adapter);
        let mut x = self.embed(&batch.tokens);
        let mut kept = Vec::new();
        for block in &self.blocks {
            let (y, inside) = block.forward(&x, self.step(block, adapter, how, &places))?;
            let x = std::mem::replace(&mut x, y);
            if first.is_none_or(|first| block.index < first) {
                continue;
            }
            kept.push(match how.keep {
                Keep::Borders => Saved::Border(Kept::new(x, how.precision)),
                Keep::Inside => {
                    let keep = |acts| Kept::new(acts, how.precision);
                    Saved::Inside(keep(x), Box::new(inside.map(keep)))
                }
            });
        }
        Ok(Pass { hidden: self.output_norm.forward(&x), last: x, kept, places })
    }

    /// Adds the adapter's gradients to `grads` (laid out as [`Adapter::values`]), where `d_hidden` is the
    /// gradient by [`Pass::hidden`]. Takes what the pass was made with.
    pub fn backward(
        &self,
        batch: &Batch,
        adapter: &Adapter,
        pass: Pass,
        mut d_hidden: Acts,
        grads: &mut [f32],
        how: &How,
    ) -> Result<(), Stopped> {
        let Pass { hidden, last, mut kept, places } = pass;
        drop(hidden);
        clear_padding(&mut d_hidden, batch.tokens.len());
        let mut dy = Acts::zeros(last.features(), last.tokens());
        self.output_norm.backward(&last, &d_hidden, &mut dy);
        drop((last, d_hidden));
        for block in self.blocks.iter().rev() {
            let Some(saved) = kept.pop() else { break };
            let step = self.step(block, Some(adapter), how, &places);
            let (x, inside) = match saved {
                Saved::Border(x) => {
                    let x = x.take();
                    let inside = block.again(&x, step)?;
                    (x, inside)
                }
                Saved::Inside(x, inside) => (x.take(), inside.take()),
            };
            dy = block.backward(&x, inside, dy, grads, step, kept.is_empty())?;
        }
        Ok(())
    }

    fn step<'s>(
        &self,
        block: &Block<'_>,
        adapter: Option<&'s Adapter>,
        how: &'s How,
        places: &'s Places,
    ) -> Step<'s> {
        let local = places.local.as_ref().filter(|_| self.shape.is_local(block.index));
        let (rotation, reach) = local.unwrap_or(&places.global);
        Step { adapter, how, reach, rotation }
    }

    fn embed(&self, tokens: &[u32]) -> Acts {
        let mut x = Acts::zeros(self.shape.width, tokens.len());
        let mut row = vec![0.0; self.shape.width];
        for (t, token) in tokens.iter().enumerate() {
            self.embedding.row(*token as usize, &mut row);
            row.iter().enumerate().for_each(|(i, value)| x.set(i, t, value * self.shape.embedding_scale));
        }
        x
    }
}

impl Places {
    fn new(shape: &Shape, batch: &Batch) -> Places {
        let place =
            |rotary, window| (Rotation::new(rotary, &batch.positions), Reach::new(&batch.segments, window));
        Places {
            global: place(&shape.rotary, None),
            local: shape.local.as_ref().map(|local| place(&local.rotary, Some(local.window))),
        }
    }
}

fn first_trained(adapter: Option<&Adapter>) -> Option<usize> {
    adapter?.sites.iter().map(|site| site.block).min()
}

/// Padding must bring no gradient, and what comes here may hold anything.
fn clear_padding(acts: &mut Acts, tokens: usize) {
    let used = tokens % LANES;
    if used == 0 {
        return;
    }
    let last = acts.panels() - 1;
    acts.panel_mut(last).chunks_exact_mut(LANES).for_each(|row| row[used..].fill(0.0));
}

/// The file's tensors, each checked against the hyperparameters when it is taken.
struct Tensors<'a> {
    gguf: &'a Gguf,
    used: HashSet<String>,
}

impl<'a> Tensors<'a> {
    fn block(&mut self, shape: &Shape, index: usize) -> Result<Block<'a>, ModelError> {
        let heads = Heads {
            query: shape.heads,
            key: shape.kv_heads,
            size: shape.head,
            scale: shape.attention_scale,
            softcap: shape.attention_softcap,
        };
        let linears = Target::ALL.map(|target| self.linear(shape, index, target));
        let mut norm =
            |name: &str, size: usize| self.norm(format!("blk.{index}.{name}.weight"), size, shape.eps);
        let (width, head) = (shape.width, shape.head);
        let (gemma, heads_too) = (shape.architecture.is_gemma(), shape.architecture.norms_heads());
        let mut norm_if = |there: bool, name: &str, size| there.then(|| norm(name, size)).transpose();
        let query_norm = norm_if(heads_too, "attn_q_norm", head)?;
        let key_norm = norm_if(heads_too, "attn_k_norm", head)?;
        let attention_post_norm = norm_if(gemma, "post_attention_norm", width)?;
        let inner_post_norm = norm_if(gemma, "post_ffw_norm", width)?;
        let [q, k, v, o, gate, up, down] = linears;
        Ok(Block {
            index,
            linears: [q?, k?, v?, o?, gate?, up?, down?],
            attention_norm: norm("attn_norm", width)?,
            query_norm,
            key_norm,
            attention_post_norm,
            inner_norm: norm("ffn_norm", width)?,
            inner_post_norm,
            heads,
            gate: shape.gate,
        })
    }

    fn linear(&mut self, shape: &Shape, index: usize, target: Target) -> Result<Linear<'a>, ModelError> {
        let (q, kv) = (shape.heads * shape.head, shape.kv_heads * shape.head);
        let (inputs, outputs) = match target {
            Target::Q => (shape.width, q),
            Target::K | Target::V => (shape.width, kv),
            Target::O => (q, shape.width),
            Target::Gate | Target::Up => (shape.width, shape.inner),
            Target::Down => (shape.inner, shape.width),
        };
        let name = format!("blk.{index}.{}", target.tensor());
        let weight = self.matrix(format!("{name}.weight"), inputs, outputs)?;
        let bias = format!("{name}.bias");
        let bias = self.gguf.tensor(&bias).map(|_| self.vector(bias, outputs)).transpose()?;
        Ok(Linear { weight, bias })
    }

    fn embedding(&mut self, width: usize) -> Result<Weight<'a>, ModelError> {
        let name = "token_embd.weight";
        let tensor = self.gguf.tensor(name).ok_or_else(|| ModelError::NoTensor(name.into()))?;
        let rows = tensor.shape.get(1).copied().unwrap_or(0);
        let tokens = self.gguf.header.vocabulary;
        if tokens > rows {
            return Err(ModelError::Vocabulary { tokens, rows });
        }
        self.matrix(name.into(), width, rows as usize)
    }

    fn matrix(&mut self, name: String, inputs: usize, outputs: usize) -> Result<Weight<'a>, ModelError> {
        let tensor = self.gguf.tensor(&name).ok_or_else(|| ModelError::NoTensor(name.clone()))?;
        let should = [inputs as u64, outputs as u64];
        if tensor.shape != should {
            return Err(ModelError::Tensor { name, has: tensor.shape.to_vec(), should: should.to_vec() });
        }
        self.used.insert(name.clone());
        Weight::new(tensor).ok_or(ModelError::Kind { name, kind: tensor.kind.name })
    }

    fn norm(&mut self, name: String, size: usize, eps: f32) -> Result<Norm, ModelError> {
        Ok(Norm { weight: self.vector(name, size)?, eps })
    }

    fn vector(&mut self, name: String, size: usize) -> Result<Vec<f32>, ModelError> {
        let tensor = self.gguf.tensor(&name).ok_or_else(|| ModelError::NoTensor(name.clone()))?;
        if tensor.shape != [size as u64] {
            return Err(ModelError::Tensor { name, has: tensor.shape.to_vec(), should: vec![size as u64] });
        }
        if !["F32", "F16", "BF16"].contains(&tensor.kind.name) {
            return Err(ModelError::Kind { name, kind: tensor.kind.name });
        }
        let mut values = vec![0.0; size];
        dequantize(tensor.kind, tensor.bytes, &mut values);
        self.used.insert(name);
        Ok(values)
    }

    /// Llama 3's frequency factors.
    fn factors(&mut self, rotary: &Rotary) -> Result<Option<Vec<f32>>, ModelError> {
        let name = "rope_freqs.weight";
        if self.gguf.tensor(name).is_none() {
            return Ok(None);
        }
        let factors = self.vector(name.into(), rotary.dims / 2)?;
        if factors.iter().any(|factor| !factor.is_normal()) {
            return Err(ModelError::Value { key: name.into(), should: "finite and not zero".into() });
        }
        Ok(Some(factors))
    }

    /// A tensor that was not asked for would be part of what is served and not of what is trained.
    fn all_used(&self) -> Result<(), ModelError> {
        let mut names = self.gguf.header.tensors.iter().map(|info| &info.name);
        match names.find(|name| !self.used.contains(*name)) {
            Some(name) => Err(ModelError::UnknownTensor(name.chars().take(80).collect())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
