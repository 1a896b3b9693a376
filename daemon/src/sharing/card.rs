//! The model card of a shared adapter: what it is, how it was made and judged, and how it is used. Numbers, digests and
//! names of settings; no word of the owner's can come into it. Pure.

use super::manifest::Model;
use crate::learn::adapters::Description;
use crate::protocol::learn::Generation;
use serde_json::Value;
use std::fmt::Write;

/// README.md, with the head that model hubs read.
pub(super) fn card(name: &str, base: &Model, generation: &Generation, adapter: &Description) -> String {
    let Model { name: model, architecture, digest } = base;
    let mut out = format!(
        "---\nbase_model: {model}\nlibrary_name: peft\ntags: [lora, gguf, familiar]\n---\n\n# {name}\n\n\
         A LoRA adapter for `{model}`. Familiar trained it on its owner's own words, on the owner's machine. Those words, \
         and\nwhere they came from, are not in this folder. Whether the weights give any of them away was tried (see \
         Scores);\nno test can rule it out.\n\n\
         | base model | `{model}` |\n|---|---|\n\
         | architecture | {architecture} |\n\
         | BLAKE3 of its GGUF file | `{digest}` |\n\
         | rank, alpha, scale | {}, {}, {} |\n\
         | parameters | {} |\n",
        adapter.rank, adapter.alpha, adapter.scale, adapter.parameters,
    );
    learned(&mut out, generation);
    recipe(&mut out, &adapter.recipe);
    scores(&mut out, generation);
    usage(&mut out, model);
    out
}

fn learned(out: &mut String, generation: &Generation) {
    let Generation { samples, counts, tokens, scale, parent, .. } = generation;
    let from = if parent.is_some() { "on top of the generation before it" } else { "from nothing" };
    let _ = write!(
        out,
        "\n## What it learned from\n\nIt was trained {from} and saw {samples} samples in all. Its last training had \
         {tokens} tokens;\nits effect is multiplied with {scale}.\n\n"
    );
    for (kind, count) in counts {
        // Said to the owner; said here of the owner.
        let _ = writeln!(out, "- {}: {count}", plain(kind).replace("your ", "the owner's "));
    }
}

fn recipe(out: &mut String, recipe: &Value) {
    out.push_str("\n## Recipe\n\n| setting | value |\n|---|---|\n");
    let mut rows = Vec::new();
    flat(String::new(), recipe, &mut rows);
    for (setting, value) in rows {
        let _ = writeln!(out, "| {} | {} |", plain(&setting), plain(&value));
    }
}

/// `part.setting` with its value, for each.
fn flat(name: String, value: &Value, rows: &mut Vec<(String, String)>) {
    let inner = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(part, value)| flat(inner(part), value, rows)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(n, value)| flat(inner(&(n + 1).to_string()), value, rows));
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            rows.push((name, items.join(", ")));
        }
        value => rows.push((name, written(value))),
    }
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn scores(out: &mut String, generation: &Generation) {
    out.push_str(
        "\n## Scores\n\nFamiliar lets an adapter serve only after it beat what was there before and lost nothing. \
         As it told its\nowner, who is the \"you\" here:\n\n",
    );
    for check in generation.verdict["checks"].as_array().into_iter().flatten() {
        let passed = if check["passed"] == true { "passed" } else { "not passed" };
        let says = check["says"].as_str().unwrap_or_default();
        let _ = writeln!(out, "- {passed}: {}", plain(says));
    }
}

fn usage(out: &mut String, model: &str) {
    let _ = write!(
        out,
        "\n## How to use it\n\nIt fits the model file with the BLAKE3 above, and no other.\n\n\
         Familiar: `familiar learn import FOLDER` shows who signed it, and puts it beside what was learned at home.\n\n\
         llama.cpp:\n\n```sh\nllama-cli -m {model}.gguf --lora adapter.gguf\n```\n\n\
         PEFT, with the model in the form of `transformers`:\n\n```python\nfrom peft import PeftModel\n\
         from transformers import AutoModelForCausalLM\n\n\
         model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(\"PATH/OF/{model}\"), \"FOLDER\")\n```\n\n\
         `manifest.toml` holds a BLAKE3 of each file here, and `manifest.sig` its author's signature (ed25519).\n"
    );
}

/// Text on one line that cannot end its cell.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}
