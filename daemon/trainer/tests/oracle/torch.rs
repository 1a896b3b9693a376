//! PyTorch with PEFT on the same weights: the masked loss, and the gradient of each adapter tensor.
//! Python is the one of `FAMILIAR_PYTHON`, an environment that `tests/run.sh` makes.

use crate::figures::{cosine, log_softmax};
use crate::{how, packed, random_adapter, random_tokens};
use familiar_gguf::Gguf;
use familiar_trainer::acts::Acts;
use familiar_trainer::adapter::{self, Heads};
use familiar_trainer::lora::Adapter;
use familiar_trainer::model::Model;
use familiar_trainer::random::Stream;
use familiar_trainer::synth::{self, Quantization, Shape};
use familiar_trainer::weight::{Operand, Precision};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An example, and the weight of the loss of foretelling each of its tokens.
struct Example {
    tokens: Vec<u32>,
    weights: Vec<f32>,
}

/// Three examples of different lengths, none a whole number of panels; the first third of each bears no loss.
fn examples(vocabulary: usize) -> Vec<Example> {
    let mut stream = Stream::new(5);
    let make = |(number, length): (u64, usize)| {
        let mut weights = vec![0.0; length];
        weights[length / 3..].iter_mut().for_each(|weight| *weight = 0.5 + stream.unit());
        Example { tokens: random_tokens(length, vocabulary, 20 + number), weights }
    };
    [(0, 45), (1, 70), (2, 7)].into_iter().map(make).collect()
}

/// Loss and gradients of the trainer, the examples packed into one batch.
fn ours(model: &Model<'_>, adapter: &Adapter, examples: &[Example]) -> (f64, Vec<f32>) {
    let batch = packed(&examples.iter().map(|example| example.tokens.clone()).collect::<Vec<_>>());
    let how = how(Precision::F32);
    let pass = model.forward(&batch, Some(adapter), &how).unwrap();
    let (loss, d_logits) = cross_entropy(model, &pass.hidden, examples);
    let mut d_hidden = Acts::zeros(pass.hidden.features(), batch.tokens.len());
    model.head().backward(&Operand::new(&d_logits, Precision::F32), &mut d_hidden);
    let mut grads = vec![0.0; adapter.values.len()];
    model.backward(&batch, adapter, pass, d_hidden, &mut grads, &how).unwrap();
    (loss, grads)
}

/// The weighted mean loss, and its gradient by the logits before they are capped; plainly, in f64.
fn cross_entropy(model: &Model<'_>, hidden: &Acts, examples: &[Example]) -> (f64, Acts) {
    let vocabulary = model.vocabulary();
    let mut logits = Acts::zeros(vocabulary, hidden.tokens());
    model.head().forward(&Operand::new(hidden, Precision::F32), &mut logits);
    let total: f64 = examples.iter().flat_map(|e| &e.weights[1..]).map(|w| f64::from(*w)).sum();
    let mut gradient = Acts::zeros(vocabulary, hidden.tokens());
    let (mut loss, mut first) = (0.0, 0);
    for example in examples {
        for at in 1..example.tokens.len() {
            let (token, next) = (first + at - 1, example.tokens[at] as usize);
            let weight = f64::from(example.weights[at]) / total;
            let row: Vec<f32> = (0..vocabulary).map(|n| capped(model, logits.get(n, token)).0).collect();
            let log = log_softmax(&row);
            loss -= weight * log[next];
            for (n, log) in log.iter().enumerate() {
                let by_capped = weight * (log.exp() - f64::from(n == next));
                let slope = capped(model, logits.get(n, token)).1;
                gradient.set(n, token, by_capped as f32 * slope);
            }
        }
        first += example.tokens.len();
    }
    (loss, gradient)
}

/// A logit as the model has it, and its derivative.
fn capped(model: &Model<'_>, logit: f32) -> (f32, f32) {
    match model.shape.final_softcap {
        None => (logit, 1.0),
        Some(cap) => {
            let tanh = (logit / cap).tanh();
            (cap * tanh, 1.0 - tanh * tanh)
        }
    }
}

