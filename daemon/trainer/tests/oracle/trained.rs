//! An adapter trained for real, here on the embedded model's own card, against llama.cpp with it loaded: on
//! text that was trained on and on text that was not.

use crate::figures::mean_loss;
use crate::llama::{Attention, Llama, quantize};
use familiar_gguf::Gguf;
use familiar_trainer::adapter::{self, Meta};
use familiar_trainer::model::Model;
use familiar_trainer::pack::Example;
use familiar_trainer::recipe::Recipe;
use familiar_trainer::run::Keep;
use familiar_trainer::session::Session;
use familiar_trainer::synth::Quantization;
use familiar_trainer::weight::Precision;
use std::path::Path;

/// Tokens of the text that is trained on, and of what follows it.
const TOKENS: usize = 512;

fn example(tokens: &[u32]) -> Example {
    Example {
        tokens: tokens.to_vec(),
        weights: vec![1.0; tokens.len()],
        kl: 0.0,
        avoid: false,
        teacher: None,
    }
}

#[test]
fn the_loss_with_a_trained_adapter_is_llama_cpps() {
    let ember = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/ember/ember.gguf");
    let card = std::fs::read_to_string(ember.with_file_name("README.md")).unwrap();
    println!("mean loss (nats) over {TOKENS} tokens; llama.cpp as it serves");
    println!("type   text      base   trainer  llama.cpp");
    for quantization in [Quantization::F32, Quantization::Q8_0, Quantization::Q4_K] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ember.gguf");
        quantize(&ember, quantization, &path);
        let mut llama = Llama::load(&path, Attention::Served);
        let tokens = llama.tokens(&card);
        let texts = [&tokens[..TOKENS], &tokens[TOKENS..2 * TOKENS]];
        let gguf = Gguf::open(&path).unwrap();
        let model = Model::open(&gguf).unwrap();
        let recipe =
            Recipe { learning_rate: 2e-3, tokens: 128, accumulate: 1, epochs: 25, ..Recipe::default() };
        let examples = texts[0].chunks(128).map(example).collect();
        let mut session = Session::new(&model, recipe, examples, Precision::best(), Keep::Inside).unwrap();
        let base = texts.map(|text| session.evaluate(&[example(text)], &Default::default()).unwrap());
        while session.step() < session.steps() {
            session.micro_batch(&Default::default()).unwrap();
        }
        let file = folder.path().join("adapter.gguf");
        let meta = Meta {
            architecture: "llama".into(),
            base: "0".repeat(64),
            generation: 1,
            manifest: "1".repeat(64),
            recipe: serde_json::json!({}),
        };
        adapter::save(session.adapter(), &meta, &file).unwrap();
        llama.adapt(&[(&file, 1.0)]);
        for ((text, base), name) in texts.into_iter().zip(base).zip(["learned", "other"]) {
            let ours = session.evaluate(&[example(text)], &Default::default()).unwrap();
            let theirs = mean_loss(&llama.logits(text), text, model.vocabulary());
            println!("{:<6} {name:<8} {base:>6.4} {ours:>9.4} {theirs:>10.4}", quantization.name());
            assert!((ours / theirs - 1.0).abs() < 0.01, "{ours} and {theirs}");
            assert!(name == "other" || ours < 0.6 * base, "learned: {base} to {ours}");
        }
    }
}
