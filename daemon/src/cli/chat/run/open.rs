//! How a source is shown to the owner: a text in their editor at the line, other files with what their desktop opens them
//! with, and where there is neither, its path in words. The file is looked at, never changed.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes that are looked at to tell a text from other files.
const LOOKED_AT: u64 = 8 << 10;

/// What is done.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// A program that takes the terminal until it ends, and its arguments.
    Editor(OsString, Vec<OsString>),
    /// A program that has a window.
    Desktop(OsString, Vec<OsString>),
    Tell(String),
}

/// What of the environment decides.
#[derive(Debug, Clone, Default)]
pub struct Around {
    editor: Option<String>,
    display: bool,
}

impl Around {
    pub fn here() -> Around {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let display = set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY")).is_some();
        Around { editor: set("VISUAL").or_else(|| set("EDITOR")), display }
    }
}

/// How to show `line` (from 1) of the file at `path`.
pub fn way(path: &str, line: u32, around: &Around) -> Way {
    let start = match start_of(Path::new(path)) {
        Ok(start) => start,
        Err(error) => return Way::Tell(format!("{path}:{line} cannot be opened: {error}")),
    };
    match &around.editor {
        Some(editor) if is_text(&start) => in_editor(editor, path, line),
        _ if around.display => Way::Desktop("xdg-open".into(), vec![path.into()]),
        Some(_) => Way::Tell(format!("{path}:{line} is no text, and there is no display to open it on")),
        None => Way::Tell(format!("{path}:{line} (with $EDITOR set it would open there)")),
    }
}

/// `$EDITOR` may hold arguments of its own. Those that can begin at a line are told it in their own way.
fn in_editor(editor: &str, path: &str, line: u32) -> Way {
    let mut words = editor.split_whitespace().map(OsString::from);
    let program = words.next().unwrap_or_default();
    let mut arguments: Vec<OsString> = words.collect();
    let name = Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        "vi" | "vim" | "nvim" | "view" | "gvim" | "nano" | "pico" | "emacs" | "emacsclient" | "micro"
        | "kak" | "joe" | "jed" | "ne" | "mg" | "mcedit" | "less" | "more" | "gedit" | "kwrite" => {
            arguments.push(format!("+{line}").into());
            arguments.push(path.into());
        }
        "hx" | "helix" | "subl" | "zed" | "zeditor" => arguments.push(format!("{path}:{line}").into()),
        "code" | "codium" | "code-insiders" | "cursor" => {
            arguments.push("--goto".into());
            arguments.push(format!("{path}:{line}").into());
        }
        "kate" => arguments.extend(["--line".into(), line.to_string().into(), path.into()]),
        _ => arguments.push(path.into()),
    }
    Way::Editor(program, arguments)
}

fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    let file = File::open(path)?;
    // A pipe or a device would be waited for.
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    file.take(LOOKED_AT).read_to_end(&mut start)?;
    Ok(start)
}

/// No controls that texts do not have, and none of the containers that begin like one.
fn is_text(start: &[u8]) -> bool {
    let control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    !start.starts_with(b"%PDF-") && !start.starts_with(b"PK\x03\x04") && !start.iter().any(control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(editor: Option<&str>, display: bool) -> Around {
        Around { editor: editor.map(String::from), display }
    }

    fn arguments(editor: &str, path: &str) -> Vec<String> {
        match way(path, 7, &around(Some(editor), false)) {
            Way::Editor(program, arguments) => {
                [program].into_iter().chain(arguments).map(|word| word.into_string().unwrap()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_opens_in_the_editor_at_the_line_and_the_rest_on_the_desktop() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (text, latin) = (file("a b.md", "ä\n".as_bytes()), file("latin", b"caf\xe9\n"));
        assert_eq!(arguments("nvim -R", &text), ["nvim", "-R", "+7", &text]);
        assert_eq!(arguments("/usr/bin/nano", &latin), ["/usr/bin/nano", "+7", &latin]);
        assert_eq!(arguments("hx", &text), ["hx", &format!("{text}:7")]);
        assert_eq!(arguments("code -w", &text), ["code", "-w", "--goto", &format!("{text}:7")]);
        assert_eq!(arguments("my-own", &text), ["my-own", &text]);
        let pdf = file("a.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n");
        for (path, here) in [(&pdf, around(Some("vi"), true)), (&text, around(None, true))] {
            assert_eq!(way(path, 7, &here), Way::Desktop("xdg-open".into(), vec![path.into()]));
        }
        for (path, here) in [(&pdf, around(Some("vi"), false)), (&text, around(None, false))] {
            let Way::Tell(words) = way(path, 7, &here) else { panic!("{path}") };
            assert!(words.starts_with(&format!("{path}:7 ")), "{words}");
        }
        for odd in ["/dev/zero", "/nowhere", path_of(&folder)] {
            let told = way(odd, 7, &around(Some("vi"), true));
            assert!(matches!(&told, Way::Tell(words) if words.contains("cannot be opened")), "{told:?}");
        }
    }

    fn path_of(folder: &tempfile::TempDir) -> &str {
        folder.path().to_str().unwrap()
    }
}
