use super::*;
use crate::random::Stream;
use crate::weight::Precision;
use familiar_gguf::{Value, Writer};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const WIDTH: usize = 20;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD: usize = 6;
const INNER: usize = 28;
const VOCABULARY: usize = 40;

/// What tiny models differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Extra {
    Plain,
    /// Biases on every linear, a head of its own, frequency factors and YaRN.
    Everything,
}

fn random(stream: &mut Stream, values: usize, size: f32) -> Vec<f32> {
    (0..values).map(|_| size * stream.signed()).collect()
}

/// A model of two blocks with odd sizes and random weights.
fn tiny(architecture: Architecture, extra: Extra) -> Writer {
    let name = architecture.name();
    let key = |key: &str| format!("{name}.{key}");
    let mut file = Writer::default()
        .text("general.architecture", name)
        .u32(&key("block_count"), 2)
        .u32(&key("context_length"), 64)
        .u32(&key("embedding_length"), WIDTH as u32)
        .u32(&key("feed_forward_length"), INNER as u32)
        .u32(&key("attention.head_count"), HEADS as u32)
        .u32(&key("attention.head_count_kv"), KV_HEADS as u32)
        .u32(&key("attention.key_length"), HEAD as u32)
        .u32(&key("attention.value_length"), HEAD as u32)
        .f32(&key("rope.freq_base"), 100.0)
        .f32(&key("attention.layer_norm_rms_epsilon"), 1e-5);
    if architecture.is_gemma() {
        file = file
            .u32(&key("attention.sliding_window"), 11)
            .u32(&key("attention.sliding_window_pattern"), 2)
            .f32(&key("attn_logit_softcapping"), 3.0)
            .f32(&key("final_logit_softcapping"), 20.0);
    }
    if extra == Extra::Everything {
        file = file
            .text(&key("rope.scaling.type"), "yarn")
            .f32(&key("rope.scaling.factor"), 4.0)
            .u32(&key("rope.scaling.original_context_length"), 16);
    }
    let mut stream = Stream::new(7);
    let mut matrix = |file: Writer, name: &str, inputs: usize, outputs: usize| {
        let values = random(&mut stream, inputs * outputs, (3.0 / inputs as f32).sqrt());
        file.tensor(name, &[inputs as u64, outputs as u64], values)
    };
    file = matrix(file, "token_embd.weight", WIDTH, VOCABULARY);
    let (q, kv) = (HEADS * HEAD, KV_HEADS * HEAD);
    let linears = [
        ("attn_q", WIDTH, q),
        ("attn_k", WIDTH, kv),
        ("attn_v", WIDTH, kv),
        ("attn_output", q, WIDTH),
        ("ffn_gate", WIDTH, INNER),
        ("ffn_up", WIDTH, INNER),
        ("ffn_down", INNER, WIDTH),
    ];
    for block in 0..2 {
        for (name, inputs, outputs) in linears {
            file = matrix(file, &format!("blk.{block}.{name}.weight"), inputs, outputs);
        }
    }
    if extra == Extra::Everything {
        file = matrix(file, "output.weight", WIDTH, VOCABULARY);
    }
    let mut vectors = vec![("output_norm.weight".to_string(), WIDTH)];
    for block in 0..2 {
        let mut add = |name: &str, size| vectors.push((format!("blk.{block}.{name}"), size));
        add("attn_norm.weight", WIDTH);
        add("ffn_norm.weight", WIDTH);
        if architecture.norms_heads() {
            add("attn_q_norm.weight", HEAD);
            add("attn_k_norm.weight", HEAD);
        }
        if architecture.is_gemma() {
            add("post_attention_norm.weight", WIDTH);
            add("post_ffw_norm.weight", WIDTH);
        }
        for (name, _, outputs) in linears {
            let usual = architecture == Architecture::Qwen2 && ["attn_q", "attn_k", "attn_v"].contains(&name);
            if usual || extra == Extra::Everything {
                add(&format!("{name}.bias"), outputs);
            }
        }
    }
    if extra == Extra::Everything && architecture == Architecture::Llama {
        vectors.push(("rope_freqs.weight".into(), HEAD / 2));
    }
    for (name, size) in vectors {
        let around = if name.ends_with("bias") { 0.0 } else { 1.0 };
        let values = random(&mut stream, size, 0.4).into_iter().map(|value| around + value).collect();
        file = file.tensor(&name, &[size as u64], values);
    }
    file
}

