//! Measures training on this machine, with the trainer's own code: whole steps on a model, and single
//! products. It writes a random model where it is told to, or into a temporary file that it removes.

use familiar_gguf::{Gguf, GgufError, Kind};
use familiar_trainer::measure::{self, Sample, Training};
use familiar_trainer::model::{Model, ModelError};
use familiar_trainer::run::Keep;
use familiar_trainer::session::TrainError;
use familiar_trainer::synth::{self, Quantization, Shape};
use familiar_trainer::weight::Precision;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("`{0}` is no shape; use one of {shapes}", shapes = synth::SHAPES.join(", "))]
    Shape(String),
    #[error("`{0}` is no quantization; use F32, Q8_0, Q6_K, Q5_K, Q4_K, Q4_0 or IQ4_NL")]
    Quantization(String),
    #[error("{}: the random model could not be written: {error}", .path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    Gguf { path: PathBuf, error: GgufError },
    #[error("{}: {error}", .path.display())]
    Model { path: PathBuf, error: ModelError },
    #[error("{}: {error}", .path.display())]
    Train { path: PathBuf, error: TrainError },
}

/// What to train, and how.
pub struct Wanted {
    /// Trained on if it is there; else a random model is written there and kept.
    pub file: Option<PathBuf>,
    pub shape: String,
    pub quantization: String,
    pub tokens: usize,
    pub rank: usize,
    pub steps: usize,
    /// 0 = all cores.
    pub threads: usize,
    pub borders: bool,
    pub f32: bool,
}

/// How fast whole training steps are.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    pub model: String,
    pub file_bytes: u64,
    pub tokens: usize,
    pub rank: usize,
    pub threads: usize,
    pub precision: &'static str,
    pub keep: &'static str,
    /// Of the median step.
    pub tokens_per_s: f64,
    /// Of the fastest step.
    pub best_tokens_per_s: f64,
    /// Most memory of the process at any moment, the mapped model's pages included. 0 = the system does not say.
    pub peak_rss_bytes: u64,
    /// 10^9 operations a second in products with base weights, of the median step.
    pub gflops: f64,
    /// What the micro-kernels reach on that many threads with all data at hand.
    pub peak_gflops: f64,
}

/// How fast products with one type of weight are, a core.
#[derive(Debug, Clone, Serialize)]
pub struct Product {
    pub quantization: &'static str,
    pub forward_gflops: f64,
    pub gradient_gflops: f64,
    pub forward_f32_gflops: f64,
    pub gradient_f32_gflops: f64,
    /// ggml's own backward pass for the same product; `None` where it has none.
    pub ggml_gradient_gflops: Option<f64>,
}

/// Peak of the micro-kernels a core, and products of each type.
#[derive(Debug, Clone, Serialize)]
pub struct Products {
    pub kernels: &'static str,
    pub peak_f32_gflops: f64,
    pub peak_bf16_gflops: Option<f64>,
    pub side: usize,
    pub tokens: usize,
    pub products: Vec<Product>,
}

/// Trains a few steps and says how fast that was.
pub fn training(wanted: &Wanted) -> Result<Figures, BenchError> {
    let (path, temporary) = model_file(wanted)?;
    let figures = measured(wanted, &path);
    if temporary {
        // A file that stays in the temporary folder harms nobody.
        let _ = std::fs::remove_file(&path);
    }
    figures
}

fn model_file(wanted: &Wanted) -> Result<(PathBuf, bool), BenchError> {
    if let Some(path) = wanted.file.as_ref().filter(|path| path.exists()) {
        return Ok((path.clone(), false));
    }
    let shape = Shape::named(&wanted.shape).ok_or_else(|| BenchError::Shape(wanted.shape.clone()))?;
    let quantization = Quantization::named(&wanted.quantization)
        .ok_or_else(|| BenchError::Quantization(wanted.quantization.clone()))?;
    let name = format!("familiar-bench-{}-{}-{}.gguf", wanted.shape, quantization.name(), std::process::id());
    let path = wanted.file.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
    match synth::write(&shape, quantization, 1, &path) {
        Ok(()) => Ok((path, wanted.file.is_none())),
        Err(error) => {
            let _ = std::fs::remove_file(&path);
            Err(BenchError::Write { path, error })
        }
    }
}

