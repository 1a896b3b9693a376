//! What a job is told: `spec.toml` or `spec.json` in its folder. Read strictly, and written once, with a
//! comment on each line, when a job is made. Data only; nothing here looks at the model or the examples.

use super::folder::regular;
use familiar_trainer::recipe::{Recipe, RecipeError};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The two files that may hold it; one of them must be there.
pub const NAMES: [&str; 2] = ["spec.toml", "spec.json"];
/// No spec is longer than this many bytes.
const LONGEST: u64 = 1 << 20;
/// Seconds of work between two checkpoints, at most.
const LONGEST_INTERVAL: u64 = 30;

/// Why there is no spec.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    #[error("{} holds no `spec.toml`; `familiar learn new` makes a job", .0.display())]
    Absent(PathBuf),
    #[error("{} holds a `spec.toml` and a `spec.json`; remove one", .0.display())]
    Both(PathBuf),
    #[error("{} cannot be read: {error}", .file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{}: {what}", .file.display())]
    Invalid { file: PathBuf, what: String },
}

/// One training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The base model's GGUF file; an absolute path.
    pub model: PathBuf,
    /// BLAKE3 of that file in hex: a job goes on with no other.
    pub digest: String,
    /// Number of the adapter among those of its owner; only written into its metadata.
    #[serde(default)]
    pub generation: u32,
    /// BLAKE3 of `start.gguf` in the job's folder, in hex: an adapter of the same form that training begins with.
    /// Empty: it begins with nothing.
    #[serde(default)]
    pub start: String,
    /// What to do with an example of more tokens than a micro-batch or the model's context holds.
    #[serde(default)]
    pub long: Long,
    #[serde(default)]
    pub precision: Precision,
    #[serde(default)]
    pub recipe: Recipe,
    /// How, not what: a job may go on with other values.
    #[serde(default)]
    pub run: Run,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Long {
    /// Leave it out, and count it.
    Skip,
    /// End the job before it begins, naming the line.
    #[default]
    Fail,
}

/// What the arithmetic of matrix products is done in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    F32,
    /// Twice as fast on processors that have it, and less exact.
    #[default]
    Bf16,
}

/// What of a block is kept between its forward and its backward pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Its input alone; the rest is computed again.
    #[default]
    Borders,
    /// What is inside too: faster, for more memory.
    Inside,
}

/// How a job is run on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// 0 = all cores.
    pub threads: usize,
    /// Bytes of memory beside the model's file; 0 = no limit but the machine's.
    pub memory_bytes: u64,
    /// Seconds of work between two checkpoints, at most 30; 0 = one after each micro-batch.
    pub checkpoint_s: u64,
    pub keep: Keep,
}

impl Default for Run {
    fn default() -> Self {
        Run { threads: 0, memory_bytes: 0, checkpoint_s: 20, keep: Keep::default() }
    }
}

impl Spec {
    pub fn new(model: PathBuf, digest: String) -> Spec {
        Spec {
            model,
            digest,
            generation: 0,
            start: String::new(),
            long: Long::default(),
            precision: Precision::default(),
            recipe: Recipe::default(),
            run: Run::default(),
        }
    }