fn opened(file: &Writer) -> Gguf {
    let folder = tempfile::tempdir().unwrap();
    Gguf::open(&file.write(folder.path(), "tiny").unwrap()).unwrap()
}

fn batch(lengths: &[usize], seed: u64) -> Batch {
    let mut stream = Stream::new(seed);
    let mut batch = Batch::default();
    for (segment, length) in lengths.iter().enumerate() {
        for position in 0..*length {
            batch.tokens.push(stream.below(VOCABULARY) as u32);
            batch.positions.push(position as u32);
            batch.segments.push(segment as u32);
        }
    }
    batch
}

fn adapter(model: &Model<'_>, targets: &[Target]) -> Adapter {
    let mut adapter = Adapter::zeros(3, 6.0, 2.0, model.sites(targets));
    let mut stream = Stream::new(11);
    adapter.values.iter_mut().for_each(|value| *value = 0.15 * stream.signed());
    adapter
}

fn how(keep: Keep, precision: Precision) -> How {
    How { precision, keep, dropout: None, seed: 3, stop: Arc::new(AtomicBool::new(false)) }
}

/// A fixed direction for hidden states: the loss is their product. Its padding is not zero.
fn direction(tokens: usize) -> Acts {
    let mut acts = Acts::zeros(WIDTH, tokens);
    let mut stream = Stream::new(13);
    acts.values_mut().iter_mut().for_each(|value| *value = stream.signed());
    acts
}

fn loss(model: &Model<'_>, batch: &Batch, adapter: &Adapter, how: &How) -> f64 {
    let hidden = model.forward(batch, Some(adapter), how).unwrap().hidden;
    let weights = direction(batch.tokens.len());
    let places = (0..batch.tokens.len()).flat_map(|t| (0..WIDTH).map(move |i| (i, t)));
    places.map(|(i, t)| f64::from(hidden.get(i, t)) * f64::from(weights.get(i, t))).sum()
}

