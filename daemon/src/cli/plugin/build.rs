//! `plugin build`: runs the plugin's own build command, asks the component for its tools, and writes the
//! package. It runs the author's command as the author; the component it makes runs only in the sandbox.

use super::super::exit::{Exit, Failure, Outcome};
use super::super::output::{self, Look, bytes, one_line};
use super::{callable, file_failure};
use crate::config::paths::Paths;
use crate::keys;
use crate::plugins::Runtime;
use crate::plugins::manifest::{Build, Manifest};
use crate::plugins::package::{self, Package};
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package as it was made, not written yet.
pub struct Built {
    pub bytes: Vec<u8>,
    pub package: Package,
    /// What the author should look at, a sentence each.
    pub warnings: Vec<String>,
}

pub async fn build(
    paths: &Paths,
    folder: &Path,
    dev: bool,
    json: bool,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let key = match dev {
        true => None,
        false => Some(keys::load_or_make(&paths.author_key())?),
    };
    let runtime = runtime(paths)?;
    let built = make(paths, folder, key.as_ref().map(|(key, _)| key), &runtime).await;
    runtime.stop().await;
    let Built { bytes, package, warnings } = built?;
    let file = folder.join(file_name(&package.manifest));
    replace(&file, &bytes).map_err(|error| file_failure(&file, &error))?;
    if json {
        let tools: Vec<&str> = package.tools.iter().map(|tool| tool.name.as_str()).collect();
        let author = package.author.map(|author| author.fingerprint());
        return output::json(
            out,
            &json!({"file": file, "name": package.manifest.name, "version": package.manifest.version.to_string(),
                "digest": package.digest, "size_bytes": package.size, "author": author, "tools": tools,
                "warnings": warnings}),
        );
    }
    if matches!(key, Some((_, true))) {
        let file = paths.author_key();
        writeln!(out, "Your author's key is made: {}. Keep a copy of it where it is safe.", file.display())?;
    }
    summary(&file, &package, out)?;
    super::super::index::warnings(&warnings, out, look)
}

fn summary(file: &Path, package: &Package, out: &mut impl Write) -> Outcome {
    writeln!(out, "{}, {}", file.display(), bytes(package.size))?;
    writeln!(out, "digest  {}", package.digest)?;
    match package.author {
        Some(author) => writeln!(out, "author  {}", author.fingerprint())?,
        None => writeln!(out, "author  unsigned: only `familiar plugin install --dev` takes it")?,
    }
    for tool in &package.tools {
        let name = crate::plugins::full_name(&package.manifest.name, &tool.name);
        writeln!(out, "tool    {name}  {}", one_line(&tool.description, 100))?;
    }
    writeln!(out, "`familiar plugin install {}` installs it.", file.display())?;
    Ok(())
}

/// Builds, describes and packs, signed if there is a key.
pub async fn make(
    paths: &Paths,
    folder: &Path,
    key: Option<&ed25519_dalek::SigningKey>,
    runtime: &Runtime,
) -> Outcome<Built> {
    let (text, manifest) = manifest(folder)?;
    let Some(build) = &manifest.build else {
        let what = "plugin.toml has no [build] with a `command` and the `component` that it makes: add it";
        return Err(Failure::new(Exit::Usage, what));
    };
    run(folder, build)?;
    let component = component(folder, build)?;
    let tools = match &build.tools {
        Some(tools) => {
            let file = folder.join(tools);
            fs::read_to_string(&file).map_err(|error| file_failure(&file, &error))?
        }
        None => {
            let held = Held::new(paths, &component)?;
            runtime.describe(&held.file, &held.digest).await.map_err(|error| {
                let way_out = "the SDKs do it, or name a file in [build] tools";
                Failure::failed(format!("the component cannot be asked for its tools: {error} ({way_out})"))
            })?
        }
    };
    let packed = package::pack(&component, &text, &tools, key);
    let bytes = packed.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let package = package::read(&bytes).map_err(|error| Failure::failed(error.to_string()))?;
    callable::check(package.tools.iter().map(|tool| (tool.name.as_str(), &tool.parameters)))?;
    let held = Held::new(paths, &bytes)?;
    let loaded = runtime.load(&held.file, &held.digest).await;
    let loaded = loaded.map_err(|error| Failure::failed(error.to_string()))?;
    let wanted = |import: &&String| manifest.whys.iter().any(|(interface, _)| interface.as_str() == *import);
    let warnings = loaded.imports.iter().filter(|import| !wanted(import)).map(|import| {
        format!("the component uses `{import}`, and plugin.toml does not ask for it: [wants.{import}]")
    });
    Ok(Built { warnings: warnings.collect(), bytes, package })
}