fn measured(wanted: &Wanted, path: &Path) -> Result<Figures, BenchError> {
    let path = path.to_path_buf();
    forget_peak();
    let gguf = Gguf::open(&path).map_err(|error| BenchError::Gguf { path: path.clone(), error })?;
    let model = Model::open(&gguf).map_err(|error| BenchError::Model { path: path.clone(), error })?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let training = Training {
        tokens: wanted.tokens,
        rank: wanted.rank,
        steps: wanted.steps,
        threads: if wanted.threads == 0 { cores } else { wanted.threads },
        precision: if wanted.f32 { Precision::F32 } else { Precision::best() },
        keep: if wanted.borders { Keep::Borders } else { Keep::Inside },
    };
    let seconds = training.seconds(&model);
    let mut seconds = seconds.map_err(|error| BenchError::Train { path: path.clone(), error })?;
    let peak_rss_bytes = peak_rss();
    seconds.sort_by(f64::total_cmp);
    let rate = |seconds: f64| wanted.tokens as f64 / seconds;
    let tokens_per_s = rate(seconds[seconds.len() / 2]);
    let bf16 = training.precision == Precision::Bf16 && gguf.header.quantization != "F32";
    let peak = measure::peak();
    let peak = if bf16 { peak.bf16.unwrap_or(peak.f32) } else { peak.f32 };
    Ok(Figures {
        model: path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        file_bytes: gguf.file_bytes().len() as u64,
        tokens: training.tokens,
        rank: training.rank,
        threads: training.threads,
        precision: if bf16 { "bf16" } else { "f32" },
        keep: if wanted.borders { "borders" } else { "inside" },
        tokens_per_s,
        best_tokens_per_s: rate(seconds[0]),
        peak_rss_bytes,
        gflops: tokens_per_s * training.operations(&model) / 1e9,
        peak_gflops: peak * training.threads as f64,
    })
}

/// The types that models come in.
const TYPES: [&str; 9] = ["F32", "F16", "Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q5_0", "Q4_0", "IQ4_NL"];
const SIDE: usize = 2048;
const TOKENS: usize = 512;

/// Multiplies with a square weight of each type, on one thread.
pub fn products() -> Products {
    let peak = measure::peak();
    let product = |name: &&str| {
        let sample = Sample::new(Kind::of_name(name)?, SIDE, SIDE)?;
        let (fast, f32) = (sample.rates(TOKENS, Precision::best()), sample.rates(TOKENS, Precision::F32));
        Some(Product {
            quantization: sample.weight().kind().name,
            forward_gflops: fast.forward,
            gradient_gflops: fast.gradient,
            forward_f32_gflops: f32.forward,
            gradient_f32_gflops: f32.gradient,
            // ggml does the same again for each token, so a few do.
            ggml_gradient_gflops: sample.ggml_gradient(8),
        })
    };
    Products {
        kernels: peak.kernels,
        peak_f32_gflops: peak.f32,
        peak_bf16_gflops: peak.bf16,
        side: SIDE,
        tokens: TOKENS,
        products: TYPES.iter().filter_map(product).collect(),
    }
}

/// Lets the process's peak memory start anew (proc(5), `clear_refs`); where it cannot, the peak of writing
/// a model counts too.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(file: Option<PathBuf>) -> Wanted {
        Wanted {
            file,
            shape: "tiny".into(),
            quantization: "Q8_0".into(),
            tokens: 40,
            rank: 4,
            steps: 2,
            threads: 2,
            borders: true,
            f32: false,
        }
    }

    #[test]
    fn a_random_model_is_trained_and_kept_where_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        let figures = training(&wanted(Some(path.clone()))).unwrap();
        assert!(figures.tokens_per_s > 0.0 && figures.best_tokens_per_s >= figures.tokens_per_s);
        assert_eq!(figures.file_bytes, path.metadata().unwrap().len());
        assert!(figures.peak_rss_bytes > figures.file_bytes);
        let again = training(&wanted(Some(path))).unwrap();
        assert_eq!(again.file_bytes, figures.file_bytes);
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = training(&Wanted { shape: "huge".into(), ..wanted(None) }).unwrap_err().to_string();
        assert!(error.starts_with("`huge` is no shape; use one of tiny"), "{error}");
        let error = training(&Wanted { quantization: "Q9".into(), ..wanted(None) }).unwrap_err().to_string();
        assert!(error.starts_with("`Q9` is no quantization"), "{error}");
        let file = folder.path().join("text.gguf");
        std::fs::write(&file, "no model").unwrap();
        let error = training(&wanted(Some(file))).unwrap_err().to_string();
        assert!(error.contains("text.gguf: it is not a GGUF file"), "{error}");
        let error = training(&wanted(Some(folder.path().join("none/model.gguf")))).unwrap_err().to_string();
        assert!(error.contains("could not be written"), "{error}");
    }
}
