//! `familiar learn` and `familiar forget` as people type them. Declarations only.

use super::Json;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Learn {
    /// Show what it will do next, and why not now
    Status(Json),
    /// Choose what may be learned from; what is not named is not learned
    Sources(Sources),
    /// Learn now, without waiting for quiet hours
    Now(Now),
    /// Show the generations: what each learned and how it was judged
    History(Json),
    /// Answer with an earlier generation, at once
    Rollback {
        /// Its number in `familiar learn history`; 0 is the model as it came. The one before, unless given
        generation: Option<u32>,
        #[command(flatten)]
        json: Json,
    },
    /// Learn nothing more until resumed
    Pause,
    /// Let learning go on
    Resume,
    /// Write a page about what was learned, to be opened in a browser
    Report {
        /// The page's file
        #[arg(default_value = "familiar-report.html")]
        file: PathBuf,
    },
    /// Write a generation into a folder for others, signed with your key
    Export(Export),
    /// Use an adapter that somebody shared, beside what was learned here
    Import(Import),
    /// Make the folder of a training job
    New(NewJob),
    /// Run a training job, or go on with it; Ctrl-C stops it
    Train {
        /// The job's folder
        job: PathBuf,
        /// Print a JSON object for each step and one at the end
        #[arg(long)]
        json: bool,
    },
    /// Look at adapters, carry them to and from PEFT, merge them
    #[command(subcommand)]
    Adapter(Adapter),
}

#[derive(Debug, Args)]
pub struct NewJob {
    /// The folder to make
    pub job: PathBuf,
    /// The base model: a name, or a GGUF file's path
    #[arg(long)]
    pub model: String,
    /// Examples, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Rank of the adapter
    #[arg(long)]
    pub rank: Option<usize>,
    /// The adapter counts alpha / rank; twice the rank unless given
    #[arg(long)]
    pub alpha: Option<f32>,
    /// Peak of the learning rate
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f32>,
    /// Times each example is seen
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Tokens of a micro-batch
    #[arg(long)]
    pub tokens: Option<usize>,
    /// Micro-batches of a step
    #[arg(long, value_name = "N")]
    pub accumulate: Option<usize>,
    /// Another order and other first values
    #[arg(long)]
    pub seed: Option<u64>,
    /// CPU threads; 0 = all cores
    #[arg(long)]
    pub threads: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub enum Adapter {
    /// Show one adapter
    Info {
        /// A name, or a file's path
        adapter: String,
        #[command(flatten)]
        json: Json,
    },
    /// Write an adapter for PEFT into a folder
    Export {
        /// A name, or a file's path
        adapter: String,
        folder: PathBuf,
        /// The model that it was made on: a name, or a GGUF file's path
        #[arg(long)]
        model: String,
    },
    /// Make an adapter from a PEFT folder
    Import {
        folder: PathBuf,
        /// The model that it was made on: a name, or a GGUF file's path
        #[arg(long)]
        model: String,
        /// What the adapter is called here
        #[arg(long)]
        name: String,
    },
    /// Make one adapter of several of the same model
    Merge {
        /// What the new adapter is called
        #[arg(long)]
        name: String,
        /// Adapters, by name or path, each with its weight
        #[arg(required = true, num_args = 1.., value_name = "ADAPTER[=WEIGHT]")]
        parts: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Sources {
    /// `conversations`: what you wrote there, and answers that you approved. `corrections`: what you put right or asked
    /// to remember. `folders`: your own writing. `none`: nothing any more
    #[arg(required = true, num_args = 1.., value_parser = ["conversations", "corrections", "folders", "none"])]
    pub sources: Vec<String>,
    /// A folder of your own writing, below an indexed one; may be given several times
    #[arg(long = "folder", value_name = "PATH")]
    pub folders: Vec<PathBuf>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
pub struct Now {
    /// Return only when the cycle has ended, with its verdict
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub struct Export {
    /// Its number in `familiar learn history`; the one that serves, unless given
    pub generation: Option<u32>,
    /// The folder to make
    #[arg(required = true)]
    pub folder: PathBuf,
    /// What it is called; after the model and the generation, unless given
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false, args = ["folder", "list", "remove"])]
pub struct Import {
    /// The folder that was shared
    pub folder: Option<PathBuf>,
    /// How much it counts beside what was learned here
    #[arg(long, default_value_t = crate::sharing::SCALE)]
    pub scale: f32,
    /// Call it so here, instead of as its author does
    #[arg(long)]
    pub name: Option<String>,
    /// Trust an author who was not known before
    #[arg(long)]
    pub yes: bool,
    /// Show what was taken in
    #[arg(long)]
    pub list: bool,
    /// Give one up again
    #[arg(long, value_name = "NAME")]
    pub remove: Option<String>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false, args = ["path", "session", "all"])]
pub struct Forget {
    /// A file, or a folder with all that is below it
    pub path: Option<PathBuf>,
    /// A conversation
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Everything that was learned, said and remembered
    #[arg(long)]
    pub all: bool,
    /// Write what was done, with digests, into this file
    #[arg(long, value_name = "FILE")]
    pub proof: Option<PathBuf>,
    #[command(flatten)]
    pub json: Json,
}
