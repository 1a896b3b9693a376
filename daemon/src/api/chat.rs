//! `/v1/chat/completions` and `/v1/models`: OpenAI's door to the model in use. It asks the engine
//! alone; sessions, retrieval and Familiar's own tools are behind `/familiar/v1/ask`.

use super::body::{BodyError, JsonBody};
use super::error::{Failure, OpenAiError};
use super::openai::{
    Answer, CalledFunction, ChatChunk, ChatCompletion, ChatRequest, ChatToolCall, Choice, ChunkChoice, Delta,
    ErrorReply, Model, ModelList, finish_reason,
};
use super::{Door, join};
use crate::agent::toolcall::{Piece, Splitter};
use crate::protocol::frames::{Event, ModelInfo, Reply};
use crate::protocol::http::ErrorCode;
use crate::types::{Finish, ToolChoice, Usage};
use crate::worker::Call;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Answers a conversation, at once or as server-sent events.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = ChatRequest, responses(
    (status = 200, content((ChatCompletion = "application/json"), (ChatChunk = "text/event-stream"))),
    (status = "default", body = ErrorReply)
))]
pub async fn complete(
    State(door): State<Door>,
    body: Result<JsonBody<ChatRequest>, BodyError>,
) -> Result<Response, OpenAiError> {
    let JsonBody(request) = body?;
    let ask = door.handles.config.borrow().ask.clone();
    let generate = request.generate(&ask, fresh() as u32)?;
    check_model(&door, &request.model).await?;
    let info = join::model_info(&door.handles).await?;
    let calls_tools = !generate.tools.is_empty() && generate.tool_choice != ToolChoice::None;
    if calls_tools && !info.tools {
        return Err(no_tools(&info));
    }
    let splitter = calls_tools.then(|| Splitter::new(info.tool_format));
    let mut call = join::generate(&door.handles, generate).await?;
    // Until the first event a failure still has a status of its own, streamed or not.
    let first = call.event().await;
    if first.is_none() {
        return Ok(Json(Completion::new(request.model, splitter).all(call, None).await?).into_response());
    }
    let usage = request.wants_usage();
    let streams = request.streams();
    let completion = Completion::new(request.model, splitter);
    if streams {
        return Ok(Sse::new(completion.stream(call, first, usage))
            .keep_alive(KeepAlive::new())
            .into_response());
    }
    Ok(Json(completion.all(call, first).await?).into_response())
}

/// The models that may be named in a request.
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses(
    (status = 200, body = ModelList),
    (status = "default", body = ErrorReply)
))]
pub async fn models(State(door): State<Door>) -> Result<Json<ModelList>, OpenAiError> {
    let data = join::models(&door.handles).await?.into_iter().map(|entry| listed(entry.name)).collect();
    Ok(Json(ModelList { object: "list", data }))
}

/// One of the models.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "openai", params(("id" = String, Path)), responses(
    (status = 200, body = Model),
    (status = "default", body = ErrorReply)
))]
pub async fn model(State(door): State<Door>, Path(id): Path<String>) -> Result<Json<Model>, OpenAiError> {
    let models = join::models(&door.handles).await?;
    if models.iter().any(|entry| entry.name == id) { Ok(Json(listed(id))) } else { Err(unknown_model(&id)) }
}

fn listed(id: String) -> Model {
    Model { id, object: "model", created: 0, owned_by: "familiar" }
}

/// To answer as a model other than the one that was named would be a lie, and to change the model in
/// use is the owner's decision.
async fn check_model(door: &Door, name: &str) -> Result<(), OpenAiError> {
    let in_use = door.handles.config.borrow().model.name.clone();
    if name == in_use {
        return Ok(());
    }
    if !join::models(&door.handles).await?.iter().any(|entry| entry.name == name) {
        return Err(unknown_model(name));
    }
    let message =
        format!("the model in use is `{in_use}`: ask for that one, or run `familiar model use {name}` first");
    Err(OpenAiError::new(StatusCode::BAD_REQUEST, Some("model_not_in_use"), Some("model".into()), message))
}

fn unknown_model(name: &str) -> OpenAiError {
    let message = format!("the model `{name}` does not exist: /v1/models lists those that do");
    OpenAiError::new(StatusCode::NOT_FOUND, Some("model_not_found"), Some("model".into()), message)
}

fn no_tools(info: &ModelInfo) -> OpenAiError {
    let message = format!("the model {} has no way to call tools: leave tools out", info.name);
    OpenAiError::new(StatusCode::BAD_REQUEST, Some("unsupported_value"), Some("tools".into()), message)
}

/// A number that this process has not given out before, and most likely no earlier one either.
fn fresh() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    now.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An answer on its way to one client.
struct Completion {
    id: String,
    created: i64,
    model: String,
    /// Only where tools were offered: other answers are passed on to the letter.
    splitter: Option<Splitter>,
    calls: usize,
}