    /// Reads and checks the spec of a job's folder.
    pub fn read(folder: &Path) -> Result<Spec, SpecError> {
        let there: Vec<PathBuf> =
            NAMES.map(|name| folder.join(name)).into_iter().filter(|f| f.exists()).collect();
        let file = match there.as_slice() {
            [file] => file,
            [] => return Err(SpecError::Absent(folder.to_owned())),
            _ => return Err(SpecError::Both(folder.to_owned())),
        };
        let text = text(file).map_err(|error| SpecError::Read { file: file.clone(), error })?;
        let invalid = |what: String| SpecError::Invalid { file: file.clone(), what };
        let spec: Spec = if file.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?
        } else {
            toml::from_str(&text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))?
        };
        spec.check().map_err(invalid)?;
        Ok(spec)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !self.model.is_absolute() {
            return Err(format!("`model` is {:?} and must be an absolute path", self.model));
        }
        if self.digest.len() != 64 || !self.digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("`digest` must be the BLAKE3 of the model's file, 64 digits 0-9 a-f".into());
        }
        if !self.start.is_empty() && self.start.len() != 64 {
            return Err("`start` must be the BLAKE3 of `start.gguf`, or empty".into());
        }
        if self.run.checkpoint_s > LONGEST_INTERVAL {
            let has = self.run.checkpoint_s;
            return Err(format!("`run.checkpoint_s` is {has} and must be at most {LONGEST_INTERVAL}"));
        }
        if self.run.threads > 1024 {
            return Err(format!("`run.threads` is {} and must be at most 1024", self.run.threads));
        }
        self.recipe.check().map_err(|error: RecipeError| error.to_string())
    }

    /// BLAKE3 of everything that decides the result, with the data's: what a checkpoint belongs to.
    pub fn fingerprint(&self, data: &str) -> [u8; 32] {
        let decides = (&self.digest, &self.start, self.long, self.precision, &self.recipe, data);
        let text = serde_json::to_vec(&decides).expect("a spec holds only what JSON has");
        *blake3::hash(&text).as_bytes()
    }

    /// The recipe as JSON, each number as people would write it: one made from an `f32` directly has
    /// digits that nobody wrote.
    pub fn recipe_as_written(&self) -> serde_json::Value {
        serde_json::to_string(&self.recipe).and_then(|text| serde_json::from_str(&text)).unwrap_or_default()
    }

    /// As a file that explains itself. Every value stands in it, so that a later default changes nothing.
    pub fn commented(&self) -> String {
        let mut out =
            String::from("# A training job. `familiar learn train FOLDER` runs it and goes on with it.\n\n");
        let value = serde_json::to_value(self).expect("a spec holds only what JSON has");
        table(&mut out, &value, "");
        for name in ["recipe", "run"] {
            let _ = write!(out, "\n[{name}]\n");
            table(&mut out, &value[name], name);
        }
        out
    }
}

/// The values of one table, each below what it means. Numbers, texts and lists are written alike in
/// JSON and in TOML.
fn table(out: &mut String, values: &serde_json::Value, name: &str) {
    for (key, value) in values.as_object().into_iter().flatten().filter(|(_, value)| !value.is_object()) {
        let full = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        if let Some((_, comment)) = COMMENTS.iter().find(|(known, _)| *known == full) {
            let _ = writeln!(out, "# {comment}");
        }
        let _ = writeln!(out, "{key} = {}", plain(value));
    }
}

/// An `f32` in JSON shows digits that nobody wrote.
fn plain(value: &serde_json::Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) => {
            let short = (number as f32).to_string();
            if short.contains('.') { short } else { format!("{short}.0") }
        }
        None => value.to_string(),
    }
}

const COMMENTS: [(&str, &str); 29] = [
    ("model", "The base model's file, and its BLAKE3: the job goes on with no other file."),
    ("generation", "Written into the adapter's metadata."),
    ("start", "BLAKE3 of start.gguf in this folder, an adapter to begin with; \"\" = begin with nothing."),
    ("long", "An example that does not fit: \"fail\" names it and ends the job, \"skip\" leaves it out."),
    ("precision", "\"bf16\" is faster where the processor has it, \"f32\" exact."),
    ("recipe.rank", "Rank of the adapter; 8 to 64."),
    ("recipe.alpha", "The adapter counts alpha / rank."),
    ("recipe.targets", "Linears that get an adapter: q, k, v, o, gate, up, down."),
    ("recipe.rank_stabilized", "Scale by alpha / sqrt(rank) instead (rsLoRA)."),
    ("recipe.dropout", "Share of an adapter's inputs that is zeroed while training."),
    ("recipe.learning_rate", "Peak of the learning rate."),
    ("recipe.b_ratio", "Learning rate of B over that of A (LoRA+); 1 = the same."),
    ("recipe.weight_decay", "AdamW's, decoupled."),
    ("recipe.clip", "Gradients are scaled down to this norm; 0 = not."),
    ("recipe.warmup", "Share of the steps over which the rate rises from zero."),
    ("recipe.floor", "Where the cosine ends, as a share of the peak."),
    ("recipe.epochs", "Times each example is seen."),
    ("recipe.max_steps", "Steps at most; 0 = as many as the epochs give."),
    ("recipe.tokens", "Tokens packed into a micro-batch, and in one example at most."),
    ("recipe.accumulate", "Micro-batches of a step."),
    ("recipe.seed", "Another seed is another order of the examples, and other first values."),
    ("recipe.max_skipped", "Steps in a row that may be skipped for numbers that are not finite."),
    ("recipe.beta1", "AdamW's."),
    ("recipe.beta2", "AdamW's."),
    ("recipe.teacher_top", "How many of a teacher's likeliest tokens are kept for each learned one."),
    ("run.threads", "0 = all cores."),
    ("run.memory_bytes", "Memory beside the model's file; 0 = no limit but the machine's."),
    (
        "run.checkpoint_s",
        "Seconds of work between two checkpoints, at most 30; 0 = one after each micro-batch.",
    ),
    ("run.keep", "\"inside\" is faster than \"borders\" and needs more memory."),
];

