//! `plugin ...`: plugins made, tried, installed and called. Building and testing need no daemon; what is
//! installed and granted is the daemon's to keep.

pub mod args;
mod build;
mod call;
mod callable;
mod cases;
mod embedded;
mod fakes;
mod install;
mod judge;
mod new;
mod show;
mod test;

use super::exit::{Exit, Failure, Outcome};
use super::output::Look;
use crate::config::paths::Paths;
use crate::plugins::PluginsError;
use args::Plugin;
use std::io::{self, Write};
use std::path::Path;

/// Does what `plugin` was told to.
pub async fn plugin(paths: &Paths, start: bool, args: Plugin, out: &mut impl Write, look: Look) -> Outcome {
    match args {
        Plugin::New { name, language, sdk } => new::new(paths, &name, &language, sdk.as_deref(), out),
        Plugin::Build { folder, dev, json } => build::build(paths, &folder, dev, json, out, look).await,
        Plugin::Test { folder, json } => test::test(paths, &folder, json, out, look).await,
        Plugin::Install(args) => install::install(paths, start, &args, out, look).await,
        Plugin::List(json) => show::list(paths, start, json.json, out, look).await,
        Plugin::Info { name, json } => show::info(paths, start, &name, json.json, out, look).await,
        Plugin::Remove { name } => install::remove(paths, start, &name, out).await,
        Plugin::Grant(args) => install::grant(paths, start, &args, out, look).await,
        Plugin::Revoke { name, interface } => {
            install::revoke(paths, start, &name, interface.as_deref(), out, look).await
        }
        Plugin::Call { tool, arguments, json } => {
            call::call(paths, start, &tool, &arguments, json, out, look).await
        }
        Plugin::Secret { name, credential } => call::secret(paths, start, &name, &credential, out).await,
    }
}

impl From<PluginsError> for Failure {
    fn from(error: PluginsError) -> Failure {
        error.body().into()
    }
}

/// A file of the plugin's folder cannot be used.
fn file_failure(file: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Failed,
    };
    Failure::new(exit, format!("{}: {error}", file.display()))
}
