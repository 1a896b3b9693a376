//! One turn: the loop between the agent's actions and the rooms that carry them out.

use super::{History, Inner, SessionError};
use crate::agent::{Action, Agent, Answer, Input, Profile, ToolOutcome};
use crate::engine::{EngineError, Output};
use crate::protocol::frames::{Fault, Generate, ModelInfo};
use crate::protocol::http::{AskEvent, AskRequest, AskResponse, ErrorBody, ErrorCode, ToolCallReport};
use crate::store::Turn;
use crate::types::{Label, Passage, Role, ToolCall};
use std::collections::VecDeque;
use std::pin::pin;
use tokio::sync::mpsc;

type Events = mpsc::Sender<AskEvent>;

/// Answers one question to the end and stores the turn.
pub(super) async fn run(
    rooms: &Inner,
    session: &str,
    (history, label): History,
    request: &AskRequest,
    events: &Events,
) -> Result<AskResponse, ErrorBody> {
    let config = rooms.config.borrow().clone();
    // Held to the end, so that it is not unloaded between two generations.
    let held = rooms.engine.hold().await.map_err(|e| e.body())?;
    let model = &held.model;
    let profile = Profile::new(&config.ask, model);
    let offered = profile.tools && !request.no_tools;
    // A model that was made to quote is given its passages; a second search would only lead it astray.
    let tools = if offered { rooms.tools.specs(!model.quotes).await } else { Vec::new() };
    let spoken = history.into_iter().filter(|m| m.role != Role::Tool && m.tool_calls.is_empty()).collect();
    let mut agent = Agent::new(profile, (spoken, label), &request.question, tools);
    let mut actions = VecDeque::from(agent.step(Input::Start));
    while let Some(action) = actions.pop_front() {
        match action {
            Action::Retrieve { query, k } => {
                let passages = retrieve(rooms, &query, k).await?;
                let started = AskEvent::Started { session: session.into(), passages: passages.len() };
                send(events, started).await;
                actions.extend(agent.step(Input::Retrieved(passages)));
            }
            Action::Generate(prompt) => actions.extend(generate(rooms, &mut agent, *prompt, events).await?),
            Action::Emit(text) => send(events, AskEvent::Text { text }).await,
            Action::CallTool(call, label) => {
                send(events, AskEvent::ToolCall { name: call.name.clone(), arguments: json(&call) }).await;
                let outcome = execute(rooms, session, &call, &label, events).await;
                actions.extend(agent.step(Input::Tool(outcome)));
            }
            Action::Finish(answer) => return finish(rooms, session, request, model, *answer).await,
            Action::Fail(failure) => {
                return Err(ErrorBody { code: ErrorCode::Usage, message: failure.to_string() });
            }
        }
    }
    Err(ErrorBody { code: ErrorCode::Failed, message: "the turn ended without an answer".into() })
}

async fn retrieve(rooms: &Inner, query: &str, k: usize) -> Result<Vec<Passage>, ErrorBody> {
    let hits = rooms.index.search(query, k).await;
    let hits = hits.map_err(|e| ErrorBody { code: ErrorCode::Failed, message: e.to_string() })?;
    Ok(hits.into_iter().map(|hit| hit.passage).collect())
}

/// Runs one tool. What waits for the owner's yes meanwhile, and what they should know, goes to the asker.
async fn execute(
    rooms: &Inner,
    session: &str,
    call: &ToolCall,
    label: &Label,
    events: &Events,
) -> ToolOutcome {
    let mut watch = rooms.tools.watch(Some(session)).await;
    let mut running = pin!(rooms.tools.execute(call, session, label));
    loop {
        tokio::select! {
            biased;
            event = watch.next() => send(events, event.into()).await,
            outcome = &mut running => return outcome,
        }
    }
}

/// Runs one generation, passing its text through the agent as it comes.
async fn generate(
    rooms: &Inner,
    agent: &mut Agent,
    prompt: Generate,
    events: &Events,
) -> Result<Vec<Action>, ErrorBody> {
    let mut generation = rooms.engine.generate(prompt).await.map_err(|e| e.body())?;
    while let Some(output) = generation.next().await {
        let input = match output {
            Ok(Output::Started { .. }) => continue,
            Ok(Output::Text(text)) => Input::Text(text),
            Ok(Output::Done { finish, usage, timings }) => Input::Generated { finish, usage, timings },
            Err(EngineError::Request(Fault::PromptTooLong { tokens, limit })) => {
                Input::TooLong { tokens, limit }
            }
            Err(error) => return Err(error.body()),
        };
        let ended = !matches!(input, Input::Text(_));
        let actions = agent.step(input);
        if ended {
            return Ok(actions);
        }
        for action in actions {
            if let Action::Emit(text) = action {
                send(events, AskEvent::Text { text }).await;
            }
        }
    }
    Err(EngineError::Confused.body())
}

/// Checks every citation against the file as it is now, then stores the turn: an answer that was
/// called done survives a crash.
async fn finish(
    rooms: &Inner,
    session: &str,
    request: &AskRequest,
    model: &ModelInfo,
    mut answer: Answer,
) -> Result<AskResponse, ErrorBody> {
    for citation in &mut answer.citations {
        citation.stale = !rooms.index.verify(&citation.path, &citation.hash).await;
    }
    if answer.cut {
        answer.left_out.push("the answer stopped at its token limit ([ask] max_tokens)".into());
    }
    let tool_calls = answer.tool_calls.iter().map(|(call, status)| ToolCallReport {
        name: call.name.clone(),
        arguments: json(call),
        status: (*status).into(),
    });
    let response = AskResponse {
        tool_calls: tool_calls.collect(),
        answer: answer.text,
        citations: answer.citations,
        session: session.into(),
        model: model.name.clone(),
        adapter: model.adapter.clone(),
        usage: answer.usage,
        timings: answer.timings,
        left_out: answer.left_out,
    };
    let turn = Turn {
        question: request.question.clone(),
        steps: answer.steps,
        answer: response.answer.clone(),
        citations: response.citations.clone(),
        model: response.model.clone(),
        adapter: response.adapter.clone(),
        usage: response.usage,
        label: answer.label,
    };
    rooms.store.append_turn(session, &turn).await.map_err(|error| {
        let error = SessionError::from(error).body();
        ErrorBody { message: format!("the answer could not be stored: {}", error.message), ..error }
    })?;
    Ok(response)
}

/// A closed channel is noticed by the task that owns this turn.
async fn send(events: &Events, event: AskEvent) {
    let _ = events.send(event).await;
}

fn json(call: &ToolCall) -> serde_json::Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| call.arguments.clone().into())
}