fn text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    regular(file)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec::new("/models/x.gguf".into(), "ab".repeat(32))
    }

    fn read(name: &str, text: &str) -> Result<Spec, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        Spec::read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_commented_file_means_what_was_meant() {
        let recipe = Recipe { rank: 4, learning_rate: 3e-4, epsilon: 1e-8, ..Recipe::default() };
        let spec = Spec { generation: 7, long: Long::Skip, recipe, ..spec() };
        let text = spec.commented();
        assert_eq!(read("spec.toml", &text).unwrap(), spec, "{text}");
        assert_eq!(read("spec.json", &serde_json::to_string(&spec).unwrap()).unwrap(), spec);
    }

    #[test]
    fn every_comment_is_on_a_value_that_is_there() {
        let text = spec().commented();
        for (key, comment) in COMMENTS {
            let name = key.rsplit('.').next().unwrap();
            assert!(text.contains(&format!("# {comment}\n{name} = ")), "{key}");
        }
    }

    #[test]
    fn the_least_that_makes_a_job_is_a_model_and_its_digest() {
        let text = format!("model = \"/models/x.gguf\"\ndigest = \"{}\"\n", "ab".repeat(32));
        assert_eq!(read("spec.toml", &text).unwrap(), spec());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = spec().commented();
        let said = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            read("spec.toml", &text.replace(from, to)).unwrap_err()
        };
        assert!(said("rank = 16", "rnak = 16").contains("rnak"));
        assert!(said("rank = 16", "rank = 0").contains("`rank` is 0"));
        assert!(said("rank = 16", "rank = -1").contains("rank"));
        assert!(said("\"/models", "\"models").contains("absolute path"));
        assert!(said("abab", "xyz").contains("`digest`"));
        assert!(said("checkpoint_s = 20", "checkpoint_s = 31").contains("at most 30"));
        assert!(said("learning_rate = 0.0002", "learning_rate = nan").contains("`learning_rate` is NaN"));
        assert!(said("long = \"fail\"", "long = \"cut\"").contains("cut"));
        assert!(read("spec.toml", "").unwrap_err().contains("model"));
        assert!(read("spec.json", "{").unwrap_err().contains("spec.json"));
        assert!(read("other.toml", &text).unwrap_err().contains("familiar learn new"));
    }

    #[test]
    fn two_specs_are_one_too_many() {
        let folder = tempfile::tempdir().unwrap();
        NAMES.iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
        assert!(matches!(Spec::read(folder.path()), Err(SpecError::Both(_))));
    }

    #[test]
    fn a_checkpoint_belongs_to_what_decides_the_result() {
        let print = spec().fingerprint("data");
        let threads = Spec { run: Run { threads: 3, ..Run::default() }, generation: 2, ..spec() };
        assert_eq!(threads.fingerprint("data"), print);
        assert_ne!(spec().fingerprint("other"), print);
        let rank = Spec { recipe: Recipe { rank: 8, ..Recipe::default() }, ..spec() };
        assert_ne!(rank.fingerprint("data"), print);
        assert_ne!(Spec { precision: Precision::F32, ..spec() }.fingerprint("data"), print);
        assert_ne!(Spec { digest: "cd".repeat(32), ..spec() }.fingerprint("data"), print);
    }
}
