//! The adapters that may be put on a model: LoRA in GGUF files, in a folder of their own or anywhere
//! by path. Pure Rust in the broker: only headers are read here; llama.cpp loads them in the worker.

use crate::config::PERSONAL;
use familiar_gguf::{GgufError, Header};
use std::path::{Path, PathBuf};

/// What stands in the settings for the model as it is.
pub const NONE: &str = "none";
/// Metadata of our adapters: BLAKE3 of the model file that they were made on, in hex.
pub const BASE: &str = "familiar.adapter.base";

/// Why an adapter cannot be put on the model.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    #[error(
        "there is no adapter `{name}` (looked for {path}); `familiar model use NAME --adapter none` goes on without"
    )]
    NotFound { name: String, path: String },
    #[error("`{0}` is no name for an adapter: use letters, digits, `.`, `_` and `-`, or an absolute path")]
    BadName(String),
    #[error("the adapter `{path}` cannot be used: {why}")]
    Unusable { path: String, why: String },
    #[error(
        "the adapter `{name}` was made on another file than the model `{model}` (BLAKE3 {made_on}, not {digest}); use it on its own model, or train one on this"
    )]
    WrongBase { name: String, model: String, made_on: String, digest: String },
}

/// The adapters folder; cheap to clone.
#[derive(Debug, Clone)]
pub struct Adapters {
    folder: PathBuf,
}

impl Adapters {
    /// `folder` need not be there.
    pub fn new(folder: impl Into<PathBuf>) -> Adapters {
        Adapters { folder: folder.into() }
    }

    /// The file that a name or an absolute path in the settings stands for; `None` for none.
    pub fn path(&self, setting: &str) -> Result<Option<PathBuf>, AdapterError> {
        // What was learned from the owner is put in by whoever knows which generation serves; here it is nothing yet.
        if setting == NONE || setting == PERSONAL {
            return Ok(None);
        }
        let path = if setting.starts_with('/') { PathBuf::from(setting) } else { self.new_path(setting)? };
        if path.is_file() {
            return Ok(Some(path));
        }
        let name = setting.into();
        Err(AdapterError::NotFound { name, path: path.to_string_lossy().into_owned() })
    }

    /// Where the adapter of this name is, or would be.
    pub fn new_path(&self, name: &str) -> Result<PathBuf, AdapterError> {
        if plain(name) && name != NONE {
            return Ok(self.folder.join(format!("{name}.gguf")));
        }
        Err(AdapterError::BadName(name.chars().take(80).flat_map(char::escape_debug).collect()))
    }
}

/// How an adapter is called in answers: its file's name without the ending; `None` for none.
pub fn shown_name(setting: &str) -> Option<String> {
    // A generation is a folder with an adapter in it.
    if let Some(number) = setting.strip_suffix("/adapter.gguf").and_then(|folder| folder.rsplit('/').next())
        && let Ok(number) = number.parse::<u32>()
    {
        return Some(format!("generation {number}"));
    }
    let stem = Path::new(setting).file_stem().map_or_else(|| setting.into(), |stem| stem.to_string_lossy());
    let whole = if setting.starts_with('/') { stem.into_owned() } else { setting.to_owned() };
    (setting != NONE && setting != PERSONAL).then_some(whole)
}

/// Whether the adapter at `path` may be put on the model `model`, a file of the BLAKE3 `digest` and
/// the `architecture`. One that does not say what it was made on is taken, and said so in the log.
pub fn check(path: &Path, model: &str, architecture: &str, digest: &str) -> Result<(), AdapterError> {
    let shown = path.to_string_lossy();
    let unusable = |why: String| AdapterError::Unusable { path: shown.clone().into_owned(), why };
    let header = read(path).map_err(|error| unusable(error.to_string()))?;
    let kind = (header.text("general.type"), header.text("adapter.type"));
    if kind != (Some("adapter"), Some("lora")) {
        return Err(unusable("it is no LoRA adapter in the GGUF format".into()));
    }
    if header.architecture() != architecture {
        let made_for = header.architecture();
        return Err(unusable(format!(
            "it is for the architecture `{made_for}` and the model `{model}` is `{architecture}`"
        )));
    }
    match header.text(BASE) {
        None => {
            tracing::warn!(
                "the adapter {shown} does not say which model file it was made on; it is used as it is"
            );
            Ok(())
        }
        Some(made_on) if made_on == digest => Ok(()),
        Some(made_on) => Err(AdapterError::WrongBase {
            name: shown_name(&shown).unwrap_or_default(),
            model: model.into(),
            made_on: made_on.chars().take(64).flat_map(char::escape_debug).collect(),
            digest: digest.into(),
        }),
    }
}

fn read(path: &Path) -> Result<Header, GgufError> {
    Header::open(path)
}

/// One plain file name, and nothing to a shell.
fn plain(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    plain && (1..=64).contains(&name.len()) && !name.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use familiar_gguf::Writer;

    fn adapter() -> Writer {
        Writer::default()
            .text("general.architecture", "llama")
            .text("general.type", "adapter")
            .text("adapter.type", "lora")
            .f32("adapter.lora.alpha", 8.0)
            .tensor("blk.0.attn_q.weight.lora_a", &[4, 2], vec![0.0; 8])
    }

    #[test]
    fn names_and_paths_are_found_and_nothing_else_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let file = adapter().write(folder.path(), "mine").unwrap();
        let adapters = Adapters::new(folder.path());
        assert_eq!(adapters.path("mine").unwrap(), Some(file.clone()));
        assert_eq!(adapters.path(file.to_str().unwrap()).unwrap(), Some(file));
        assert_eq!(adapters.path(NONE).unwrap(), None);
        assert!(matches!(adapters.path("other"), Err(AdapterError::NotFound { .. })));
        for bad in ["../mine", "a/b", ".mine", "-x", "", "a b", &"x".repeat(65)] {
            assert!(matches!(adapters.path(bad), Err(AdapterError::BadName(_))), "{bad}");
        }
        assert_eq!(shown_name("mine.v2").as_deref(), Some("mine.v2"));
        assert_eq!(shown_name("/data/mine.gguf").as_deref(), Some("mine"));
        assert_eq!(shown_name(NONE), None);
    }

    #[test]
    fn only_an_adapter_of_the_same_file_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, writer: Writer| writer.write(folder.path(), name).unwrap();
        let said = |path: &Path| check(path, "tiny", "llama", "aa").unwrap_err().to_string();
        check(&of("unsigned", adapter()), "tiny", "llama", "aa").unwrap();
        check(&of("right", adapter().text(BASE, "aa")), "tiny", "llama", "aa").unwrap();
        let other = said(&of("other", adapter().text(BASE, "bb")));
        assert!(other.contains("`other`") && other.contains("bb, not aa"), "{other}");
        let model = said(&of("model", Writer::default().text("general.architecture", "llama")));
        assert!(model.contains("no LoRA adapter"), "{model}");
        let right = folder.path().join("right.gguf");
        let qwen = check(&right, "tiny", "qwen2", "aa").unwrap_err().to_string();
        assert!(qwen.contains("`llama`") && qwen.contains("`qwen2`"), "{qwen}");
    }

    #[test]
    fn a_cut_anywhere_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = adapter().text(BASE, "aa").bytes();
        let file = folder.path().join("cut.gguf");
        for length in 0..bytes.len() {
            std::fs::write(&file, &bytes[..length]).unwrap();
            assert!(check(&file, "tiny", "llama", "aa").is_err(), "cut at {length}");
        }
    }
}
