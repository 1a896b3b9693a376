//! What is trained is what is served: next-token distributions and losses of the trainer and of llama.cpp
//! on the same file, with and without adapters.

use crate::figures::{mean_divergence, mean_loss, spread};
use crate::llama::{Attention, Llama, quantize};
use crate::{how, packed, random_adapter, random_tokens, write};
use familiar_gguf::Gguf;
use familiar_trainer::acts::Acts;
use familiar_trainer::adapter::{self, Heads, Meta, Part};
use familiar_trainer::lora::{Adapter, Target};
use familiar_trainer::model::Model;
use familiar_trainer::synth::{Quantization, Shape, Window};
use familiar_trainer::weight::{Operand, Precision};
use std::path::Path;

const TOKENS: usize = 512;

/// The trainer's logits, row by row.
fn logits(model: &Model<'_>, tokens: &[u32], adapter: Option<&Adapter>, precision: Precision) -> Vec<f32> {
    let pass = model.forward(&packed(&[tokens.to_vec()]), adapter, &how(precision)).unwrap();
    let head = model.head();
    let mut columns = Acts::zeros(head.outputs, tokens.len());
    head.forward(&Operand::new(&pass.hidden, Precision::F32), &mut columns);
    let cap = |x: f32| model.shape.final_softcap.map_or(x, |cap| cap * (x / cap).tanh());
    let all = (0..tokens.len()).flat_map(|t| (0..head.outputs).map(move |n| (n, t)));
    all.map(|(n, t)| cap(columns.get(n, t))).collect()
}

/// The largest mean KL that is allowed between two that compute the same in other ways.
fn allowed(quantization: Quantization) -> f64 {
    match quantization {
        Quantization::F32 => 1e-6,
        // llama.cpp rounds activations to 8 bits before a product with a packed weight.
        _ => 1e-3,
    }
}

/// Shapes with what only some models have.
fn variants() -> Vec<(&'static str, Shape)> {
    let llama = Shape::small("llama");
    vec![
        ("llama tied", Shape { tied: true, ..llama.clone() }),
        ("llama rope factors", Shape { rope_factors: true, ..llama.clone() }),
        ("llama rope linear", Shape { rope_linear: Some(4.0), ..llama.clone() }),
        ("llama rope yarn", Shape { rope_yarn: Some((4.0, 128)), ..llama.clone() }),
        ("llama rope yarn below 1", Shape { rope_yarn: Some((0.5, 128)), ..llama }),
        ("qwen3 rope yarn", Shape { rope_yarn: Some((4.0, 128)), ..Shape::small("qwen3") }),
        ("gemma2", Shape { tied: true, ..Shape::small("gemma2") }),
        ("gemma3 rope yarn", Shape { rope_yarn: Some((4.0, 128)), ..Shape::small("gemma3") }),
        ("gemma3 rope linear", Shape { rope_linear: Some(8.0), ..Shape::small("gemma3") }),
        ("gemma3 tied", Shape { tied: true, ..Shape::small("gemma3") }),
        ("gemma3 no window", Shape { window: None, ..Shape::small("gemma3") }),
        ("gemma3 pattern 6", {
            let window = Some(Window { size: 100, pattern: 6, rope_base: 10_000.0 });
            Shape { window, blocks: 7, final_softcap: Some(5.0), ..Shape::small("gemma3") }
        }),
    ]
}

