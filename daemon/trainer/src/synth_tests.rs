use super::*;
use familiar_gguf::Gguf;
use std::collections::HashSet;

fn written(shape: &Shape, quantization: Quantization, seed: u64) -> (tempfile::TempDir, Gguf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    write(shape, quantization, seed, &path).unwrap();
    let gguf = Gguf::open(&path).unwrap();
    (folder, gguf)
}

#[test]
fn every_architecture_and_type_is_written_and_passes_the_check() {
    for architecture in ["llama", "qwen2", "qwen3", "gemma2", "gemma3"] {
        for quantization in Quantization::ALL {
            let (_folder, gguf) = written(&Shape::tiny(architecture), quantization, 1);
            gguf.header.check().unwrap();
            assert_eq!(gguf.header.architecture(), architecture);
            assert_eq!(gguf.header.vocabulary, 320);
        }
    }
}

#[test]
fn a_seed_gives_the_same_file_and_another_seed_another() {
    let shape = Shape::tiny("qwen2");
    let bytes = |seed| written(&shape, Quantization::Q4_0, seed).1.file_bytes().to_vec();
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn types_are_mixed_and_fall_back_as_llama_quantize_does() {
    let kind = |shape: &Shape, quantization, name: &str| {
        written(shape, quantization, 1).1.tensor(name).unwrap().kind.name
    };
    let small = Shape { blocks: 8, ..Shape::small("llama") };
    assert_eq!(kind(&small, Quantization::Q4_K, "token_embd.weight"), "Q4_K");
    assert_eq!(kind(&small, Quantization::Q4_K, "output.weight"), "Q6_K");
    assert_eq!(kind(&small, Quantization::Q4_K, "blk.0.attn_v.weight"), "Q6_K");
    assert_eq!(kind(&small, Quantization::Q4_K, "blk.1.attn_v.weight"), "Q4_K");
    assert_eq!(kind(&small, Quantization::Q4_K, "blk.0.attn_q.weight"), "Q4_K");
    let tied = Shape { tied: true, ..small };
    assert_eq!(kind(&tied, Quantization::Q4_0, "token_embd.weight"), "Q6_K");
    assert_eq!(kind(&tied, Quantization::Q8_0, "token_embd.weight"), "Q8_0");
    let tiny = Shape::tiny("llama");
    assert_eq!(kind(&tiny, Quantization::Q4_K, "blk.1.ffn_up.weight"), "Q5_0");
    assert_eq!(kind(&tiny, Quantization::Q5_K, "blk.1.ffn_up.weight"), "Q5_1");
    assert_eq!(kind(&tiny, Quantization::Q6_K, "blk.1.ffn_up.weight"), "Q8_0");
    assert_eq!(kind(&tiny, Quantization::IQ4_NL, "blk.1.ffn_up.weight"), "IQ4_NL");
}

#[test]
fn what_cannot_be_written_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |shape: &Shape, quantization| {
        write(shape, quantization, 1, &folder.path().join("x.gguf")).unwrap_err().to_string()
    };
    let rwkv = Shape { architecture: "rwkv7", ..Shape::tiny("llama") };
    assert!(refused(&rwkv, Quantization::F32).contains("rwkv7"));
    let odd = Shape { feed_forward: 100, ..Shape::tiny("llama") };
    assert!(refused(&odd, Quantization::Q4_0).contains("blk.0.ffn_down.weight has rows of 100"));
}

#[test]
fn numbers_are_normal_and_independent_of_each_other() {
    let key = key(7, "blk.0.attn_q.weight");
    let count = 1_000_000;
    let values: Vec<f64> = (0..count).map(|i| normal(key, i).into()).collect();
    let moment = |power: i32| values.iter().map(|v| v.powi(power)).sum::<f64>() / count as f64;
    assert!(moment(1).abs() < 0.005 && (moment(2) - 1.0).abs() < 0.005 && moment(3).abs() < 0.02);
    let lagged = values.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / count as f64;
    assert!(lagged.abs() < 0.005, "{lagged}");
}

#[test]
fn words_differ_and_a_vocabulary_has_the_size_asked_for() {
    for count in [16, 300, 49152] {
        let (tokens, types) = vocabulary(count);
        assert_eq!((tokens.len(), types.len()), (count, count));
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), count);
    }
}

#[test]
fn names_lead_to_shapes_and_types() {
    assert!(SHAPES.iter().all(|name| Shape::named(name).is_some()));
    assert_eq!(Shape::named("gpt-5"), None);
    assert_eq!(Quantization::named("q4_k_m"), Some(Quantization::Q4_K));
    assert_eq!(Quantization::named("IQ4_NL"), Some(Quantization::IQ4_NL));
    assert_eq!(Quantization::named("Q9"), None);
}
