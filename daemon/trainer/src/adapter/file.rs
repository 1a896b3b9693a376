//! Adapters as GGUF files, as `llama_adapter_lora_init` reads them (llama.cpp's src/llama-adapter.cpp):
//! F32 tensors `blk.N.NAME.weight.lora_a` (inputs x rank) and `.lora_b` (rank x outputs), and a scale of
//! `adapter.lora.alpha / rank`.

use super::{AdapterError, ByLinear, Matrix, Meta, assemble, shown};
use crate::lora::{Adapter, Target};
use crate::weight::dequantize;
use familiar_gguf::{Gguf, Header, Kind, Tensor, Value, Writer};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const BASE: &str = "familiar.adapter.base";
const GENERATION: &str = "familiar.adapter.generation";
const MANIFEST: &str = "familiar.adapter.manifest";
const RECIPE: &str = "familiar.adapter.recipe";
const NOMINAL: &str = "familiar.adapter.alpha";
const ALPHA: &str = "adapter.lora.alpha";

/// Writes the adapter to `path`, readable by the owner alone. The file is whole or not there: it is written
/// beside, flushed to the disk and renamed, and what was at `path` stays until then.
pub fn save(adapter: &Adapter, meta: &Meta, path: &Path) -> Result<(), AdapterError> {
    check_values(adapter)?;
    let writer = writer(adapter, meta);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let beside = folder.join(format!(".{}.{}.new", name.display(), std::process::id()));
    let written = write_out(adapter, &writer, &beside).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = std::fs::remove_file(&beside);
    }
    written?;
    Ok(File::open(folder)?.sync_all()?)
}

/// What [`load`] would refuse is not written.
fn check_values(adapter: &Adapter) -> Result<(), AdapterError> {
    let found = adapter.values.iter().position(|value| !value.is_finite());
    let site = found.and_then(|at| adapter.sites.iter().rfind(|site| site.a <= at));
    match (found, site) {
        (Some(at), Some(site)) => Err(AdapterError::BadTensor {
            name: format!("blk.{}.{}", site.block, site.target.tensor()),
            what: format!("holds {}", adapter.values[at]),
        }),
        _ => Ok(()),
    }
}

fn write_out(adapter: &Adapter, writer: &Writer, path: &Path) -> io::Result<()> {
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut file = BufWriter::new(options);
    // The tensors were announced as A and B of each site in turn, which is how the values lie.
    let mut halves = adapter.sites.iter().flat_map(|site| {
        [&adapter.values[site.a..site.b], &adapter.values[site.b..][..site.outputs * adapter.rank]]
    });
    writer.write_with(&mut file, |_, out| {
        let values = halves.next().expect("one for each announced");
        values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
    })?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn writer(adapter: &Adapter, meta: &Meta) -> Writer {
    let mut writer = Writer::default()
        .text("general.type", "adapter")
        .text("general.architecture", &meta.architecture)
        .text("adapter.type", "lora")
        // llama.cpp knows no rank-stabilized scale, so the alpha is the one that gives ours.
        .f32(ALPHA, adapter.scale * adapter.rank as f32)
        .f32(NOMINAL, adapter.alpha)
        .text(BASE, &meta.base)
        .u32(GENERATION, meta.generation)
        .text(MANIFEST, &meta.manifest)
        .text(RECIPE, &meta.recipe.to_string());
    let rank = adapter.rank as u64;
    for site in &adapter.sites {
        let name = format!("blk.{}.{}.weight", site.block, site.target.tensor());
        writer = writer.later(&format!("{name}.lora_a"), &[site.inputs as u64, rank], Kind::F32).later(
            &format!("{name}.lora_b"),
            &[rank, site.outputs as u64],
            Kind::F32,
        );
    }
    writer
}

/// Reads an adapter that [`save`] wrote; whatever is wrong with it is an error. Sites come ordered by block,
/// then as in [`Target::ALL`].
pub fn load(path: &Path) -> Result<(Adapter, Meta), AdapterError> {
    let gguf = Gguf::open(path)?;
    check_type(&gguf.header)?;
    let meta = meta(&gguf.header)?;
    let effective = number(&gguf.header, ALPHA)?;
    let nominal = number(&gguf.header, NOMINAL)?;
    let mut found = ByLinear::new();
    for info in &gguf.header.tensors {
        let bad = |what: String| AdapterError::BadTensor { name: shown(&info.name), what };
        let (block, target, is_a) =
            parse(&info.name).ok_or_else(|| bad("is no factor of a linear that can have one".into()))?;
        let tensor = gguf.tensor(&info.name).expect("it is in the header");
        let matrix = matrix(&info.name, tensor).map_err(bad)?;
        let factors = found.entry((block, target)).or_default();
        let place = if is_a { &mut factors.a } else { &mut factors.b };
        if place.replace(matrix).is_some() {
            return Err(bad("stands twice".into()));
        }
    }
    Ok((assemble(found, nominal, |rank| effective / rank as f32)?, meta))
}

fn check_type(header: &Header) -> Result<(), AdapterError> {
    for (key, wanted) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        let found = header.text(key).unwrap_or("nothing");
        if found != wanted {
            return Err(AdapterError::NotAdapter(format!("its {key} is {}, not {wanted}", shown(found))));
        }
    }
    Ok(())
}

fn meta(header: &Header) -> Result<Meta, AdapterError> {
    let text = |key: &'static str| header.text(key).map(String::from).ok_or(AdapterError::NoMeta(key));
    let generation = match header.values.get(GENERATION) {
        Some(Value::Unsigned(n)) => u32::try_from(*n).ok(),
        _ => None,
    };
    let recipe = text(RECIPE)?;
    Ok(Meta {
        architecture: text("general.architecture")?,
        base: text(BASE)?,
        generation: generation.ok_or(AdapterError::NoMeta(GENERATION))?,
        manifest: text(MANIFEST)?,
        recipe: serde_json::from_str(&recipe)
            .map_err(|error| AdapterError::BadMeta(RECIPE, error.to_string()))?,
    })
}

fn number(header: &Header, key: &'static str) -> Result<f32, AdapterError> {
    let value = header.float(key).ok_or(AdapterError::NoMeta(key))? as f32;
    // llama.cpp takes an alpha of zero for none at all, which is a scale of one.
    match value.is_finite() && value != 0.0 {
        true => Ok(value),
        false => Err(AdapterError::BadMeta(key, value.to_string())),
    }
}

/// `blk.N.NAME.weight.lora_a` as (N, target, whether it is A).
fn parse(name: &str) -> Option<(usize, Target, bool)> {
    let mut parts = name.strip_prefix("blk.")?.splitn(3, '.');
    let number = parts.next()?;
    let block = number.parse().ok().filter(|block: &usize| block.to_string() == number)?;
    let target = Target::of_tensor(parts.next()?)?;
    match parts.next()? {
        "weight.lora_a" => Some((block, target, true)),
        "weight.lora_b" => Some((block, target, false)),
        _ => None,
    }
}

fn matrix(name: &str, tensor: Tensor<'_>) -> Result<Matrix, String> {
    let [columns, rows] = *tensor.shape else {
        return Err(format!("has {} dimensions, not 2", tensor.shape.len()));
    };
    if tensor.kind != Kind::F32 {
        return Err(format!("is in {}, not F32", tensor.kind.name));
    }
    let mut values = vec![0.0; tensor.bytes.len() / 4];
    dequantize(Kind::F32, tensor.bytes, &mut values);
    Ok(Matrix { name: name.into(), rows: rows as usize, columns: columns as usize, values })
}
