//! `ask`: the answer as it is made, then what it stands on. The daemon does the thinking; leaving in the middle tells
//! it to stop.

use super::approvals::Desk;
use super::args;
use super::client::Events;
use super::exit::{Failure, Outcome};
use super::output::{self, Look, harmless, one_line};
use super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::http::{AskEvent, AskRequest, AskResponse};
use crate::types::Citation;
use std::io::{self, Write};

/// Characters of a quote that are shown.
const QUOTE: usize = 160;

/// `familiar ask`. Ctrl-C ends the process, and the closed connection the answer.
pub async fn ask(paths: &Paths, start: bool, args: args::Ask, out: &mut impl Write, look: Look) -> Outcome {
    let request = AskRequest {
        question: args.question.join(" "),
        session: args.session,
        stream: true,
        no_tools: args.no_tools,
    };
    let mut client = connect(paths, start).await?;
    let events = client.events("ask", &request).await?;
    let (mut session, mut desk, notes) = (request.session, Desk::new(paths, look), &mut io::stderr());
    if args.json {
        let answer = stream(events, &mut session, &mut io::sink(), notes, &mut desk, look).await?;
        return output::json(out, &answer);
    }
    let answer = stream(events, &mut session, out, notes, &mut desk, look).await?;
    footer(&answer, out, notes, look)
}

/// Prints a streamed answer until it is complete, and puts to the owner what it waits for. `session` is known
/// as soon as the daemon has one.
pub async fn stream(
    mut events: Events,
    session: &mut Option<String>,
    out: &mut impl Write,
    notes: &mut impl Write,
    desk: &mut Desk<'_>,
    look: Look,
) -> Outcome<AskResponse> {
    let mut printed = false;
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            line = desk.line() => {
                desk.answer(&line, notes).await?;
                continue;
            }
        };
        match event {
            Some(AskEvent::Started { session: id, .. }) => *session = Some(id),
            Some(AskEvent::Text { text }) => {
                printed |= !text.is_empty();
                write!(out, "{}", harmless(&text))?;
                out.flush()?;
            }
            Some(AskEvent::ToolCall { name, arguments }) => {
                let call = one_line(&format!("{name} {arguments}"), 200);
                writeln!(notes, "{}", look.dim(&format!("→ {call}")))?;
            }
            Some(AskEvent::Approval(approval)) => desk.ask(*approval, notes)?,
            Some(AskEvent::ApprovalEnded { id }) => desk.ended(&id, notes)?,
            Some(AskEvent::Notice(notice)) => desk.notice(&notice, notes)?,
            Some(AskEvent::Progress(report)) => {
                let far = if report.total == 0 {
                    String::new()
                } else {
                    format!("{}/{} ", report.done, report.total)
                };
                let line = one_line(&format!("{}: {far}{}", report.plugin, report.message), 200);
                writeln!(notes, "{}", look.dim(&line))?;
            }
            Some(AskEvent::Done(answer)) => {
                // Nothing streamed, for instance because the answer was made in one piece.
                let rest = if printed { "" } else { &answer.answer };
                writeln!(out, "{}", harmless(rest))?;
                // Where nothing is looked up, no event began the answer.
                *session = Some(answer.session.clone());
                return Ok(*answer);
            }
            Some(AskEvent::Error(error)) => {
                if printed {
                    writeln!(out)?;
                }
                return Err(error.into());
            }
            None => {
                return Err(Failure::Lost(
                    "the daemon ended the answer in the middle; its log tells why".into(),
                ));
            }
        }
    }
}

/// What follows the answer: citations, what was left out, and on a terminal how fast it was.
pub fn footer(answer: &AskResponse, out: &mut impl Write, notes: &mut impl Write, look: Look) -> Outcome {
    if !answer.citations.is_empty() {
        writeln!(out)?;
    }
    for citation in &answer.citations {
        writeln!(out, "{}", citation_line(citation, look))?;
    }
    for sentence in &answer.left_out {
        writeln!(notes, "note: {}", one_line(sentence, 400))?;
    }
    if look.terminal {
        let speed = format!(
            "{:.1} tokens/s, first after {} ms, {}",
            answer.timings.tokens_per_s,
            answer.timings.ttft_ms,
            harmless(&answer.model)
        );
        writeln!(out, "{}", look.dim(&speed))?;
    }
    out.flush()?;
    Ok(())
}

/// `[1] path:line  "quote…"`, with the page where there is one and a mark where the file has changed.
fn citation_line(citation: &Citation, look: Look) -> String {
    let Citation { n, line, .. } = citation;
    let path = one_line(&citation.path, 4096);
    let page = citation.page.map(|page| format!(" (page {page})")).unwrap_or_default();
    let stale =
        if citation.stale { look.yellow(" (stale: the file has changed since)") } else { String::new() };
    let quote = one_line(&citation.quote, QUOTE);
    format!("[{n}] {}{page}{stale}  \"{quote}\"", look.bold(&format!("{path}:{line}")))
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use crate::types::{Timings, Usage};
    use expect_test::expect;

    fn citation(n: u32, quote: &str) -> Citation {
        Citation {
            n,
            path: "/usr/share/doc/bash/FAQ".into(),
            start: 10,
            end: 20,
            line: 42,
            page: None,
            hash: "00".into(),
            quote: quote.into(),
            stale: false,
        }
    }

    fn answer(citations: Vec<Citation>) -> AskResponse {
        AskResponse {
            answer: "Bash is a shell [1].".into(),
            citations,
            tool_calls: vec![],
            session: "s1".into(),
            model: "ember".into(),
            adapter: None,
            usage: Usage::default(),
            timings: Timings { ttft_ms: 120, total_ms: 900, tokens_per_s: 31.26 },
            left_out: vec!["2 of 6 passages did not fit the context.".into()],
        }
    }

    fn shown(look: Look) -> String {
        let stale = Citation { stale: true, page: Some(3), ..citation(2, &"long ".repeat(60)) };
        let hostile = Citation { path: "/tmp/a\x1b[2Jb\nc".into(), ..citation(3, "x\x1b]0;title\x07y") };
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let citations = vec![citation(1, "Bash is\n  the shell"), stale, hostile];
        footer(&answer(citations), &mut out, &mut notes, look).unwrap();
        format!("{}--- notes\n{}", String::from_utf8(out).unwrap(), String::from_utf8(notes).unwrap())
    }

    #[test]
    fn citations_name_the_place_and_the_words() {
        expect![[r#"

            [1] /usr/share/doc/bash/FAQ:42  "Bash is the shell"
            [2] /usr/share/doc/bash/FAQ:42 (page 3) (stale: the file has changed since)  "long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long…"
            [3] /tmp/a�[2Jb c:42  "x�]0;title�y"
            --- notes
            note: 2 of 6 passages did not fit the context.
        "#]].assert_eq(&shown(PLAIN));
    }

    #[test]
    fn a_terminal_also_gets_the_speed() {
        let text = shown(Look { terminal: true, colour: false });
        assert!(text.contains("31.3 tokens/s, first after 120 ms, ember\n"), "{text}");
    }
}
