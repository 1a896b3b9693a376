//! Messages between the broker and its workers. Both sides may ask: a [`Frame::Request`] is answered
//! by any number of [`Frame::Event`]s and exactly one [`Frame::Reply`] with the same id, or dropped by
//! [`Frame::Cancel`] (a cancelled request is still answered, with [`Fault::Cancelled`]).

use super::plugins;
use crate::types::{Finish, Message, Timings, ToolChoice, ToolFormat, ToolSpec, Usage};
use serde::{Deserialize, Serialize};

/// The largest frame either side accepts, in bytes. Enough for the text of the largest file that is
/// indexed; small enough that a broken worker cannot make the broker swell.
pub const MAX_FRAME: usize = 64 << 20;

/// One message on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// Sent once by a worker, when its jail stands and before it reads anything.
    Hello(JailReport),
    Request {
        id: u64,
        deadline_ms: u64,
        body: Request,
    },
    Event {
        id: u64,
        body: Event,
    },
    Reply {
        id: u64,
        body: Result<Reply, Fault>,
    },
    Cancel {
        id: u64,
    },
}

/// What can be asked. A worker answers [`Fault::Unsupported`] to what is not its kind's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    Ping,
    /// any: try what the jail must refuse. Answered by [`Reply::Probed`].
    Probe,
    /// engine: load the model, once per process. Answered by [`Reply::Loaded`].
    Load(Load),
    /// engine: answer a conversation. Events: [`Event::Started`], then [`Event::Text`]s.
    Generate(Box<Generate>),
    /// engine: tokens of the prompt that `Generate` would make. Answered by [`Reply::Count`].
    Count(Box<Generate>),
    /// engine: how well the model predicts a text. Answered by [`Reply::Scored`].
    Score(Box<Score>),
    /// engine: the tokens that `Score` would read. Answered by [`Reply::Tokens`].
    Tokens(Box<Score>),
    /// extract: text of the file whose descriptor travels with this request.
    Extract(Extract),
    /// train: go on with a job to its end. Events: [`Event::Step`]s. Answered by [`Reply::Trained`].
    Train(Train),
    /// plugins: compile a component, whose file's descriptor travels with this request. Answered by
    /// [`Reply::PluginLoaded`].
    PluginLoad(plugins::Load),
    /// plugins: what the component says of its tools, by running its `describe`. Answered by
    /// [`Reply::PluginTools`].
    PluginDescribe {
        digest: String,
    },
    /// plugins: run a tool. Answered by [`Reply::PluginCalled`], or [`Fault::NotLoaded`].
    PluginCall(Box<plugins::Call>),
    /// plugins: forget a component. Running calls end on it.
    PluginUnload {
        digest: String,
    },
    /// plugins, to the broker: use an import. Answered by [`Reply::Imported`].
    PluginImport(Box<plugins::Import>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Started {
        prompt_tokens: u32,
        cached_tokens: u32,
    },
    /// Whole UTF-8 characters, never half of one.
    Text(String),
    /// Long work: `done` of `total` units, in the request's own unit.
    Progress {
        done: u64,
        total: u64,
    },
    /// A step of training is done.
    Step(Step),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Pong,
    Probed(Vec<Attempt>),
    Loaded(ModelInfo),
    Generated { finish: Finish, usage: Usage, timings: Timings },
    Count(u32),
    Scored(Scored),
    Tokens(Tokens),
    Extracted(Extracted),
    Trained(Trained),
    PluginLoaded(plugins::Loaded),
    PluginTools(String),
    PluginCalled(Box<plugins::Called>),
    PluginUnloaded,
    Imported(Box<plugins::Imported>),
}

/// Why a request failed, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    #[error("cancelled")]
    Cancelled,
    #[error("took longer than {ms} ms")]
    Deadline { ms: u64 },
    #[error("this worker does not do that")]
    Unsupported,
    /// The prompt does not fit; nothing was generated and nothing was cut.
    #[error("the prompt is {tokens} tokens and the context holds {limit}")]
    PromptTooLong { tokens: u32, limit: u32 },
    /// No model, or not this plugin, is loaded in this process yet: loading comes first.
    #[error("nothing is loaded")]
    NotLoaded,
    /// The model cannot be used; the text says why and what to do.
    #[error("{0}")]
    Model(String),
    /// The request is wrong (bad schema, bad sampling value, bad template result).
    #[error("{0}")]
    Invalid(String),
    /// The document cannot be read as text; the text says why.
    #[error("{0}")]
    Document(String),
    /// The file is no plugin that can run here; the text says why.
    #[error("{0}")]
    Plugin(String),
    /// Something is in use, or a limit of this machine is reached; trying again may help.
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Internal(String),
}

/// What a kernel granted of the jail; `doctor` prints it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JailReport {
    /// Landlock ABI in force; 0 when the kernel has none.
    pub landlock_abi: u32,
    pub landlock: bool,
    pub seccomp: bool,
    pub no_new_privs: bool,
    /// One sentence each on what was refused.
    pub refused: Vec<String>,
}

/// One thing that a jailed worker tried and must not manage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub what: String,
    pub refused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub path: String,
    /// A LoRA to put on the model, for as long as it is loaded.
    pub adapter: Option<String>,
    /// Context in tokens of each sequence; 0 = the model's own, at most 8192. Never more than
    /// the model was trained for.
    pub context: u32,
    /// 0 = all cores, or one for a small model, which is faster so.
    pub threads: u32,
    pub gpu_layers: u32,
    /// Conversations decoded at once.
    pub parallel: u32,
}

