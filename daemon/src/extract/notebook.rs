//! Jupyter notebooks: their cells one after the other, Markdown with its headings, code, and the text of
//! what the code printed. Pictures and other output are left out; nothing is run.

use super::draft::{Draft, Unread};
use super::outline::{self, clip};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of one output that are read.
const OUTPUT: usize = 4000;

#[derive(Deserialize)]
struct Notebook {
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    #[serde(default)]
    cell_type: String,
    #[serde(default)]
    source: Value,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Default, Deserialize)]
struct Output {
    #[serde(default)]
    text: Value,
    #[serde(default)]
    data: Data,
    #[serde(default)]
    evalue: String,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default, rename = "text/plain")]
    text: Value,
}

/// Text, whole or as a list of lines.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// Whether a JSON text is a notebook.
pub(super) fn is_notebook(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains("\"nbformat\"") && text.contains("\"cells\"")
}

pub(super) fn read(text: &str, draft: &mut Draft) -> Result<(), Unread> {
    let notebook: Notebook =
        serde_json::from_str(text).map_err(|_| Unread::Damaged("notebook", "its JSON cannot be read"))?;
    for cell in &notebook.cells {
        let source = text_of(&cell.source);
        if cell.cell_type == "markdown" {
            draft.append(&source, &outline::markdown(&source), 0);
        } else {
            draft.paragraph(&source);
        }
        for output in &cell.outputs {
            for printed in [text_of(&output.text), text_of(&output.data.text), output.evalue.clone()] {
                draft.paragraph(clip(&printed, OUTPUT));
            }
        }
    }
    Ok(())
}
