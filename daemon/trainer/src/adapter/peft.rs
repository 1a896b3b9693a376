//! Adapters as PEFT folders: `adapter_config.json` and `adapter_model.safetensors`, with the names and the
//! order of rows that the model has in `transformers`.
//!
//! Queries and keys of `llama` models have their rows in another order in a GGUF file: RoPE turns pairs of
//! neighbours there, and features half a head apart in `transformers`; llama.cpp's convert_hf_to_gguf.py
//! permutes them. An adapter's B has the rows of its matrix, so it is permuted with it.

use super::{AdapterError, ByLinear, Matrix, assemble, check_fits, shown};
use crate::lora::{Adapter, Site, Target};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// No config is longer than this many bytes.
const LONGEST_CONFIG: u64 = 1 << 20;

/// What of the base model decides the order of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads<'a> {
    pub architecture: &'a str,
    pub heads: usize,
    pub kv_heads: usize,
}

impl Heads<'_> {
    /// The heads that a linear's rows belong to, if their order differs.
    fn reordered(&self, target: Target) -> Option<usize> {
        match (self.architecture, target) {
            ("llama", Target::Q) => Some(self.heads),
            ("llama", Target::K) => Some(self.kv_heads),
            _ => None,
        }
    }
}

/// For each row in a GGUF file, its row in `transformers`.
fn order(heads: usize, rows: usize) -> impl Iterator<Item = usize> {
    let width = rows / heads;
    (0..rows).map(move |row| {
        let (head, at) = (row / width, row % width);
        head * width + at % 2 * (width / 2) + at / 2
    })
}

/// Writes the adapter into `folder` for PEFT; `base` is what the config calls the model.
pub fn export(adapter: &Adapter, heads: Heads<'_>, base: &str, folder: &Path) -> Result<(), AdapterError> {
    let mut tensors = Vec::new();
    for site in &adapter.sites {
        let name = format!("base_model.model.model.layers.{}.{}", site.block, module(site.target));
        let a = bytes(&adapter.values[site.a..site.b]);
        let b = match heads.reordered(site.target) {
            None => bytes(&adapter.values[site.b..][..site.outputs * adapter.rank]),
            Some(heads) => bytes(&to_transformers(adapter, site, heads)),
        };
        tensors.push((format!("{name}.lora_A.weight"), [adapter.rank, site.inputs], a));
        tensors.push((format!("{name}.lora_B.weight"), [site.outputs, adapter.rank], b));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.to_vec(), bytes).map(|view| (name.clone(), view))
    });
    let metadata = [("format".to_string(), "pt".to_string())].into();
    let (weights, settings) = (folder.join(WEIGHTS), folder.join(CONFIG));
    if let Some(there) = [&weights, &settings].into_iter().find(|file| file.exists()) {
        return Err(AdapterError::Exists(there.display().to_string()));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let views = views.collect::<Result<Vec<_>, _>>()?;
    safetensors::serialize_to_file(views, Some(metadata), &weights)?;
    let config = serde_json::to_string_pretty(&config(adapter, base))?;
    Ok(std::fs::write(settings, config + "\n")?)
}

fn config(adapter: &Adapter, base: &str) -> Value {
    let used = |target: &Target| adapter.sites.iter().any(|site| site.target == *target);
    let modules: Vec<&str> = Target::ALL.iter().filter(|target| used(target)).map(|t| leaf(*t)).collect();
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": true,
        "r": adapter.rank,
        // The alpha that gives the adapter's scale, however that was made.
        "lora_alpha": adapter.scale * adapter.rank as f32,
        "use_rslora": false,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": false,
        "target_modules": modules,
    })
}

