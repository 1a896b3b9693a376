//! Adapters outside of training: as GGUF files that llama.cpp loads, as PEFT folders, merged. It reads and
//! writes the files it is told to and trusts nothing in them; it never touches the base model.

mod file;
mod merge;
mod peft;

pub use file::{load, save};
pub use merge::{Part, merge};
pub use peft::{Heads, export, import};

use crate::lora::{Adapter, Site, Target};
use familiar_gguf::GgufError;
use std::io;

/// What an adapter was made on, from what, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// The base model's `general.architecture`.
    pub architecture: String,
    /// BLAKE3 of the base model's file, in hexadecimal.
    pub base: String,
    pub generation: u32,
    /// BLAKE3 of the manifest of the training data, in hexadecimal.
    pub manifest: String,
    /// The settings of the training run.
    pub recipe: serde_json::Value,
}

impl Meta {
    /// Refuses a base model other than the one that the adapter was trained on.
    pub fn check_base(&self, digest: &str) -> Result<(), AdapterError> {
        match self.base == digest {
            true => Ok(()),
            false => Err(AdapterError::OtherBase { wants: self.base.clone(), has: digest.into() }),
        }
    }
}

/// Why an adapter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error("it cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error("it is no LoRA adapter: {0}")]
    NotAdapter(String),
    #[error(
        "its metadata lacks `{0}`: it was not made by Familiar; import the original with its PEFT folder"
    )]
    NoMeta(&'static str),
    #[error("its {0} is {1}; make the adapter again")]
    BadMeta(&'static str, String),
    #[error("its tensor `{name}` {what}; make or download the adapter again")]
    BadTensor { name: String, what: String },
    #[error(
        "it was trained on another model (BLAKE3 {}..., this one is {}...); \
         switch to that model, or train an adapter for this one",
        short(wants),
        short(has)
    )]
    OtherBase { wants: String, has: String },
    #[error("it does not fit the model: {0}")]
    Unfit(String),
    #[error("it uses {0}, which Familiar cannot carry over; export it from PEFT without that")]
    Unsupported(String),
    #[error("the file of weights is broken: {0}; export it again")]
    Safetensors(#[from] safetensors::SafeTensorError),
    #[error("adapter_config.json is broken: {0}; export it again")]
    Config(#[from] serde_json::Error),
    #[error("{0} is there already; choose another folder")]
    Exists(String),
    #[error("there is nothing to merge; name at least one adapter")]
    NothingToMerge,
    #[error("the adapters were trained on different models; merge only adapters of one model")]
    DifferentBases,
}

fn short(digest: &str) -> String {
    digest.chars().take(12).flat_map(char::escape_debug).collect()
}

/// Checks that the model has each linear of the adapter, and in the same size. `linears` are the model's, as
/// (block, target, inputs, outputs).
pub fn check_fits(adapter: &Adapter, linears: &[(usize, Target, usize, usize)]) -> Result<(), AdapterError> {
    adapter.sites.iter().try_for_each(|site| check_site(site, linears))
}

fn check_site(site: &Site, linears: &[(usize, Target, usize, usize)]) -> Result<(), AdapterError> {
    let (block, name) = (site.block, site.target.tensor());
    let here = linears.iter().find(|linear| (linear.0, linear.1) == (block, site.target));
    match here {
        None => Err(AdapterError::Unfit(format!("it has no blk.{block}.{name}"))),
        Some(&(_, _, inputs, outputs)) if (inputs, outputs) != (site.inputs, site.outputs) => {
            Err(AdapterError::Unfit(format!(
                "its blk.{block}.{name} is {inputs} to {outputs}, the adapter's is {} to {}",
                site.inputs, site.outputs
            )))
        }
        Some(_) => Ok(()),
    }
}

/// The factors of one linear as they come out of a file: A `[rank][inputs]`, B `[outputs][rank]`.
#[derive(Default)]
struct Factors {
    a: Option<Matrix>,
    b: Option<Matrix>,
}

struct Matrix {
    name: String,
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    fn bad(&self, what: String) -> AdapterError {
        AdapterError::BadTensor { name: shown(&self.name), what }
    }

    fn check_values(&self) -> Result<(), AdapterError> {
        match self.values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.bad(format!("holds {value}"))),
            None => Ok(()),
        }
    }
}

/// A name from a file, short and without control characters.
fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

type ByLinear = std::collections::BTreeMap<(usize, Target), Factors>;

/// Puts factors read from a file together; all must be there and of one rank. `scale` is made from the rank.
fn assemble(found: ByLinear, alpha: f32, scale: impl Fn(usize) -> f32) -> Result<Adapter, AdapterError> {
    let mut pairs = Vec::new();
    for ((block, target), factors) in found {
        match (factors.a, factors.b) {
            (Some(a), Some(b)) => pairs.push((block, target, a, b)),
            (Some(half), None) | (None, Some(half)) => return Err(half.bad("has no other half".into())),
            (None, None) => unreachable!("an entry is made for a factor"),
        }
    }
    let rank = pairs.first().map_or(0, |(_, _, a, _)| a.rows);
    if rank == 0 {
        return Err(AdapterError::NotAdapter("it holds no factors".into()));
    }
    for (_, _, a, b) in &pairs {
        for (matrix, its) in [(a, a.rows), (b, b.columns)] {
            if its != rank {
                return Err(matrix.bad(format!("is of rank {its} and others are of rank {rank}")));
            }
            matrix.check_values()?;
        }
    }
    let sites = pairs.iter().map(|(block, target, a, b)| (*block, *target, a.columns, b.rows));
    let mut adapter = Adapter::zeros(rank, alpha, scale(rank), sites.collect::<Vec<_>>());
    if !adapter.scale.is_finite() || adapter.scale == 0.0 {
        return Err(AdapterError::BadMeta("scale", adapter.scale.to_string()));
    }
    for (site, (_, _, a, b)) in adapter.sites.clone().iter().zip(&pairs) {
        adapter.values[site.a..site.b].copy_from_slice(&a.values);
        adapter.values[site.b..][..b.values.len()].copy_from_slice(&b.values);
    }
    Ok(adapter)
}

#[cfg(test)]
#[path = "adapter_tests.rs"]
mod tests;
