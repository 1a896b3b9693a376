//! The trainer against those who compute the same: llama.cpp, which serves the model, and PyTorch with
//! PEFT, which trains it. Models have random weights; tables of what was measured are printed.

mod figures;
mod llama;
mod served;
mod torch;
mod trained;

use familiar_trainer::lora::{Adapter, Target};
use familiar_trainer::model::Model;
use familiar_trainer::random::Stream;
use familiar_trainer::run::{Batch, How, Keep};
use familiar_trainer::synth::{self, Quantization, Shape};
use familiar_trainer::weight::Precision;
use std::path::PathBuf;

/// Writes a model into `folder`.
fn write(shape: &Shape, quantization: Quantization, folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join(format!("{}-{}.gguf", shape.architecture, quantization.name()));
    synth::write(shape, quantization, 7, &path).unwrap();
    path
}

fn random_tokens(count: usize, vocabulary: usize, seed: u64) -> Vec<u32> {
    let mut stream = Stream::new(seed);
    (0..count).map(|_| stream.below(vocabulary) as u32).collect()
}

/// Examples packed one behind the other.
fn packed(examples: &[Vec<u32>]) -> Batch {
    let mut batch = Batch::default();
    for (segment, tokens) in examples.iter().enumerate() {
        batch.tokens.extend(tokens);
        batch.positions.extend(0..tokens.len() as u32);
        batch.segments.extend(std::iter::repeat_n(segment as u32, tokens.len()));
    }
    batch
}

fn how(precision: Precision) -> How {
    How { precision, keep: Keep::Borders, dropout: None, seed: 0, stop: Default::default() }
}

/// An adapter on all linears of a model that changes what it says: B is as random as A.
fn random_adapter(model: &Model<'_>, rank: usize, seed: u64) -> Adapter {
    let mut adapter = Adapter::zeros(rank, 2.0 * rank as f32, 2.0, model.sites(&Target::ALL));
    adapter.initialize(seed);
    let mut stream = Stream::new(seed + 1);
    for site in adapter.sites.clone() {
        let b = &mut adapter.values[site.b..][..site.outputs * rank];
        b.iter_mut().for_each(|value| *value = 0.1 * stream.signed());
    }
    adapter
}
