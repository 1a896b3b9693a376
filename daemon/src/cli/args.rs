//! The command line as people type it. Declarations only: what each command does is in its own file.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

mod learn;

pub use learn::{Adapter, Export, Forget, Import, Learn, NewJob, Now, Sources};

/// A personal AI agent that answers from your own files, on your own machine
#[derive(Debug, Parser)]
#[command(name = "familiar", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Do not start a daemon when none runs
    #[arg(long, global = true)]
    pub no_start: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 no daemon, 4 denied, 5 not found, 6 busy";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve in the foreground until stopped
    Daemon,
    /// Show what the daemon is doing
    Status(Json),
    /// Check this machine and say how to fix what is wrong
    Doctor(Json),
    /// Stop the daemon
    Stop,
    /// Ask one question about your files
    Ask(Ask),
    /// Talk, one line at a time, keeping the conversation
    Chat(Chat),
    /// Choose the folders that are searched
    #[command(subcommand)]
    Index(Index),
    /// Search the indexed files
    Search(Search),
    /// See what waits for your yes, and answer it
    Approvals(Approvals),
    /// Show what was done and allowed
    Audit(Audit),
    /// Show notices of plugins
    Notices(Json),
    /// Manage the models that answer
    #[command(subcommand)]
    Model(Model),
    /// Let it learn from you, see what it learned, go back; and train adapters by hand
    #[command(subcommand)]
    Learn(Learn),
    /// Keep a thing in mind
    Remember {
        /// What to remember; several words need no quotes
        #[arg(required = true, num_args = 1.., value_name = "TEXT")]
        text: Vec<String>,
    },
    /// Forget a file, a folder, a conversation or everything, wherever it went
    Forget(Forget),
    /// Make, try, install and call plugins
    #[command(subcommand)]
    Plugin(super::plugin::args::Plugin),
    /// Measure this machine with Familiar's own work
    #[command(subcommand)]
    Bench(Bench),
    /// Show settings
    #[command(subcommand)]
    Config(Config),
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual, or write one page for each command into a folder
    #[command(hide = true)]
    Man { folder: Option<PathBuf> },
    /// Run one jailed worker process; the daemon starts these itself
    #[command(hide = true)]
    Worker(Worker),
}

#[derive(Debug, Clone, Copy, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Ask {
    /// Continue this conversation
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Print one JSON object when the answer is complete
    #[arg(long)]
    pub json: bool,
    /// Answer from the passages found for the question alone
    #[arg(long)]
    pub no_tools: bool,
    /// The question; several words need no quotes
    #[arg(required = true, num_args = 1.., value_name = "QUESTION")]
    pub question: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Chat {
    /// What is asked first
    pub question: Vec<String>,
    /// Continue this conversation
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Line by line, not on the whole screen
    #[arg(long)]
    pub plain: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Approvals {
    #[command(subcommand)]
    pub answer: Option<Answer>,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Subcommand)]
pub enum Answer {
    /// Say yes
    Allow {
        id: String,
        /// From now on without asking, for exactly this
        #[arg(long)]
        always: bool,
        /// The option that you choose, where a question offers some
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        choice: Option<u32>,
    },
    /// Say no
    Deny { id: String },
    /// Take back what was always allowed
    Forget {
        /// The rule's number in `familiar approvals`
        rule: i64,
    },
}

#[derive(Debug, Args)]
pub struct Audit {
    /// Check that no line was changed, moved or lost
    #[arg(long)]
    pub verify: bool,
    /// How many of the last lines
    #[arg(short, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub n: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Index {
    /// Index a folder or a file, and watch it
    ///
    /// Read are text, Markdown, HTML, source code, CSV, TSV and JSON, each also gzipped; Jupyter notebooks; PDF; Word
    /// (.docx), Excel (.xlsx, .xls), PowerPoint (.pptx); OpenDocument (.odt, .ods, .odp); EPUB; mail (.eml, mbox, Maildir);
    /// and the lists of what is in ZIP and tar files. What a file is its content decides, not its name.
    Add {
        path: PathBuf,
        /// Return only when everything below it is searchable
        #[arg(long)]
        wait: bool,
    },
    /// Forget an indexed folder or file
    Remove { path: PathBuf },
    /// List what was added
    List(Json),
    /// Show how far the index is, and which files failed
    Status(Json),
}

#[derive(Debug, Args)]
pub struct Search {
    /// Number of hits
    #[arg(short, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub k: u16,
    /// How to compare: `lexical` matches words
    #[arg(long, default_value = "lexical", value_parser = mode)]
    pub mode: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Words to look for; several need no quotes
    #[arg(required = true, num_args = 1.., value_name = "QUERY")]
    pub query: Vec<String>,
}

fn mode(text: &str) -> Result<String, String> {
    match text {
        "lexical" => Ok(text.into()),
        "semantic" | "hybrid" => Err("search by meaning comes in a later version; use lexical".into()),
        _ => Err("use lexical".into()),
    }
}

#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Train adapters of a model of random weights, or of a file
    Train(BenchTrain),
    /// Measure how good a model is: answers, citations, tools, and speed. Takes minutes, or hours for a large one
    Model(BenchModel),
    /// Multiply with quantized weights, beside this processor's peak and ggml's backward pass
    Products(Json),
    /// Call a plugin that writes its JSON back, and stop runaways; beside an MCP server, if there is one
    Plugin(BenchPlugin),
}