/// What the engine knows of a loaded model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    pub name: String,
    /// The adapter on it, by its file's name.
    pub adapter: Option<String>,
    pub architecture: String,
    pub parameters: u64,
    pub size_bytes: u64,
    /// Tokens one conversation may hold, prompt and answer together.
    pub context: u32,
    pub train_context: u32,
    /// The chat template renders tools.
    pub tools: bool,
    /// How it writes a tool call.
    pub tool_format: ToolFormat,
    /// Trained to answer from passages only: tools are not offered unless a client insists.
    pub grounded_only: bool,
    /// Trained to answer from passages in their own words: an answer that begins with `[n]` is held to them.
    pub quotes: bool,
    /// Passages in a prompt and characters in each that this model does best with; 0 = no opinion.
    pub passages: u32,
    pub passage_chars: u32,
    /// llama.cpp's own line on the CPU features or GPU in use.
    pub system: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    pub tool_choice: ToolChoice,
    /// JSON Schema as text that the whole answer must satisfy, when no tool is called.
    pub json_schema: Option<String>,
    /// The whole answer must be made of these, when no tool is called.
    pub quotes: Option<Quotes>,
    pub sampling: Sampling,
}

/// Answers in the passages' own words: `[n] ` and consecutive sentences of passage `n` (from 1), or
/// `otherwise`, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotes {
    pub passages: Vec<Vec<Sentence>>,
    pub otherwise: Option<String>,
    /// Characters that an answer has at least, where its passage goes on so long.
    pub at_least: u32,
    /// Only an answer that begins with `[` is held to the passages; it may as well be other words, or a tool call.
    pub free: bool,
}

/// A sentence of a passage, and what stands between it and the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    pub text: String,
    pub gap: String,
    /// An answer may begin with it.
    pub begins: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 = greedy.
    pub temperature: f32,
    pub top_p: f32,
    pub top_k: i32,
    pub min_p: f32,
    pub seed: u32,
    pub max_tokens: u32,
    pub stop: Vec<String>,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            seed: 0,
            max_tokens: 512,
            stop: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extract {
    /// File name without its folder: only the extension is used, to choose a parser.
    pub name: String,
    /// Text beyond this many bytes is left out of a document and refused in a file of text, so that a zip
    /// bomb stays small.
    pub max_text: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Train {
    /// The job's folder, which the worker may read and write.
    pub folder: String,
}

/// A text to be predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What stands before it: a conversation that it is the next answer of. `None`: it stands on its own.
    pub prompt: Option<Generate>,
    pub text: String,
}

/// How well a model predicts a text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// Negative log-likelihood of each predicted token, in nats. The first token of a text on its own is not
    /// predicted where the model has no token for its beginning.
    pub nats: Vec<f32>,
    /// Bytes that they stand for.
    pub bytes: u64,
}

impl Scored {
    /// Negative log-likelihood of the whole, in nats.
    pub fn total(&self) -> f64 {
        self.nats.iter().map(|nats| f64::from(*nats)).sum()
    }
}

/// A text in the model's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// What stands before it.
    pub prompt: Vec<u32>,
    pub text: Vec<u32>,
    /// The token that ends an answer, where the vocabulary has one.
    pub end: Option<u32>,
}

/// One step of training, as a line of the job's log has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub step: u64,
    pub steps: u64,
    /// Mean loss of the learned tokens, in nats, before the step was taken.
    pub loss: f32,
    /// Tokens that went through the model in this step, learned or not.
    pub tokens: u64,
    pub tokens_per_s: f32,
    /// The learning rate of the step.
    pub rate: f32,
    /// Norm of the gradient before it was clipped.
    pub norm: f32,
    /// Nothing was changed, because a loss or a gradient was no finite number.
    pub skipped: bool,
    /// An estimate of what is left, in seconds.
    pub left_s: u64,
}

/// How a job ended, or where it stands when it was told to stop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    pub step: u64,
    pub steps: u64,
    /// False: it was told to stop, and goes on from its checkpoint when it is started again.
    pub finished: bool,
    /// Of the last step.
    pub loss: f32,
    /// The step that this run began after; 0 when it began anew.
    pub resumed_from: u64,
    /// Since this run began.
    pub tokens: u64,
    pub seconds: f64,
    /// Examples that are learned from, and those left out for being too long or teaching nothing.
    pub examples: u64,
    pub left_out: u64,
    /// Steps skipped for numbers that were not finite, in the whole job.
    pub skipped: u64,
    /// The most resident memory that the worker had, in bytes, as whoever started it saw.
    pub peak_bytes: u64,
    /// The adapter's file, once it is finished.
    pub adapter: Option<String>,
    /// What went wrong and did not end the job, one sentence each.
    pub warnings: Vec<String>,
}

/// Text of a document, with the way back to its bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    pub title: String,
    pub text: String,
    /// `text[a..]` comes from byte `b` of the decoded content, for each `(a, b)`, ascending in `a`;
    /// between two entries both advance alike. Empty: the text is the content, byte for byte.
    pub map: Vec<(u64, u64)>,
    /// Passages to index, in order, as byte ranges of `text`.
    pub chunks: Vec<Chunk>,
    /// BLAKE3 of the file's bytes (not of what a compressed file unpacks to), in hex.
    pub hash: String,
    /// Bytes read from the file.
    pub bytes: u64,
    /// Why there is more text in it than is told here, if there is.
    pub partial: Option<String>,
}

/// One passage of an extracted document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Byte range in `Extracted::text`.
    pub start: u64,
    pub end: u64,
    /// 1-based line in the decoded content.
    pub line: u32,
    /// 1-based page, slide or sheet that it begins on, in a document that has them.
    pub page: Option<u32>,
    /// Headings above it, joined by " > ".
    pub breadcrumb: String,
}