fn to_transformers(adapter: &Adapter, site: &Site, heads: usize) -> Vec<f32> {
    let rank = adapter.rank;
    let mut out = vec![0.0; site.outputs * rank];
    for (row, to) in order(heads, site.outputs).enumerate() {
        out[to * rank..][..rank].copy_from_slice(&adapter.values[site.b + row * rank..][..rank]);
    }
    out
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads an adapter from a PEFT folder. `linears` are the model's, as (block, target, inputs, outputs).
///
/// # Errors
/// When a file is missing or broken, the adapter does not fit the model, or it is more than plain LoRA on
/// the linears of blocks (DoRA, biases, ranks by module, whole modules, embeddings).
pub fn import(
    folder: &Path,
    heads: Heads<'_>,
    linears: &[(usize, Target, usize, usize)],
) -> Result<Adapter, AdapterError> {
    let config: Value = serde_json::from_slice(&read(&folder.join(CONFIG), LONGEST_CONFIG)?)?;
    let (alpha, stabilized) = settings(&config)?;
    let file = read(&folder.join(WEIGHTS), u64::MAX)?;
    let mut found = ByLinear::new();
    for (name, view) in SafeTensors::deserialize(&file)?.iter() {
        let bad = |what: String| AdapterError::BadTensor { name: shown(name), what };
        let (block, target, is_a) =
            parse(name).ok_or_else(|| bad("is no factor of a linear that can have one".into()))?;
        let mut matrix = matrix(name, &view).map_err(bad)?;
        if !is_a {
            from_transformers(heads, target, &mut matrix)?;
        }
        let factors = found.entry((block, target)).or_default();
        let place = if is_a { &mut factors.a } else { &mut factors.b };
        if place.replace(matrix).is_some() {
            return Err(bad("stands twice".into()));
        }
    }
    let scale = |rank: usize| alpha / if stabilized { (rank as f32).sqrt() } else { rank as f32 };
    let adapter = assemble(found, alpha, scale)?;
    check_fits(&adapter, linears)?;
    match config["r"].as_u64() {
        Some(rank) if rank == adapter.rank as u64 => Ok(adapter),
        other => {
            Err(AdapterError::BadMeta("r", format!("{other:?}, its factors are of rank {}", adapter.rank)))
        }
    }
}

/// A file of the folder. Folders come from strangers, and a link to a device would never end.
fn read(file: &Path, longest: u64) -> Result<Vec<u8>, AdapterError> {
    let found = std::fs::metadata(file)?;
    if !found.is_file() || found.len() > longest {
        let name = file.display();
        let what = if found.is_file() { "is too long" } else { "is not a regular file" };
        return Err(io::Error::other(format!("{name} {what}")).into());
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(found.len()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Alpha, and whether it is divided by the rank's root; refuses what plain LoRA does not have.
fn settings(config: &Value) -> Result<(f32, bool), AdapterError> {
    if config["peft_type"] != "LORA" {
        return Err(AdapterError::NotAdapter(format!("its peft_type is {}", config["peft_type"])));
    }
    let idle = [json!(null), json!(false), json!("none"), json!({}), json!([])];
    let foreign = [
        "use_dora",
        "bias",
        "lora_bias",
        "fan_in_fan_out",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "trainable_token_indices",
        "layer_replication",
        "use_qalora",
        "alora_invocation_tokens",
    ];
    if let Some(key) = foreign.into_iter().find(|key| !idle.contains(&config[*key])) {
        return Err(AdapterError::Unsupported(format!("`{key}` = {}", shown(&config[key].to_string()))));
    }
    let alpha = config["lora_alpha"].as_f64().unwrap_or(f64::NAN) as f32;
    match alpha.is_finite() && alpha != 0.0 {
        true => Ok((alpha, config["use_rslora"] == true)),
        false => Err(AdapterError::BadMeta("lora_alpha", shown(&config["lora_alpha"].to_string()))),
    }
}

fn from_transformers(heads: Heads<'_>, target: Target, b: &mut Matrix) -> Result<(), AdapterError> {
    let Some(heads) = heads.reordered(target) else { return Ok(()) };
    if b.rows == 0 || !b.rows.is_multiple_of(2 * heads) {
        return Err(b.bad(format!("has {} rows, which {heads} heads do not share evenly", b.rows)));
    }
    let from = std::mem::take(&mut b.values);
    b.values = order(heads, b.rows).flat_map(|row| &from[row * b.columns..][..b.columns]).copied().collect();
    Ok(())
}

/// A linear's place below its layer in `transformers`.
fn module(target: Target) -> String {
    match target {
        Target::Q | Target::K | Target::V | Target::O => format!("self_attn.{}", leaf(target)),
        Target::Gate | Target::Up | Target::Down => format!("mlp.{}", leaf(target)),
    }
}

fn leaf(target: Target) -> &'static str {
    match target {
        Target::Q => "q_proj",
        Target::K => "k_proj",
        Target::V => "v_proj",
        Target::O => "o_proj",
        Target::Gate => "gate_proj",
        Target::Up => "up_proj",
        Target::Down => "down_proj",
    }
}

/// A tensor's name as (block, target, whether it is A). What is before `layers.N` may differ: models that
/// also see have their text model one level deeper.
fn parse(name: &str) -> Option<(usize, Target, bool)> {
    let (before, rest) = name.rsplit_once("layers.")?;
    if before.contains("vision") || before.contains("audio") {
        return None;
    }
    let (number, rest) = rest.split_once('.')?;
    let block = number.parse().ok().filter(|block: &usize| block.to_string() == number)?;
    let target = Target::ALL.into_iter().find(|target| {
        rest.strip_prefix(&module(*target)).is_some_and(|factor| factor.starts_with(".lora_"))
    })?;
    match rest.strip_prefix(&module(target))? {
        ".lora_A.weight" | ".lora_A.default.weight" => Some((block, target, true)),
        ".lora_B.weight" | ".lora_B.default.weight" => Some((block, target, false)),
        _ => None,
    }
}

fn matrix(name: &str, view: &TensorView<'_>) -> Result<Matrix, String> {
    let [rows, columns] = *view.shape() else {
        return Err(format!("has {} dimensions, not 2", view.shape().len()));
    };
    let data = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::BF16 => data.chunks_exact(2).map(|b| f32::from_le_bytes([0, 0, b[0], b[1]])).collect(),
        Dtype::F16 => data.chunks_exact(2).map(|b| half(u16::from_le_bytes([b[0], b[1]]))).collect(),
        other => return Err(format!("is in {other:?}, not F32, BF16 or F16")),
    };
    Ok(Matrix { name: name.into(), rows, columns, values })
}

/// IEEE 754 binary16 to `f32`.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (bits >> 10 & 0x1F, f32::from(bits & 0x3FF));
    let magnitude = match exponent {
        0 => fraction * 2f32.powi(-24),
        0x1F if fraction == 0.0 => f32::INFINITY,
        0x1F => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_floats() {
        let cases =
            [(0x0000, 0.0), (0x3C00, 1.0), (0xC000, -2.0), (0x0001, 5.960_464_5e-8), (0x7BFF, 65504.0)];
        assert!(cases.iter().all(|(bits, value)| half(*bits) == *value));
        assert!(half(0x7C00).is_infinite() && half(0x7E00).is_nan());
    }

    #[test]
    fn rows_of_llama_queries_are_ordered_as_the_converter_does() {
        // numpy: arange(16).reshape(2, 2, 4).swapaxes(1, 2).reshape(16), for two heads of eight.
        let rows: Vec<usize> = order(2, 16).collect();
        assert_eq!(rows, [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]);
        let heads = Heads { architecture: "llama", heads: 2, kv_heads: 1 };
        assert_eq!(heads.reordered(Target::K), Some(1));
        assert_eq!(heads.reordered(Target::V), None);
        assert_eq!(Heads { architecture: "qwen3", ..heads }.reordered(Target::Q), None);
    }
}