#[derive(Debug, Args)]
pub struct BenchPlugin {
    /// Calls that are timed
    #[arg(long, default_value_t = 5000, value_name = "N")]
    pub calls: u32,
    /// Endless loops that are stopped
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub runaways: u32,
    /// Program of an MCP server over stdio with the same tool (tests/bench/mcp_peer)
    #[arg(long, value_name = "PATH")]
    pub peer: Option<PathBuf>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchTrain {
    /// The GGUF file to train on; where there is none, the random model is written there and kept
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Shape of the random model: tiny, small, smollm2-135m, smollm2-360m or smollm2-1.7b
    #[arg(long, default_value = "smollm2-135m")]
    pub shape: String,
    /// Type of its weights: F32, Q8_0, Q6_K, Q5_K, Q4_K, Q4_0 or IQ4_NL
    #[arg(long, default_value = "Q4_K")]
    pub quantization: String,
    /// Tokens of a step
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=131072))]
    pub tokens: u32,
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub rank: u32,
    /// Steps that are measured, after one that is not
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10000))]
    pub steps: u32,
    /// Threads; 0 = all cores
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub threads: u32,
    /// Keep only what goes into each block, and compute the rest again: slower, in less memory
    #[arg(long)]
    pub borders: bool,
    /// Compute in f32 where bfloat16 is faster
    #[arg(long)]
    pub f32: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchModel {
    /// The model to measure; the one in the settings unless given
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Cases of each kind, at most; fewer are quicker and less sure
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub cases: u32,
    /// Write each case with what the model said into this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Model {
    /// List the models
    List(Json),
    /// Copy a GGUF file into Familiar's models
    Import {
        file: PathBuf,
        /// Call it so, instead of after the file
        #[arg(long)]
        name: Option<String>,
    },
    /// Answer with this model from now on
    Use {
        name: String,
        /// Put this adapter on it: a name, a file's path, or `none`
        #[arg(long, value_name = "NAME")]
        adapter: Option<String>,
    },
    /// Show one model
    Info {
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Delete an imported model
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Show every setting and where its value came from
    Show(Json),
    /// Print the JSON Schema of config.toml
    Schema,
}

#[derive(Debug, Args)]
pub struct Worker {
    pub kind: WorkerKind,
    /// What it may read
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub read: Vec<PathBuf>,
    /// The folder below which it may write
    #[arg(long, value_name = "FOLDER")]
    pub write: Option<PathBuf>,
    /// Bytes of address space; 0 = no limit
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub memory: u64,
    /// Bytes of private memory that may be written; 0 = no limit
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub data: u64,
    /// Allow the GPU's devices
    #[arg(long)]
    pub gpu: bool,
    /// Take processor, disk and memory only when nobody else wants them
    #[arg(long)]
    pub background: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WorkerKind {
    Engine,
    Extract,
    Train,
    Plugins,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn exactly_the_documented_commands_exist() {
        let names: Vec<_> = Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        let documented = "daemon status doctor stop ask chat index search approvals audit notices model learn remember forget plugin bench \
                          config completions man worker";
        assert_eq!(names.join(" "), documented);
    }

    #[test]
    fn questions_need_no_quotes() {
        let Command::Ask(ask) = parse("familiar ask --no-tools what is perl").unwrap().command else {
            panic!()
        };
        assert_eq!(ask.question.join(" "), "what is perl");
        assert!(ask.no_tools);
        assert!(parse("familiar ask").is_err());
    }

    #[test]
    fn search_by_meaning_is_refused_with_a_reason() {
        let error = parse("familiar search --mode semantic x").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("later version"), "{error}");
        assert!(parse("familiar search -k 0 x").is_err());
        assert!(parse("familiar search -k 3 --json x y").is_ok());
    }

    #[test]
    fn a_worker_is_given_several_paths_in_either_way() {
        for line in [
            "familiar worker engine --read /a /b --memory 5 --gpu",
            "familiar worker engine --read /a --read /b --gpu --memory 5",
        ] {
            let Command::Worker(worker) = parse(line).unwrap().command else { panic!() };
            assert_eq!((worker.read.len(), worker.memory, worker.gpu), (2, 5, true));
        }
    }

    #[test]
    fn no_start_may_stand_anywhere() {
        assert!(parse("familiar --no-start status").unwrap().no_start);
        assert!(parse("familiar index list --json --no-start").unwrap().no_start);
    }

    #[test]
    fn what_goes_out_may_be_named_or_is_what_serves() {
        let export = |line: &str| match parse(line).unwrap().command {
            Command::Learn(Learn::Export(export)) => (export.generation, export.folder),
            _ => panic!("{line}"),
        };
        assert_eq!(export("familiar learn export out"), (None, "out".into()));
        assert_eq!(export("familiar learn export 3 out"), (Some(3), "out".into()));
        assert!(parse("familiar learn export").is_err() && parse("familiar learn import").is_err());
        assert!(parse("familiar learn import --list").is_ok() && parse("familiar learn import in").is_ok());
        assert!(parse("familiar learn import in --remove x").is_err());
    }
}
