//! The owner's model at a plugin's service, within the tokens granted for a call.

use super::services::{Proposal, Services, failed};
use crate::engine::{EngineError, Output};
use crate::plugins::Calling;
use crate::policy::Effect;
use crate::protocol::frames::{Fault, Generate, Sampling};
use crate::protocol::plugins::{Answer, Refusal, TextReply, TextRequest};
use crate::types::{Finish, Message, Role, ToolChoice};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the model writes is made from what the plugin knew: the call's label covers it already.
pub async fn text(services: &Services, calling: &Calling, request: TextRequest) -> Result<Answer, Refusal> {
    let budget = &calling.tokens_left;
    let left = budget.load(Ordering::Relaxed);
    let tokens = request.max_tokens.max(1);
    if tokens > left {
        return Err(Refusal::Budget(left));
    }
    let effect = Effect::Spend { tokens, left };
    services.permit(calling, Proposal { effect, action: String::new(), bytes: &[] }).await?;
    let mut reserved = Reserved::take(budget, tokens)?;
    let mut generation = services.house.engine.generate(prompt(request, tokens)).await.map_err(refused)?;
    let mut text = String::new();
    while let Some(output) = generation.next().await {
        match output.map_err(refused)? {
            Output::Started { .. } => {}
            Output::Text(more) => text.push_str(&more),
            Output::Done { finish, usage, .. } => {
                reserved.used = usage.completion_tokens;
                return Ok(Answer::Text(TextReply {
                    text,
                    prompt_tokens: usage.prompt_tokens,
                    completion_tokens: usage.completion_tokens,
                    cut: finish == Finish::Length,
                }));
            }
        }
    }
    Err(failed("the model's answer broke off"))
}

fn prompt(request: TextRequest, tokens: u32) -> Generate {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(Message::new(Role::System, request.system));
    }
    messages.push(Message::new(Role::User, request.prompt));
    let temperature = if request.temperature.is_finite() { request.temperature.clamp(0.0, 2.0) } else { 0.0 };
    Generate {
        messages,
        tools: Vec::new(),
        tool_choice: ToolChoice::None,
        json_schema: request.schema,
        quotes: None,
        sampling: Sampling { temperature, max_tokens: tokens, ..Sampling::default() },
    }
}

fn refused(error: EngineError) -> Refusal {
    match error {
        EngineError::Request(Fault::PromptTooLong { tokens, limit }) => Refusal::TooLong(tokens, limit),
        error => failed(error),
    }
}

/// Tokens taken from a call's budget; what was not used goes back. Of a generation that broke off, all
/// count as used.
struct Reserved<'a> {
    budget: &'a AtomicU32,
    taken: u32,
    used: u32,
}

impl Reserved<'_> {
    fn take(budget: &AtomicU32, tokens: u32) -> Result<Reserved<'_>, Refusal> {
        let taken = budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(tokens))
            .map_err(Refusal::Budget)?;
        debug_assert!(taken >= tokens);
        Ok(Reserved { budget, taken: tokens, used: tokens })
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.budget.fetch_add(self.taken.saturating_sub(self.used), Ordering::Relaxed);
    }
}