/// Runs PyTorch on the cases' folders; starting Python costs more than the cases do.
fn run_python(python: &OsString, folders: &[PathBuf]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/peft_gradients.py");
    let output = Command::new(python).arg(script).args(folders).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Tensors of a safetensors file by name; `f64` becomes `f32`.
fn read(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let file = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let values = |data: &[u8], dtype| match dtype {
        safetensors::Dtype::F64 => {
            data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
        }
        _ => data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
    };
    tensors.iter().map(|(name, view)| (name.to_string(), values(view.data(), view.dtype()))).collect()
}

#[test]
fn loss_and_gradients_equal_pytorchs() {
    let Some(python) = std::env::var_os("FAMILIAR_PYTHON") else {
        // tests/run.sh sets it; a plain `cargo test` does without.
        println!(
            "not compared with PyTorch: FAMILIAR_PYTHON is not set (tests/run.sh makes the environment)"
        );
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let cases: Vec<Case> =
        shapes().into_iter().map(|(name, shape)| Case::new(name, &shape, &place)).collect();
    run_python(&python, &cases.iter().map(|case| case.folder.clone()).collect::<Vec<_>>());
    println!("{:<18} {:>10} {:>10} {:>13}", "model", "trainer", "PyTorch", "worst cosine");
    cases.iter().for_each(Case::compare);
}

fn shapes() -> Vec<(&'static str, Shape)> {
    let (llama, gemma) = (Shape::tiny("llama"), Shape::tiny("gemma3"));
    vec![
        ("llama", llama.clone()),
        ("llama rope linear", Shape { rope_linear: Some(3.0), tied: true, ..llama }),
        ("qwen2", Shape::tiny("qwen2")),
        ("qwen3", Shape::tiny("qwen3")),
        ("gemma3", gemma.clone()),
        ("gemma3 softcap", Shape { final_softcap: Some(3.0), tied: false, ..gemma }),
    ]
}

/// A model and what the trainer computes on it, in a folder as the script wants it.
struct Case {
    name: &'static str,
    folder: PathBuf,
    loss: f64,
    /// By PEFT's names, and with its order of rows.
    gradients: BTreeMap<String, Vec<f32>>,
}

impl Case {
    fn new(name: &'static str, shape: &Shape, place: &tempfile::TempDir) -> Case {
        let folder = place.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("model.gguf");
        synth::write(shape, Quantization::F32, 7, &path).unwrap();
        let gguf = Gguf::open(&path).unwrap();
        let model = Model::open(&gguf).unwrap();
        let adapter = random_adapter(&model, 4, 3);
        let heads = Heads { architecture: shape.architecture, heads: shape.heads, kv_heads: shape.kv_heads };
        adapter::export(&adapter, heads, "random", &folder.join("peft")).unwrap();
        let examples = examples(shape.vocabulary);
        let listed = examples.iter().map(|e| serde_json::json!({"tokens": e.tokens, "weights": e.weights}));
        std::fs::write(folder.join("examples.json"), serde_json::Value::from_iter(listed).to_string())
            .unwrap();
        let (loss, values) = ours(&model, &adapter, &examples);
        // Gradients lie as what they are gradients of, so the export orders them as PEFT does.
        adapter::export(&Adapter { values, ..adapter }, heads, "random", &folder.join("ours")).unwrap();
        let gradients = read(&folder.join("ours/adapter_model.safetensors"));
        Case { name, folder, loss, gradients }
    }

    fn compare(&self) {
        let Case { name, loss, gradients, .. } = self;
        let mut expected = read(&self.folder.join("gradients.safetensors"));
        let expected_loss = f64::from(expected.remove("loss").unwrap()[0]);
        assert!(
            gradients.keys().eq(expected.keys()),
            "{name}: {:?}, {:?}",
            gradients.keys(),
            expected.keys()
        );
        let cosines = gradients.iter().map(|(tensor, values)| (cosine(values, &expected[tensor]), tensor));
        let (worst, tensor) = cosines.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        println!("{name:<18} {loss:>10.6} {expected_loss:>10.6} {worst:>13.10}");
        assert!((loss / expected_loss - 1.0).abs() < 1e-4, "{name}: {loss} and {expected_loss}");
        assert!(worst >= 0.9999, "{name}: {worst} for {tensor}");
        for (tensor, values) in gradients {
            let ratio = norm(values) / norm(&expected[tensor]);
            assert!((ratio - 1.0).abs() < 1e-3, "{name}: {tensor} is {ratio} times as long");
        }
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}