fn gradients(model: &Model<'_>, batch: &Batch, adapter: &Adapter, how: &How) -> Vec<f32> {
    let mut grads = vec![0.0; adapter.values.len()];
    let pass = model.forward(batch, Some(adapter), how).unwrap();
    model.backward(batch, adapter, pass, direction(batch.tokens.len()), &mut grads, how).unwrap();
    grads
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Compares derivatives along directions that have the gradient itself in them, so that none is small by
/// chance: factor by factor of each site.
fn check_gradients(file: &Writer, keep: Keep, dropout: Option<f32>, targets: &[Target]) {
    let gguf = opened(file);
    let model = Model::open(&gguf).unwrap();
    let batch = batch(&[33, 9, 33], 17);
    let adapter = adapter(&model, targets);
    let how = How { dropout, ..how(keep, Precision::F32) };
    let grads = gradients(&model, &batch, &adapter, &how);
    let mut stream = Stream::new(19);
    for site in &adapter.sites {
        for range in [site.a..site.b, site.b..site.b + site.outputs * adapter.rank] {
            let grads: Vec<f64> = grads[range.clone()].iter().map(|g| f64::from(*g)).collect();
            let size = length(grads.iter().copied());
            assert!(size > 1e-3, "{site:?}: no gradient");
            let other: Vec<f64> = grads.iter().map(|_| f64::from(stream.signed())).collect();
            let other_size = length(other.iter().copied());
            let along = grads.iter().zip(&other).map(|(g, o)| g / size + o / other_size);
            let along: Vec<f32> = along.map(|value| value as f32).collect();
            let at = |h: f32| {
                let mut moved = adapter.clone();
                moved.values[range.clone()].iter_mut().zip(&along).for_each(|(v, d)| *v += h * d);
                loss(&model, &batch, &moved, &how)
            };
            let h = 2e-2;
            let slope = |h: f32| (at(h) - at(-h)) / (2.0 * f64::from(h));
            // Richardson: the error of the step is of its fourth power.
            let numeric = (4.0 * slope(h / 2.0) - slope(h)) / 3.0;
            let ours: f64 = grads.iter().zip(&along).map(|(g, d)| g * f64::from(*d)).sum();
            let error = ((numeric - ours) / ours).abs();
            assert!(error < 1e-3, "{:?} {site:?} {range:?}: {numeric} and {ours}", model.shape.architecture);
        }
    }
}

#[test]
fn gradients_equal_central_differences_in_every_architecture() {
    for architecture in Architecture::ALL {
        check_gradients(&tiny(architecture, Extra::Plain), Keep::Inside, None, &Target::ALL);
        check_gradients(&tiny(architecture, Extra::Plain), Keep::Borders, None, &Target::ALL);
    }
}

#[test]
fn gradients_equal_central_differences_with_biases_scaled_rotation_and_dropout() {
    for architecture in [Architecture::Llama, Architecture::Qwen3, Architecture::Gemma3] {
        check_gradients(&tiny(architecture, Extra::Everything), Keep::Inside, Some(0.2), &Target::ALL);
        check_gradients(
            &tiny(architecture, Extra::Everything),
            Keep::Borders,
            Some(0.2),
            &[Target::K, Target::Up],
        );
    }
}

#[test]
fn gradients_of_the_upper_block_alone_are_those_of_both() {
    let gguf = opened(&tiny(Architecture::Llama, Extra::Plain));
    let model = Model::open(&gguf).unwrap();
    let batch = batch(&[40], 5);
    let both = adapter(&model, &[Target::V]);
    let mut upper = both.clone();
    upper.sites.remove(0);
    let mut lower_off = both.clone();
    let lower = both.sites[0];
    lower_off.values[lower.a..both.sites[1].a].fill(0.0);
    let how = how(Keep::Inside, Precision::F32);
    let rest = both.sites[1].a..;
    let expected = gradients(&model, &batch, &lower_off, &how)[rest.clone()].to_vec();
    assert_eq!(gradients(&model, &batch, &upper, &how)[rest], expected);
}

#[test]
fn keeping_the_insides_or_the_borders_gives_the_same() {
    for architecture in Architecture::ALL {
        let gguf = opened(&tiny(architecture, Extra::Plain));
        let model = Model::open(&gguf).unwrap();
        let batch = batch(&[50, 21], 23);
        let adapter = adapter(&model, &Target::ALL);
        let of = |keep, precision| gradients(&model, &batch, &adapter, &how(keep, precision));
        assert_eq!(of(Keep::Borders, Precision::F32), of(Keep::Inside, Precision::F32));
        let (a, b) = (of(Keep::Borders, Precision::Bf16), of(Keep::Inside, Precision::Bf16));
        let dot: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let [a, b] = [a, b].map(|values| length(values.iter().map(|value| f64::from(*value))));
        assert!(dot / (a * b) > 0.999, "{architecture:?}: {}", dot / (a * b));
    }
}

#[test]
fn examples_that_are_packed_together_do_not_see_one_another() {
    for architecture in Architecture::ALL {
        let gguf = opened(&tiny(architecture, Extra::Plain));
        let model = Model::open(&gguf).unwrap();
        let how = how(Keep::Borders, Precision::F32);
        let first = batch(&[37, 20, 40], 29);
        let mut second = first.clone();
        second.tokens[37..57].iter_mut().for_each(|token| *token = (*token + 1) % VOCABULARY as u32);
        let [a, b] = [&first, &second].map(|batch| model.forward(batch, None, &how).unwrap().hidden);
        for t in 0..97 {
            let same = (0..WIDTH).all(|i| a.get(i, t).to_bits() == b.get(i, t).to_bits());
            assert_eq!(same, !(37..57).contains(&t), "{architecture:?} {t}");
        }
        // Alone it is what it is in company, to rounding: its tokens lie on other lanes.
        let mut alone = first.clone();
        alone.tokens = first.tokens[57..].to_vec();
        alone.positions = first.positions[57..].to_vec();
        alone.segments = first.segments[57..].to_vec();
        let alone = model.forward(&alone, None, &how).unwrap().hidden;
        let near = |i: usize, t: usize| (alone.get(i, t) - a.get(i, t + 57)).abs() < 1e-5;
        assert!((0..40).all(|t| (0..WIDTH).all(|i| near(i, t))), "{architecture:?}");
    }
}

#[test]
fn one_thread_and_two_give_the_same() {
    let gguf = opened(&tiny(Architecture::Gemma3, Extra::Plain));
    let model = Model::open(&gguf).unwrap();
    let batch = batch(&[70, 30], 31);
    let adapter = adapter(&model, &Target::ALL);
    let [one, two] = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| gradients(&model, &batch, &adapter, &how(Keep::Inside, Precision::F32)))
    });
    assert_eq!(one, two);
}