impl Completion {
    fn new(model: String, splitter: Option<Splitter>) -> Self {
        let number = fresh();
        let created = (number / 1_000_000_000) as i64;
        Completion { id: format!("chatcmpl-{number:016x}"), created, model, splitter, calls: 0 }
    }

    /// The whole answer, once it is there.
    async fn all(mut self, mut call: Call, first: Option<Event>) -> Result<ChatCompletion, Failure> {
        let mut pieces = Vec::new();
        let mut event = first;
        while let Some(happened) = event {
            pieces.extend(self.split(happened));
            event = call.event().await;
        }
        let (finish, usage) = end(call).await?;
        pieces.extend(self.rest());
        let mut content = String::new();
        let mut tool_calls = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => content.push_str(&text),
                Piece::Call { name, arguments_json } => tool_calls.push(self.tool_call(name, arguments_json)),
            }
        }
        for call in &mut tool_calls {
            call.index = None;
        }
        let finish_reason = finish_reason(finish, !tool_calls.is_empty());
        let content = (tool_calls.is_empty() || !content.is_empty()).then_some(content);
        let message = Answer { role: "assistant", content, refusal: None, tool_calls };
        let choices = vec![Choice { index: 0, message, finish_reason, logprobs: None }];
        let (id, created, model) = (self.id, self.created, self.model);
        Ok(ChatCompletion { id, object: "chat.completion", created, model, choices, usage: usage.into() })
    }

    /// The answer as it comes. A client that leaves drops this, and that cancels the generation.
    fn stream(
        mut self,
        mut call: Call,
        first: Option<Event>,
        wants_usage: bool,
    ) -> impl Stream<Item = Result<sse::Event, axum::Error>> {
        async_stream::stream! {
            yield self.chunk(Delta { role: Some("assistant"), content: Some(String::new()), ..Delta::default() }, None);
            let mut event = first;
            while let Some(happened) = event {
                for piece in self.split(happened) {
                    yield self.piece(piece);
                }
                event = call.event().await;
            }
            let (finish, usage) = match end(call).await {
                Ok(ended) => ended,
                Err(failure) => {
                    yield sse::Event::default().json_data(OpenAiError::from(failure).into_reply());
                    return;
                }
            };
            for piece in self.rest() {
                yield self.piece(piece);
            }
            yield self.chunk(Delta::default(), Some(finish_reason(finish, self.calls > 0)));
            if wants_usage {
                yield sse::Event::default().json_data(ChatChunk { usage: Some(usage.into()), ..self.empty_chunk() });
            }
            yield Ok(sse::Event::default().data("[DONE]"));
        }
    }

    fn split(&mut self, event: Event) -> Vec<Piece> {
        match (event, &mut self.splitter) {
            (Event::Text(text), Some(splitter)) => splitter.push(&text),
            (Event::Text(text), None) => vec![Piece::Text(text)],
            (Event::Started { .. } | Event::Progress { .. }, _) => Vec::new(),
        }
    }

    fn rest(&mut self) -> Vec<Piece> {
        self.splitter.take().map(Splitter::finish).unwrap_or_default()
    }

    fn piece(&mut self, piece: Piece) -> Result<sse::Event, axum::Error> {
        let delta = match piece {
            Piece::Text(text) => Delta { content: Some(text), ..Delta::default() },
            Piece::Call { name, arguments_json } => {
                Delta { tool_calls: vec![self.tool_call(name, arguments_json)], ..Delta::default() }
            }
        };
        self.chunk(delta, None)
    }

    fn tool_call(&mut self, name: String, arguments: String) -> ChatToolCall {
        let index = Some(self.calls);
        self.calls += 1;
        let id = format!("call_{:016x}", fresh());
        ChatToolCall { index, id, kind: "function".into(), function: CalledFunction { name, arguments } }
    }

    fn chunk(&self, delta: Delta, finish_reason: Option<&'static str>) -> Result<sse::Event, axum::Error> {
        let choices = vec![ChunkChoice { index: 0, delta, finish_reason, logprobs: None }];
        sse::Event::default().json_data(ChatChunk { choices, ..self.empty_chunk() })
    }

    fn empty_chunk(&self) -> ChatChunk {
        ChatChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model.clone(),
            choices: Vec::new(),
            usage: None,
        }
    }
}

/// How a generation ended, once its events are read.
async fn end(call: Call) -> Result<(Finish, Usage), Failure> {
    match call.reply().await? {
        Reply::Generated { finish: Finish::Cancelled, .. } => {
            Err(Failure::new(ErrorCode::Busy, "the answer was cancelled: ask again"))
        }
        Reply::Generated { finish, usage, .. } => Ok((finish, usage)),
        _ => {
            Err(Failure::new(ErrorCode::Failed, "the engine answered something else than what it was asked"))
        }
    }
}
