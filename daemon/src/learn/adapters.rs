//! Adapters as files in the owner's hands: what one is, to and from PEFT, several made one. It reads headers
//! and adapters; the base model is only looked at for its shape.

use familiar_gguf::{Gguf, GgufError};
pub use familiar_trainer::adapter::AdapterError;
use familiar_trainer::adapter::{self, Heads, Meta, Part};
use familiar_trainer::lora::{Adapter, Target};
use familiar_trainer::model::{Model, ModelError};
use serde::Serialize;
use std::path::Path;

/// Why an adapter could not be looked at, carried over or merged.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    #[error("the adapter {path}: {error}")]
    Adapter { path: String, error: AdapterError },
    #[error("the model {path}: {error}")]
    Gguf { path: String, error: GgufError },
    #[error("the model {path}: {error}")]
    Model { path: String, error: ModelError },
}

/// What an adapter is, for people and scripts.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    pub architecture: String,
    /// BLAKE3 of the model file that it was made on.
    pub base: String,
    pub generation: u32,
    /// BLAKE3 of what it was trained on; empty when that is not known.
    pub manifest: String,
    pub rank: usize,
    pub alpha: f32,
    /// What its change is multiplied with.
    pub scale: f32,
    pub parameters: usize,
    pub blocks: usize,
    pub targets: Vec<Target>,
    pub recipe: serde_json::Value,
}

/// A base model: its file, what it is called, and the BLAKE3 of the file.
pub struct Base<'a> {
    pub path: &'a Path,
    pub name: &'a str,
    pub digest: &'a str,
}

pub fn info(path: &Path) -> Result<Description, CarryError> {
    let (adapter, meta) = load(path)?;
    let blocks: std::collections::BTreeSet<usize> = adapter.sites.iter().map(|site| site.block).collect();
    let on = |target: &Target| adapter.sites.iter().any(|site| site.target == *target);
    Ok(Description {
        architecture: meta.architecture,
        base: meta.base,
        generation: meta.generation,
        manifest: meta.manifest,
        rank: adapter.rank,
        alpha: adapter.alpha,
        scale: adapter.scale,
        parameters: adapter.values.len(),
        blocks: blocks.len(),
        targets: Target::ALL.into_iter().filter(on).collect(),
        recipe: meta.recipe,
    })
}

/// Writes an adapter for PEFT into `folder`.
pub fn export(path: &Path, base: &Base<'_>, folder: &Path) -> Result<(), CarryError> {
    let (adapter, meta) = load(path)?;
    meta.check_base(base.digest).map_err(of(path))?;
    with_model(base, |model| adapter::export(&adapter, heads(model), base.name, folder).map_err(of(path)))?
}

/// Writes the same adapter without what it tells of the data that it was trained on.
pub fn without_data(path: &Path, base: &Base<'_>, to: &Path) -> Result<Description, CarryError> {
    let (adapter, meta) = load(path)?;
    meta.check_base(base.digest).map_err(of(path))?;
    let meta = Meta { manifest: String::new(), recipe: without_digests(meta.recipe), ..meta };
    adapter::save(&adapter, &meta, to).map_err(of(to))?;
    info(to)
}

/// Whether the adapter was made on this model and has factors for nothing that the model lacks.
pub fn check(path: &Path, base: &Base<'_>) -> Result<(), CarryError> {
    let (adapter, meta) = load(path)?;
    meta.check_base(base.digest).map_err(of(path))?;
    with_model(base, |model| adapter::check_fits(&adapter, &model.sites(&Target::ALL)).map_err(of(path)))?
}

/// A merged adapter's recipe tells the digest of each part's data.
fn without_digests(recipe: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match recipe {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| name != "manifest");
            kept.map(|(name, value)| (name, without_digests(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_digests).collect(),
        plain => plain,
    }
}

/// Makes an adapter at `to` from a PEFT folder.
pub fn import(folder: &Path, base: &Base<'_>, to: &Path) -> Result<(), CarryError> {
    with_model(base, |model| {
        let adapter =
            adapter::import(folder, heads(model), &model.sites(&Target::ALL)).map_err(of(folder))?;
        let meta = Meta {
            architecture: model.shape.architecture.name().into(),
            base: base.digest.into(),
            generation: 0,
            manifest: String::new(),
            recipe: serde_json::json!({"imported": "peft"}),
        };
        adapter::save(&adapter, &meta, to).map_err(of(to))
    })?
}

/// Writes the same adapter with its effect multiplied.
pub fn weaken(path: &Path, scale: f32, to: &Path) -> Result<(), CarryError> {
    let (mut adapter, meta) = load(path)?;
    adapter.alpha *= scale;
    adapter.scale *= scale;
    adapter::save(&adapter, &meta, to).map_err(of(to))
}

/// Writes the weighted sum of adapters of one model to `to`.
pub fn merge(parts: &[(&Path, f32)], to: &Path) -> Result<(), CarryError> {
    let loaded = parts.iter().map(|(path, _)| load(path)).collect::<Result<Vec<_>, _>>()?;
    let weighted: Vec<Part<'_>> = loaded
        .iter()
        .zip(parts)
        .map(|((adapter, meta), (_, weight))| Part { adapter, meta, weight: *weight })
        .collect();
    let merged = adapter::merge(&weighted).map_err(of(to))?;
    let first = weighted.first().map(|part| part.meta.clone());
    let recipes: Vec<_> = weighted
        .iter()
        .map(|part| serde_json::json!({"weight": part.weight, "manifest": part.meta.manifest, "recipe": part.meta.recipe}))
        .collect();
    let meta = first.map(|meta| Meta {
        generation: 0,
        manifest: String::new(),
        recipe: serde_json::json!({"merged": recipes}),
        ..meta
    });
    let meta = meta.ok_or(AdapterError::NothingToMerge).map_err(of(to))?;
    adapter::save(&merged, &meta, to).map_err(of(to))
}

fn load(path: &Path) -> Result<(Adapter, Meta), CarryError> {
    adapter::load(path).map_err(of(path))
}

fn of(path: &Path) -> impl Fn(AdapterError) -> CarryError {
    let path = path.to_string_lossy().into_owned();
    move |error| CarryError::Adapter { path: path.clone(), error }
}

fn heads<'a>(model: &Model<'_>) -> Heads<'a> {
    let shape = &model.shape;
    Heads { architecture: shape.architecture.name(), heads: shape.heads, kv_heads: shape.kv_heads }
}

fn with_model<T>(base: &Base<'_>, work: impl FnOnce(&Model<'_>) -> T) -> Result<T, CarryError> {
    let path = || base.path.to_string_lossy().into_owned();
    let gguf = Gguf::open(base.path).map_err(|error| CarryError::Gguf { path: path(), error })?;
    let model = Model::open(&gguf).map_err(|error| CarryError::Model { path: path(), error })?;
    Ok(work(&model))
}
