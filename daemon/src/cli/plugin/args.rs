//! `familiar plugin` as people type it. Declarations only.

use super::super::args::Json;
use super::embedded;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// Make the folder of a new plugin, ready to build
    New {
        /// What it is called: a-z, 0-9 and `-`; the folder is called so, too
        name: PathBuf,
        /// What it is written in
        #[arg(long, default_value = "rust", value_parser = PossibleValuesParser::new(embedded::languages()))]
        language: String,
        /// Use the SDK in this folder instead of the one in the program
        #[arg(long, value_name = "FOLDER")]
        sdk: Option<PathBuf>,
    },
    /// Build a plugin into a package, and sign it
    Build {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Leave it unsigned; only `install --dev` takes it
        #[arg(long)]
        dev: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build a plugin and run the cases in its `tests`, in the daemon's sandbox; needs no daemon
    Test {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Install a package, once you have seen what it asks for
    Install(Install),
    /// List the installed plugins
    List(Json),
    /// Show one plugin: what it asks for, why, and what it may do
    Info {
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Forget a plugin, its credentials and all that it kept
    Remove { name: String },
    /// Say yes to what a plugin asks for, or to a part of it
    Grant(Grant),
    /// Take one grant back, or all of them
    Revoke { name: String, interface: Option<String> },
    /// Call a tool by hand
    Call {
        /// Such as `notes__add`
        tool: String,
        /// The arguments, a JSON object; `-` reads them from standard input
        #[arg(default_value = "{}", value_name = "JSON")]
        arguments: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep a credential that a plugin's requests need; the value is read from standard input
    Secret { name: String, credential: String },
}

#[derive(Debug, Args)]
pub struct Install {
    /// A package, or the folder of a plugin that was built
    pub package: PathBuf,
    /// Take it unsigned, and use a rebuilt one from then on without asking, unless it asks for more
    #[arg(long)]
    pub dev: bool,
    /// Grant all that it asks for, without a question
    #[arg(long)]
    pub yes: bool,
    /// Take it although another author signed the earlier ones of its name
    #[arg(long)]
    pub new_author: bool,
}

#[derive(Debug, Args)]
pub struct Grant {
    pub name: String,
    /// Such as `http`; without one, all that it asks for
    pub interface: Option<String>,
    /// search: only below these folders
    #[arg(long, num_args = 1.., value_name = "PATH", requires = "interface")]
    pub paths: Vec<PathBuf>,
    /// http: only these hosts
    #[arg(long, num_args = 1.., value_name = "HOST", requires = "interface")]
    pub hosts: Vec<String>,
    /// http: only these methods
    #[arg(long, num_args = 1.., value_name = "METHOD", requires = "interface")]
    pub methods: Vec<String>,
    /// kv: only this many bytes
    #[arg(long, value_name = "BYTES", requires = "interface")]
    pub quota: Option<u64>,
    /// generate: only this many tokens a call
    #[arg(long, value_name = "N", requires = "interface")]
    pub tokens: Option<u32>,
}