/// One line of the table: how far the trainer is from llama.cpp on the model at `path`.
fn compare(name: &str, path: &Path, quantization: Quantization, tokens: &[u32]) -> Result<(), String> {
    let gguf = Gguf::open(path).unwrap();
    let model = Model::open(&gguf).unwrap();
    let columns = model.vocabulary();
    let unpacked = path.with_extension("unpacked");
    quantize(path, Quantization::F32, &unpacked);
    let exact = Llama::load(path, Attention::Exact).logits(tokens);
    let served = Llama::load(path, Attention::Served).logits(tokens);
    let unrounded = Llama::load(&unpacked, Attention::Exact).logits(tokens);
    let ours = logits(&model, tokens, None, Precision::F32);
    let ours_rounded = logits(&model, tokens, None, Precision::best());
    let far = |p: &[f32], q: &[f32]| mean_divergence(p, q, columns);
    let (kl, as_served, bf16) = (far(&exact, &ours), far(&served, &ours), far(&exact, &ours_rounded));
    let (same, own) = (far(&unrounded, &ours), far(&exact, &unrounded));
    let (spread, name) = (spread(&exact, columns), format!("{name} {}", quantization.name()));
    println!("{name:<24} {spread:>6.2} {kl:>8.1e} {as_served:>8.1e} {bf16:>8.1e} {same:>8.1e} {own:>8.1e}");
    // Where llama.cpp's own rounding of activations is more than is allowed, ours must add nothing to it.
    let limit = allowed(quantization).max(1.05 * own);
    match same <= 1e-6 && kl <= limit && bf16 <= limit.max(1e-3).max(1.25 * own) {
        true => Ok(()),
        false => Err(name),
    }
}

fn heading() {
    println!("mean KL (nats) of next-token distributions, llama.cpp to trainer, {TOKENS} tokens");
    println!(
        "exact: llama.cpp with F32 cache and no flash attention; served: with F16 cache and flash attention"
    );
    println!("bf16: exact, to the trainer with products in bfloat16");
    println!("weights: llama.cpp on the same weights unpacked to F32, so that it rounds no activations");
    println!("own: llama.cpp to itself on the unpacked weights, which is what its rounding does");
    let titles = ["spread", "exact", "served", "bf16", "weights", "own"].map(|title| format!("{title:>8}"));
    println!("{:<22} {}", "model", titles.join(" "));
}

fn check(outcomes: Vec<Result<(), String>>) {
    let over: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(over.is_empty(), "too far from llama.cpp: {over:#?}");
}

#[test]
fn distributions_of_random_models_equal_llama_cpps() {
    use Quantization::*;
    let mut cases: Vec<_> = Quantization::ALL.map(|q| ("llama", Shape::small("llama"), q)).into();
    for architecture in ["qwen2", "qwen3", "gemma3"] {
        cases.extend([F32, Q8_0, Q4_K].map(|q| (architecture, Shape::small(architecture), q)));
    }
    cases.extend(variants().into_iter().map(|(name, shape)| (name, shape, F32)));
    heading();
    let outcomes = cases.into_iter().map(|(name, shape, quantization)| {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&shape, quantization, &folder);
        compare(name, &path, quantization, &random_tokens(TOKENS, shape.vocabulary, 11))
    });
    check(outcomes.collect());
}

#[test]
fn distributions_of_the_embedded_model_equal_llama_cpps() {
    let ember = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/ember/ember.gguf");
    let text = std::fs::read_to_string(ember.with_file_name("README.md")).unwrap();
    let tokens = &Llama::load(&ember, Attention::Served).tokens(&text)[..TOKENS];
    heading();
    let outcomes = Quantization::ALL.into_iter().map(|quantization| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ember.gguf");
        quantize(&ember, quantization, &path);
        compare("ember", &path, quantization, tokens)
    });
    check(outcomes.collect());
}

fn meta(architecture: &str) -> Meta {
    let (base, manifest) = ("0".repeat(64), "1".repeat(64));
    Meta { architecture: architecture.into(), base, generation: 1, manifest, recipe: serde_json::json!({}) }
}

/// Saves an adapter by way of PEFT's format, as another program would hand it back.
fn save_through_peft(adapter: &Adapter, model: &Model<'_>, architecture: &str, path: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let heads = Heads { architecture, heads: model.shape.heads, kv_heads: model.shape.kv_heads };
    adapter::export(adapter, heads, "random", folder.path()).unwrap();
    let back = adapter::import(folder.path(), heads, &model.sites(&Target::ALL)).unwrap();
    assert_eq!(back.values, adapter.values);
    adapter::save(&back, &meta(architecture), path).unwrap();
}

