//! A plugin's own questions to the owner, in its name, on the same list as what waits for a yes.

use super::services::{Proposal, Services};
use crate::approvals::{Decision, Subject};
use crate::plugins::Calling;
use crate::policy::Effect;
use crate::protocol::plugins::{Answer, Refusal};
use crate::types::Label;

/// Longer questions, and more options, are not for people.
const LONGEST: usize = 2000;
const MOST_OPTIONS: usize = 20;

pub async fn confirm(services: &Services, calling: &Calling, question: String) -> Result<Answer, Refusal> {
    match ask(services, calling, question, Vec::new()).await? {
        Decision::Allow { .. } | Decision::Chosen(_) => Ok(Answer::Flag(true)),
        Decision::Deny(_) => Ok(Answer::Flag(false)),
        Decision::Unanswered => Err(Refusal::Unanswered),
    }
}

pub async fn choose(
    services: &Services,
    calling: &Calling,
    question: String,
    options: Vec<String>,
) -> Result<Answer, Refusal> {
    if options.is_empty() || options.len() > MOST_OPTIONS {
        return Err(Refusal::Denied(format!("a question offers 1 to {MOST_OPTIONS} options")));
    }
    match ask(services, calling, question, options).await? {
        Decision::Chosen(n) => Ok(Answer::Chosen(Some(n))),
        Decision::Allow { .. } | Decision::Deny(_) => Ok(Answer::Chosen(None)),
        Decision::Unanswered => Err(Refusal::Unanswered),
    }
}

async fn ask(
    services: &Services,
    calling: &Calling,
    question: String,
    options: Vec<String>,
) -> Result<Decision, Refusal> {
    if question.len() + options.iter().map(String::len).sum::<usize>() > LONGEST {
        return Err(Refusal::Denied(format!("a question has at most {LONGEST} bytes, its options included")));
    }
    let effect = Effect::AskOwner;
    services.permit(calling, Proposal { effect, action: String::new(), bytes: &[] }).await?;
    let about = question.clone();
    let subject = Subject::Question { question, options };
    let decision = services.ask_owner(calling, subject, about.as_bytes()).await?;
    // The answer is the owner's, to a question that the call's label covers already.
    calling.learned(&Label { private: true, ..Label::default() });
    Ok(decision)
}
