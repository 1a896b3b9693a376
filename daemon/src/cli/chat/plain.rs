//! The plain conversation: one line after the other, questions and what the owner says of the answers. For pipes, for
//! terminals that cannot move their cursor, and for whoever wants it so. What it is told goes to the daemon.

use super::words::{self, HELP, Said};
use super::{Begin, consent};
use crate::cli::approvals::Desk;
use crate::cli::ask::{footer, stream};
use crate::cli::client::decode;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::nights;
use crate::cli::output::{Look, one_line};
use crate::cli::start::connect;
use crate::config::paths::Paths;
use crate::protocol::http::AskRequest;
use crate::protocol::learn::{
    ForgetProof, ForgetRequest, RememberRequest, SignalKept, SignalKind, SignalRequest,
};
use std::io::{self, Write};

/// A conversation under way.
pub(super) struct Talk<'a> {
    pub paths: &'a Paths,
    pub start: bool,
    pub look: Look,
    desk: Desk<'a>,
    session: Option<String>,
    /// The last question was answered, so that something can be said of the answer.
    answered: bool,
}

/// One question a line until the end of input or /quit. Gives the conversation that was open at the end.
pub(super) async fn run(
    paths: &Paths,
    start: bool,
    begin: Begin,
    out: &mut impl Write,
    look: Look,
) -> Outcome<Option<String>> {
    let desk = Desk::talking(paths, look);
    let mut talk = Talk { paths, start, look, desk, session: begin.session, answered: false };
    consent::once(&mut talk, out).await?;
    let mut first = begin.question;
    loop {
        talk.desk.news(&mut io::stderr()).await?;
        prompt(out, look)?;
        let said = match first.take() {
            Some(question) => talk.asked_already(question, out)?,
            None => match talk.line().await {
                Some(line) => words::understood(&line),
                None => break,
            },
        };
        let done = match said {
            Said::Nothing => Ok(()),
            Said::Quit => break,
            said => talk.obey(said, out).await,
        };
        match done {
            Ok(()) => {}
            // What went wrong with one line is told, and the conversation goes on.
            Err(Failure::Told { exit: Exit::Failed | Exit::Busy | Exit::Usage, message }) => {
                writeln!(io::stderr(), "familiar: {message}")?;
            }
            Err(Failure::Lost(message)) => writeln!(io::stderr(), "familiar: {message}")?,
            Err(failure) => return Err(failure),
        }
    }
    Ok(talk.session)
}

impl Talk<'_> {
    /// The next line; `None` at the end of input, or on Ctrl-C.
    pub async fn line(&mut self) -> Option<String> {
        tokio::select! {
            line = self.desk.typed() => line,
            _ = tokio::signal::ctrl_c() => None,
        }
    }

    /// A question that came with the command, shown as if it had been typed.
    fn asked_already(&self, question: String, out: &mut impl Write) -> Outcome<Said> {
        if self.look.terminal {
            writeln!(out, "{}", one_line(&question, 1000))?;
        }
        Ok(Said::Question(question))
    }

    async fn obey(&mut self, said: Said, out: &mut impl Write) -> Outcome {
        match said {
            Said::Nothing | Said::Quit => Ok(()),
            Said::Help => Ok(write!(out, "{HELP}")?),
            Said::Unknown(line) => {
                let line = one_line(&line, 60);
                writeln!(out, "`{line}` is not understood; /help tells what can be said.")?;
                Ok(writeln!(out, "A question that begins with a slash needs a space before it.")?)
            }
            Said::Good => self.signal(SignalKind::Good, None, out).await,
            Said::Bad => self.signal(SignalKind::Bad, None, out).await,
            Said::Edit(text) => self.edit(text, out).await,
            Said::Remember(text) => {
                let request = RememberRequest { text };
                connect(self.paths, self.start).await?.post("remember", &request).await?;
                Ok(writeln!(out, "Kept in mind.")?)
            }
            Said::Forget => self.forget(out).await,
            Said::New => {
                (self.session, self.answered) = (None, false);
                Ok(writeln!(out, "A new conversation.")?)
            }
            Said::Question(question) => self.question(question, out).await,
        }
    }

    /// Tells the daemon what the owner says of the last answer.
    async fn signal(&mut self, kind: SignalKind, text: Option<String>, out: &mut impl Write) -> Outcome {
        let Some(session) = self.judged() else { return nothing(out) };
        let request = SignalRequest { session, turn: None, kind, text };
        let mut client = connect(self.paths, self.start).await?;
        let kept: SignalKept = decode(client.post("signals", &request).await?)?;
        Ok(writeln!(out, "{}", one_line(&kept.note, 400))?)
    }

    /// The answer as it should have been, from this line or from the following ones.
    async fn edit(&mut self, text: String, out: &mut impl Write) -> Outcome {
        if self.judged().is_none() {
            return nothing(out);
        }
        let mut text = text;
        if text.is_empty() {
            if self.look.terminal {
                writeln!(out, "{}", self.look.dim("Say it as it should have been; an empty line ends it."))?;
            }
            while let Some(line) = self.line().await.filter(|line| !line.trim().is_empty()) {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        match text.trim() {
            "" => Ok(writeln!(out, "Nothing was changed.")?),
            text => self.signal(SignalKind::Edit, Some(text.to_owned()), out).await,
        }
    }

    /// The conversation whose last answer is on the screen.
    fn judged(&self) -> Option<String> {
        self.session.clone().filter(|_| self.answered)
    }

    async fn forget(&mut self, out: &mut impl Write) -> Outcome {
        let Some(session) = self.session.clone() else {
            return Ok(writeln!(out, "Nothing was said yet that could be forgotten.")?);
        };
        writeln!(
            out,
            "This conversation and what was learned from it would be gone, everywhere and for good."
        )?;
        write!(out, "Forget it? [y/N] ")?;
        out.flush()?;
        if !self.line().await.is_some_and(|line| words::yes(&line)) {
            return Ok(writeln!(out, "Nothing was forgotten.")?);
        }
        let request = ForgetRequest { session: Some(session), ..ForgetRequest::default() };
        let mut client = connect(self.paths, self.start).await?;
        let proof: ForgetProof = decode(client.post("forget", &request).await?)?;
        (self.session, self.answered) = (None, false);
        nights::forgotten(&proof, out)
    }

    /// One question. Ctrl-C ends the answer, and not the conversation.
    async fn question(&mut self, question: String, out: &mut impl Write) -> Outcome {
        self.answered = false;
        let answered = tokio::select! {
            answered = self.turn(question, out) => Some(answered),
            _ = tokio::signal::ctrl_c() => None,
        };
        match answered {
            None => Ok(writeln!(out, "\n{}", self.look.dim("(stopped)"))?),
            Some(done) => {
                self.answered = done.is_ok();
                done
            }
        }
    }

    async fn turn(&mut self, question: String, out: &mut impl Write) -> Outcome {
        let request = AskRequest { question, session: self.session.clone(), stream: true, no_tools: false };
        let mut client = connect(self.paths, self.start).await?;
        let events = client.events("ask", &request).await?;
        self.desk.start_anew();
        let notes = &mut io::stderr();
        let answer = stream(events, &mut self.session, out, notes, &mut self.desk, self.look).await?;
        footer(&answer, out, notes, self.look)
    }
}

fn nothing(out: &mut impl Write) -> Outcome {
    Ok(writeln!(out, "There is no answer yet to say that of: ask something first.")?)
}

fn prompt(out: &mut impl Write, look: Look) -> Outcome {
    if look.terminal {
        write!(out, "{}", look.bold("> "))?;
        out.flush()?;
    }
    Ok(())
}
