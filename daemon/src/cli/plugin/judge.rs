//! What a case expects beside what the call did, in words. Pure.

use super::cases::{Expect, Kind, Source};
use super::fakes::Done;
use crate::protocol::plugins::{LogLine, Output, ToolError};
use std::fmt::Debug;

/// Every way in which the call was not as expected; none: it passed.
pub fn judge(
    expect: &Expect,
    result: &Result<Output, ToolError>,
    log: &[LogLine],
    done: &Done,
) -> Vec<String> {
    let mut wrong = Vec::new();
    match (result, expect.error) {
        (Ok(output), None) => judge_output(expect, output, &mut wrong),
        (Ok(output), Some(kind)) => {
            wrong.push(format!("expected the error {}, got the text {:?}", word(kind), output.text));
        }
        (Err(error), None) => wrong.push(format!("expected no error, got {}: {error}", word(kind_of(error)))),
        (Err(error), Some(kind)) => {
            if kind_of(error) != kind {
                wrong.push(format!(
                    "expected the error {}, got {}: {error}",
                    word(kind),
                    word(kind_of(error))
                ));
            }
            parts("the error", &expect.contains, &error.to_string(), &mut wrong);
        }
    }
    let kv = expect.kv.as_ref().map(|kv| kv.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>());
    let kept = done.kv.iter().map(|(k, v)| (k.clone(), String::from_utf8_lossy(v).into_owned()));
    list("kv", kv.as_deref(), &kept.collect::<Vec<_>>(), &mut wrong);
    list("notices", expect.notices.as_deref(), &done.notices, &mut wrong);
    list("requests", expect.requests.as_deref(), &done.requests, &mut wrong);
    list("questions", expect.questions.as_deref(), &done.questions, &mut wrong);
    if let Some(prompts) = &expect.prompts {
        let same = prompts.len() == done.prompts.len()
            && prompts.iter().zip(&done.prompts).all(|(part, prompt)| prompt.contains(part));
        if !same {
            wrong.push(difference("prompts", &lines(prompts), &lines(&done.prompts)));
        }
    }
    for part in &expect.log {
        if !log.iter().any(|line| line.message.contains(part)) {
            let lines: Vec<&str> = log.iter().map(|line| line.message.as_str()).collect();
            wrong.push(format!("no log line has {part:?}; the log is {lines:?}"));
        }
    }
    wrong
}

fn judge_output(expect: &Expect, output: &Output, wrong: &mut Vec<String>) {
    if let Some(text) = expect.text.as_ref().filter(|text| **text != output.text) {
        wrong.push(difference("text", text, &output.text));
    }
    parts("the text", &expect.contains, &output.text, wrong);
    if let Some(expected) = &expect.data {
        let got = output.data.as_deref().map(serde_json::from_str::<serde_json::Value>);
        match got {
            None => wrong.push(format!("expected data, got none: {expected}")),
            Some(Err(error)) => wrong.push(format!("the data is not JSON: {error}")),
            Some(Ok(got)) if got != *expected => {
                wrong.push(difference("data", &format!("{expected:#}"), &format!("{got:#}")));
            }
            Some(Ok(_)) => {}
        }
    }
    let got = output.sources.iter();
    let got = got.map(|source| Source { path: source.path.clone(), start: source.start, end: source.end });
    list("sources", expect.sources.as_deref(), &got.collect::<Vec<_>>(), wrong);
}

fn parts(of: &str, expected: &[String], text: &str, wrong: &mut Vec<String>) {
    for part in expected.iter().filter(|part| !text.contains(part.as_str())) {
        wrong.push(format!("{of} has no {part:?}; it is {text:?}"));
    }
}

fn list<T: PartialEq + Debug>(name: &str, expected: Option<&[T]>, got: &[T], wrong: &mut Vec<String>) {
    if let Some(expected) = expected.filter(|expected| *expected != got) {
        wrong.push(difference(name, &lines(expected), &lines(got)));
    }
}

fn lines<T: Debug>(items: &[T]) -> String {
    items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join("\n")
}

fn kind_of(error: &ToolError) -> Kind {
    match error {
        ToolError::InvalidArguments(_) => Kind::InvalidArguments,
        ToolError::NotFound(_) => Kind::NotFound,
        ToolError::Denied(_) => Kind::Denied,
        ToolError::Unavailable(_) => Kind::Unavailable,
        ToolError::Failed(_) => Kind::Failed,
        ToolError::Stopped(_) => Kind::Stopped,
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidArguments => "invalid-arguments",
        Kind::NotFound => "not-found",
        Kind::Denied => "denied",
        Kind::Unavailable => "unavailable",
        Kind::Failed => "failed",
        Kind::Stopped => "stopped",
    }
}

/// Lines that are only expected after `-`, lines that only came after `+`, by the longest common
/// subsequence.
fn difference(what: &str, expected: &str, got: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    // Of the rest of each from there on.
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = match a[i] == b[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = vec![format!("{what} differs (- expected, + got):")];
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push(format!("    {}", a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && common[i + 1][j] >= common[i][j + 1] {
            out.push(format!("  - {}", a[i]));
            i += 1;
        } else {
            out.push(format!("  + {}", b[j]));
            j += 1;
        }
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn output(text: &str) -> Result<Output, ToolError> {
        Ok(Output { text: text.into(), data: Some("{\"n\": 1}".into()), sources: vec![] })
    }

    #[test]
    fn what_is_not_named_is_not_looked_at() {
        assert!(judge(&Expect::default(), &output("x"), &[], &Done::default()).is_empty());
        let error = Err(ToolError::NotFound("no note".into()));
        assert_eq!(judge(&Expect::default(), &error, &[], &Done::default()).len(), 1);
        let expected =
            Expect { error: Some(Kind::NotFound), contains: vec!["no note".into()], ..Expect::default() };
        assert!(judge(&expected, &error, &[], &Done::default()).is_empty());
        assert_eq!(judge(&expected, &output("x"), &[], &Done::default()).len(), 1);
    }

    #[test]
    fn differences_are_shown_line_by_line() {
        let expected = Expect {
            text: Some("one\ntwo\nthree".into()),
            contains: vec!["four".into()],
            data: Some(json!({"n": 2})),
            kv: Some([("a".into(), "b".into())].into()),
            questions: Some(vec![]),
            log: vec!["seen".into()],
            ..Expect::default()
        };
        let done = Done { questions: vec!["Sure?".into()], ..Done::default() };
        let wrong = judge(&expected, &output("one\nthree\nmore"), &[], &done);
        expect![[r#"
            text differs (- expected, + got):
                one
              - two
                three
              + more
            the text has no "four"; it is "one\nthree\nmore"
            data differs (- expected, + got):
                {
              -   "n": 2
              +   "n": 1
                }
            kv differs (- expected, + got):
              - ("a", "b")
            questions differs (- expected, + got):
              + "Sure?"
            no log line has "seen"; the log is []"#]]
        .assert_eq(&wrong.join("\n"));
    }
}