#[test]
fn an_adapter_of_zeros_is_the_base_model() {
    let gguf = opened(&tiny(Architecture::Qwen2, Extra::Plain));
    let model = Model::open(&gguf).unwrap();
    let batch = batch(&[12], 37);
    let adapter = Adapter::zeros(2, 4.0, 2.0, model.sites(&Target::ALL));
    let how = how(Keep::Borders, Precision::F32);
    let [with, without] = [Some(&adapter), None].map(|one| model.forward(&batch, one, &how).unwrap().hidden);
    assert_eq!(with, without);
}

#[test]
fn a_pass_stops_when_asked() {
    let gguf = opened(&tiny(Architecture::Llama, Extra::Plain));
    let model = Model::open(&gguf).unwrap();
    let batch = batch(&[12], 41);
    let adapter = adapter(&model, &Target::ALL);
    let how = how(Keep::Borders, Precision::F32);
    let pass = model.forward(&batch, Some(&adapter), &how).unwrap();
    how.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(model.forward(&batch, None, &how).is_err());
    let mut grads = vec![0.0; adapter.values.len()];
    assert!(model.backward(&batch, &adapter, pass, direction(12), &mut grads, &how).is_err());
}

#[test]
fn shapes_are_those_that_llama_cpp_reads() {
    let shape = |architecture, extra| Model::open(&opened(&tiny(architecture, extra))).unwrap().shape;
    let llama = shape(Architecture::Llama, Extra::Everything);
    assert_eq!((llama.rotary.halves, llama.rotary.scale, llama.rotary.yarn), (false, 0.25, Some(16.0)));
    assert!(llama.rotary.factors.is_some() && llama.local.is_none());
    let gemma3 = shape(Architecture::Gemma3, Extra::Plain);
    let local = gemma3.local.unwrap();
    assert_eq!((local.window, local.blocks, local.rotary.base), (11, vec![true, false], 10_000.0));
    assert_eq!((gemma3.attention_softcap, gemma3.final_softcap), (None, Some(20.0)));
    let gemma2 = shape(Architecture::Gemma2, Extra::Plain);
    assert_eq!((gemma2.attention_softcap, gemma2.local.unwrap().rotary.base), (Some(3.0), 100.0));
}

/// What opening a model says against it.
fn refusal(file: &Writer) -> String {
    let gguf = opened(file);
    Model::open(&gguf).err().map(|error| error.to_string()).expect("a refusal")
}

