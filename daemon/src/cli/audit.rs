//! `audit`: the last lines of the record, and whether it is whole.

use super::args;
use super::client::decode;
use super::exit::{Exit, Failure, Outcome};
use super::output::{self, Look, count, moment, one_line, spelled_out};
use super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::approvals::{AuditLines, AuditVerdict};
use serde_json::Value;
use std::io::Write;

/// Characters of a digest that are shown.
const DIGEST: usize = 12;

pub async fn audit(
    paths: &Paths,
    start: bool,
    args: args::Audit,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let mut client = connect(paths, start).await?;
    if args.verify {
        let verdict = client.get("audit/verify").await?;
        if args.json {
            output::json(out, &verdict)?;
        }
        return verified(decode(verdict)?, args.json, out, look);
    }
    let lines = client.get(&format!("audit?n={}", args.n)).await?;
    if args.json {
        return output::json(out, &lines);
    }
    let lines: AuditLines = decode(lines)?;
    for entry in &lines.entries {
        writeln!(out, "{}", line(entry))?;
    }
    Ok(())
}

fn verified(verdict: AuditVerdict, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    if !json {
        for finding in &verdict.findings {
            writeln!(out, "{}", look.red(&one_line(finding, 400)))?;
        }
    }
    if !verdict.findings.is_empty() {
        let message = "the audit log is not as it was written";
        return if json { Err(Failure::Silent(Exit::Failed)) } else { Err(Failure::failed(message)) };
    }
    if !json {
        writeln!(out, "{}, none changed, moved or missing", count(verdict.lines, "line", "lines"))?;
    }
    Ok(())
}

/// `17  2026-11-22 10:00:00Z  egress  plugin=web-fetch …`
fn line(entry: &Value) -> String {
    let Some(fields) = entry.as_object() else {
        return format!("   ?  {}", one_line(&spelled_out(entry.as_str().unwrap_or_default()), 200));
    };
    let at = entry["at"].as_i64().unwrap_or_default() / 1000;
    let mut line = format!("{:>4}  {}  {}", entry["n"], moment(at), text(&entry["event"]));
    for (name, value) in fields {
        if !matches!(name.as_str(), "n" | "at" | "prev" | "event") && !value.is_null() {
            line.push_str(&format!("  {name}={}", text(value)));
        }
    }
    one_line(&spelled_out(&line), 600)
}

fn text(value: &Value) -> String {
    let short = |digest: &str| digest.chars().take(DIGEST).collect::<String>();
    match value {
        Value::String(text) if text.len() == 64 => short(text),
        Value::String(text) => text.clone(),
        Value::Object(trace) => {
            format!("{} bytes ({})", trace["bytes"], short(trace["blake3"].as_str().unwrap_or_default()))
        }
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_well() {
        let entry = serde_json::json!({
            "n": 7, "at": 1_709_211_909_123_i64, "prev": "0".repeat(64), "event": "egress",
            "plugin": "web-fetch", "method": "GET", "host": "example.org",
            "request": { "bytes": 31, "blake3": "ab".repeat(32) }, "allowed": "once",
        });
        assert_eq!(
            line(&entry),
            "7 2024-02-29 13:05:09Z egress plugin=web-fetch method=GET host=example.org \
             request=31 bytes (abababababab) allowed=once"
        );
        assert!(line(&"\x1b[2J torn".into()).contains("\\u{1b}"));
    }

    #[test]
    fn a_break_is_an_error_with_its_place() {
        let verdict = AuditVerdict { lines: 3, findings: vec!["line 2 was changed".into()] };
        let mut out = Vec::new();
        let failure = verified(verdict, false, &mut out, output::PLAIN).unwrap_err();
        assert_eq!((failure.code(), String::from_utf8(out).unwrap().as_str()), (1, "line 2 was changed\n"));
    }
}