#[test]
fn losses_with_an_adapter_equal_llama_cpps() {
    println!("mean loss (nats) over {TOKENS} random tokens with a random adapter of rank 8 on all linears");
    println!(
        "{:<10} {:<6} {:>10} {:>10} {:>10} {:>10}",
        "model", "type", "base", "trainer", "llama.cpp", "KL"
    );
    for architecture in ["llama", "qwen2", "qwen3", "gemma3"] {
        for quantization in [Quantization::F32, Quantization::Q8_0, Quantization::Q4_K] {
            let shape = Shape::small(architecture);
            let folder = tempfile::tempdir().unwrap();
            let path = write(&shape, quantization, &folder);
            let gguf = Gguf::open(&path).unwrap();
            let model = Model::open(&gguf).unwrap();
            let adapter = random_adapter(&model, 8, 3);
            let file = folder.path().join("adapter.gguf");
            save_through_peft(&adapter, &model, architecture, &file);
            let (read, _) = adapter::load(&file).unwrap();
            let tokens = random_tokens(TOKENS, shape.vocabulary, 12);
            let ours = logits(&model, &tokens, Some(&read), Precision::F32);
            let mut llama = Llama::load(&path, Attention::Exact);
            let base = llama.logits(&tokens);
            llama.adapt(&[(&file, 1.0)]);
            let theirs = llama.logits(&tokens);
            let columns = shape.vocabulary;
            let [before, our_loss, their_loss] =
                [&base, &ours, &theirs].map(|logits| mean_loss(logits, &tokens, columns));
            let kl = mean_divergence(&theirs, &ours, columns);
            let name = quantization.name();
            println!(
                "{architecture:<10} {name:<6} {before:>10.5} {our_loss:>10.5} {their_loss:>10.5} {kl:>10.1e}"
            );
            let changed = mean_divergence(&base, &theirs, columns);
            assert!(changed > 0.05, "the adapter changes the model by a KL of {changed} only");
            assert!((our_loss / their_loss - 1.0).abs() < 0.01, "{architecture} {name}");
            assert!(kl <= allowed(quantization), "{architecture} {name}: KL {kl}");
        }
    }
}

#[test]
fn a_merged_adapter_equals_its_parts_side_by_side_in_llama_cpp() {
    let shape = Shape::small("llama");
    let folder = tempfile::tempdir().unwrap();
    let path = write(&shape, Quantization::F32, &folder);
    let gguf = Gguf::open(&path).unwrap();
    let model = Model::open(&gguf).unwrap();
    let (one, two) = (random_adapter(&model, 8, 3), random_adapter(&model, 4, 4));
    let files = ["one.gguf", "two.gguf"].map(|name| folder.path().join(name));
    let meta = meta("llama");
    adapter::save(&one, &meta, &files[0]).unwrap();
    adapter::save(&two, &meta, &files[1]).unwrap();
    let parts = [(&one, 0.6), (&two, 0.4)].map(|(adapter, weight)| Part { adapter, meta: &meta, weight });
    let merged = adapter::merge(&parts).unwrap();
    let tokens = random_tokens(TOKENS, shape.vocabulary, 13);
    let ours = logits(&model, &tokens, Some(&merged), Precision::F32);
    let mut llama = Llama::load(&path, Attention::Exact);
    llama.adapt(&[(&files[0], 0.6), (&files[1], 0.4)]);
    let kl = mean_divergence(&llama.logits(&tokens), &ours, shape.vocabulary);
    println!("mean KL of a merged adapter to its parts in llama.cpp: {kl:.1e}");
    assert!(kl <= 1e-6, "{kl}");
}