#[test]
fn what_cannot_be_trained_is_named() {
    let other = Writer::default().text("general.architecture", "mamba2");
    assert!(refusal(&other).contains("served, not trainable yet: architecture `mamba2`; llama"));
    let llama = || tiny(Architecture::Llama, Extra::Plain);
    assert!(refusal(&llama().u32("llama.expert_count", 8)).contains("experts"));
    assert!(refusal(&llama().text("llama.rope.scaling.type", "longrope")).contains("`longrope`"));
    let scale = llama().tensor("blk.0.attn_q.scale", &[1], vec![2.0]);
    assert!(refusal(&scale).contains("`blk.0.attn_q.scale`"));
    let more: Vec<String> = (0..VOCABULARY + 1).map(|i| i.to_string()).collect();
    assert!(refusal(&llama().texts("tokenizer.ggml.tokens", &more)).contains("41 tokens"));
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let gguf = opened(&tiny(Architecture::Llama, Extra::Plain));
    let model = Model::open(&gguf).unwrap();
    let mut wrong = batch(&[4], 1);
    assert!(model.check(&wrong).is_ok());
    wrong.tokens[2] = VOCABULARY as u32;
    assert!(matches!(model.check(&wrong), Err(ModelError::Token { token: 40, vocabulary: 40 })));
    wrong.tokens.pop();
    assert!(matches!(model.check(&wrong), Err(ModelError::Lengths { .. })));
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![0u64..8, Just(u64::MAX), Just(1 << 24), Just(1 << 40), any::<u64>()];
    let scalar = prop_oneof![
        number.prop_map(Value::Unsigned),
        any::<i64>().prop_map(Value::Signed),
        prop_oneof![any::<f64>(), Just(0.0), Just(f64::NAN), Just(-1.0)].prop_map(Value::Float),
        any::<bool>().prop_map(Value::Bool),
        "none|linear|yarn|".prop_map(Value::Text),
    ];
    prop_oneof![scalar.clone(), prop::collection::vec(scalar, 0..4).prop_map(Value::List)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the header says: the model is refused, or its passes are done.
    #[test]
    fn no_header_brings_a_panic(
        architecture in prop::sample::select(&Architecture::ALL[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(value())), 1..3),
        tensor in prop::option::of((any::<prop::sample::Index>(), prop::collection::vec(0u64..30, 1..4))),
    ) {
        let mut gguf = opened(&tiny(architecture, Extra::Plain));
        let more = ["rope.dimension_count", "rope.scaling.type", "rope.scaling.factor", "rope.freq_base_swa",
            "rope.scaling.original_context_length", "expert_count"];
        let mut keys: Vec<String> = gguf.header.values.keys().cloned().collect();
        keys.extend(more.map(|key| format!("{}.{key}", architecture.name())));
        for (which, value) in changes {
            let key = which.get(&keys);
            match value {
                Some(value) => gguf.header.values.insert(key.clone(), value),
                None => gguf.header.values.remove(key),
            };
        }
        if let Some((which, shape)) = tensor {
            let count = gguf.header.tensors.len();
            let info = &mut gguf.header.tensors[which.index(count)];
            // The header's reader has made sure that the file is as long as a shape says.
            let fits = shape.iter().product::<u64>() <= info.shape.iter().product();
            if fits && !shape.contains(&0) {
                info.shape = shape;
            }
        }
        if let Ok(model) = Model::open(&gguf) {
            let batch = batch(&[5, 30], 1);
            // Of fewer tokens than the batch's are, it says so.
            if model.check(&batch).is_err() {
                return Ok(());
            }
            let adapter = adapter(&model, &Target::ALL);
            let how = how(Keep::Borders, Precision::F32);
            let pass = model.forward(&batch, Some(&adapter), &how).unwrap();
            let mut grads = vec![0.0; adapter.values.len()];
            model.backward(&batch, &adapter, pass, direction(35), &mut grads, &how).unwrap();
        }
    }
}
