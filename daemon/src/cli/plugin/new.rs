//! `plugin new`: a folder with a plugin that builds as it is, from the templates and the SDK inside the
//! program. It writes that folder, and the SDK beside the owner's data; it asks no network.

use super::super::exit::{Exit, Failure, Outcome};
use super::{embedded, file_failure};
use crate::config::paths::Paths;
use crate::plugins::manifest::check_name;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub fn new(
    paths: &Paths,
    folder: &Path,
    language: &str,
    sdk: Option<&Path>,
    out: &mut impl Write,
) -> Outcome {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    check_name(name).map_err(|error| Failure::new(Exit::Usage, error))?;
    if fs::symlink_metadata(folder).is_ok() {
        let message = format!("{} is there already; choose another name", folder.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    let sdk = match sdk {
        Some(sdk) => fs::canonicalize(sdk).map_err(|error| file_failure(sdk, &error))?,
        None => unpack(paths)?,
    };
    let Some(sdk) = sdk.to_str().filter(|sdk| !sdk.contains(['"', '\\', '\''])) else {
        let message = format!("the SDK's path {} cannot stand in a file: use --sdk", sdk.display());
        return Err(Failure::new(Exit::Usage, message));
    };
    let module = name.replace('-', "_");
    let filled =
        |text: &str| text.replace("{{name}}", name).replace("{{crate}}", &module).replace("{{sdk}}", sdk);
    let template = format!("template/{language}/");
    for (path, bytes) in embedded::SDK {
        let Some(below) = path.strip_prefix(&template) else { continue };
        // Under its own name, cargo would take the template for a crate, and git leave it out.
        let below = below.strip_suffix(".in").unwrap_or(below).replace("gitignore", ".gitignore");
        let file = folder.join(filled(&below));
        let text = filled(&String::from_utf8_lossy(bytes));
        write(&file, text.as_bytes()).map_err(|error| file_failure(&file, &error))?;
    }
    let shown = folder.display();
    writeln!(out, "{shown} holds a plugin in {language}. Next:")?;
    writeln!(out, "  familiar plugin test {shown}")?;
    writeln!(out, "  familiar plugin build {shown}")?;
    writeln!(out, "  familiar plugin install {shown}")?;
    Ok(())
}

/// The SDK of this very program, beside the data. Plugins name it by this path, so it stays.
fn unpack(paths: &Paths) -> Outcome<PathBuf> {
    paths.create()?;
    let folder = paths.data.join("sdk").join(env!("CARGO_PKG_VERSION"));
    for (path, bytes) in embedded::SDK.iter().filter(|(path, _)| !path.starts_with("template/")) {
        let file = folder.join(path);
        // What is there and the same is left alone, so that cargo builds nothing again.
        if fs::read(&file).is_ok_and(|there| there == *bytes) {
            continue;
        }
        write(&file, bytes).map_err(|error| file_failure(&file, &error))?;
    }
    Ok(folder)
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::manifest::Manifest;

    #[test]
    fn a_new_plugin_is_whole_in_every_language() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(&home.path().join("home"));
        for language in embedded::languages() {
            let folder = home.path().join(format!("my-{language}"));
            new(&paths, &folder, language, None, &mut Vec::new()).unwrap();
            let manifest = Manifest::parse(&fs::read_to_string(folder.join("plugin.toml")).unwrap()).unwrap();
            assert!(manifest.name == format!("my-{language}") && manifest.build.is_some());
            let again = new(&paths, &folder, language, None, &mut Vec::new()).unwrap_err();
            assert!(again.to_string().contains("there already"), "{again}");
        }
        let sdk = paths.data.join("sdk").join(env!("CARGO_PKG_VERSION"));
        assert!(sdk.join("macros/Cargo.toml").exists() && sdk.join("wit/plugin.wit").exists());
        let bad = new(&paths, &home.path().join("Bad__Name"), "rust", None, &mut Vec::new()).unwrap_err();
        assert_eq!(bad.code(), 2);
    }
}