/// A runtime of one's own: the worker is this very program.
pub fn runtime(paths: &Paths) -> Outcome<Runtime> {
    paths.create()?;
    Ok(Runtime::new(paths.compiled(), None))
}

pub fn manifest(folder: &Path) -> Outcome<(String, Manifest)> {
    let file = folder.join("plugin.toml");
    let text = fs::read_to_string(&file).map_err(|error| file_failure(&file, &error))?;
    match Manifest::parse(&text) {
        Ok(manifest) => Ok((text, manifest)),
        Err(error) => {
            let (line, what) = (error.line, error.what);
            Err(Failure::new(Exit::Usage, format!("{}:{line}: {what}", file.display())))
        }
    }
}

pub fn file_name(manifest: &Manifest) -> String {
    format!("{}-{}.wasm", manifest.name, manifest.version)
}

/// Bytes in a file of the owner's alone, for as long as this lives.
pub struct Held {
    pub file: PathBuf,
    pub digest: String,
}

impl Held {
    pub fn new(paths: &Paths, bytes: &[u8]) -> Outcome<Held> {
        let digest = blake3::hash(bytes).to_hex().to_string();
        let file = paths.runtime.join(format!("built-{}-{}.wasm", std::process::id(), &digest[..16]));
        fs::write(&file, bytes).map_err(|error| file_failure(&file, &error))?;
        Ok(Held { file, digest })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Left behind, it only takes room until the next login.
        let _ = fs::remove_file(&self.file);
    }
}

/// What the command prints goes to standard error: standard output is ours.
fn run(folder: &Path, build: &Build) -> Outcome {
    let [program, arguments @ ..] = &build.command[..] else { return Ok(()) };
    let shown = one_line(&build.command.join(" "), 200);
    let stdout = io::stderr().as_fd().try_clone_to_owned()?;
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(stdout)
        .status()
        .map_err(|error| Failure::failed(format!("`{shown}` cannot be run: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::failed(format!("`{shown}` failed ({status})"))) }
}

/// The component, made of a core module if the language leaves one.
fn component(folder: &Path, build: &Build) -> Outcome<Vec<u8>> {
    let file = locate(folder, build)?;
    let bytes = fs::read(&file).map_err(|error| file_failure(&file, &error))?;
    if !bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Ok(bytes);
    }
    encode(bytes).map_err(|error| {
        let way_out = "build it freestanding, or for wasm32-wasip2";
        Failure::failed(format!("{} makes no component: {error:#} ({way_out})", file.display()))
    })
}

/// A module of plain clang does not say for which world it is; it is ours.
fn encode(mut module: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let (stripped, _) = wit_component::metadata::decode(&module)?;
    if stripped.is_none() {
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str("plugin.wit", WORLD)?;
        let world = resolve.select_world(&[package], Some("plugin"))?;
        wit_component::embed_component_metadata(
            &mut module,
            &resolve,
            world,
            wit_component::StringEncoding::UTF8,
        )?;
    }
    wit_component::ComponentEncoder::default().module(&module)?.validate(true).encode()
}

const WORLD: &str = include_str!("../../../../sdk/wit/plugin.wit");

/// Cargo's target folder may lie elsewhere: in a workspace, or where its settings say.
fn locate(folder: &Path, build: &Build) -> Outcome<PathBuf> {
    let cargo = build.command.first().is_some_and(|program| program == "cargo");
    match build.component.strip_prefix("target") {
        Ok(below) if cargo => Ok(target_folder(folder)?.join(below)),
        _ => Ok(folder.join(&build.component)),
    }
}

fn target_folder(folder: &Path) -> Outcome<PathBuf> {
    let failed = |why: String| Failure::failed(format!("`cargo metadata` failed: {why}"));
    let told = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(folder)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !told.status.success() {
        return Err(failed(String::from_utf8_lossy(&told.stderr).trim().to_owned()));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&told.stdout).map_err(|error| failed(error.to_string()))?;
    let target = metadata["target_directory"].as_str().ok_or_else(|| failed("no target folder".into()))?;
    Ok(target.into())
}

/// As a whole: a daemon with `--dev` looks at it at any moment.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("wasm.new");
    fs::write(&new, bytes)?;
    fs::rename(&new, file)
}
