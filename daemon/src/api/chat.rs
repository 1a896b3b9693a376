//! `/v1/chat/completions` and `/v1/models`: OpenAI's door to the model in use. It asks the engine
//! alone; sessions, retrieval and Familiar's own tools are behind `/familiar/v1/ask`.

use super::Door;
use super::body::{BodyError, JsonBody};
use super::error::{Failure, OpenAiError};
use super::openai::{
    Answer, CalledFunction, ChatChunk, ChatCompletion, ChatRequest, ChatToolCall, Choice, ChunkChoice, Delta,
    ErrorReply, Model, ModelList, finish_reason,
};
use crate::agent::toolcall::{Piece, Splitter};
use crate::doors;
use crate::engine::Output;
use crate::protocol::frames::ModelInfo;
use crate::protocol::http::ErrorCode;
use crate::types::{Finish, ToolChoice};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use std::pin::pin;
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
    let held = doors::hold_model(&door.handles).await?;
    let info = &held.model;
    let calls_tools = !generate.tools.is_empty() && generate.tool_choice != ToolChoice::None;
    if calls_tools && !info.tools {
        return Err(no_tools(info));
    }
    let splitter = calls_tools.then(|| Splitter::new(info.tool_format));
    let mut outputs = Box::pin(doors::generate(&door.handles, generate).await?.map_err(Failure::from));
    // Until the first output a failure still has a status of its own, streamed or not.
    let first = outputs.next().await.transpose()?;
    let outputs = stream::iter(first.map(Ok)).chain(outputs);
    let completion = Completion::new(request.model.clone(), splitter);
    if request.streams() {
        let events = completion.stream(outputs, request.wants_usage());
        return Ok(Sse::new(events).keep_alive(KeepAlive::new()).into_response());
    }
    Ok(Json(completion.all(outputs).await?).into_response())
}

/// The models that may be named in a request.
#[utoipa::path(get, path = "/v1/models", operation_id = "openai_models", tag = "openai", responses(
    (status = 200, body = ModelList),
    (status = "default", body = ErrorReply)
))]
pub async fn models(State(door): State<Door>) -> Result<Json<ModelList>, OpenAiError> {
    let data = doors::models(&door.handles).await?.into_iter().map(|entry| listed(entry.name)).collect();
    Ok(Json(ModelList { object: "list", data }))
}

/// One of the models.
#[utoipa::path(get, path = "/v1/models/{id}", operation_id = "openai_model", tag = "openai", params(("id" = String, Path)), responses(
    (status = 200, body = Model),
    (status = "default", body = ErrorReply)
))]
pub async fn model(State(door): State<Door>, Path(id): Path<String>) -> Result<Json<Model>, OpenAiError> {
    let models = doors::models(&door.handles).await?;
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
    if !doors::models(&door.handles).await?.iter().any(|entry| entry.name == name) {
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
    async fn all(
        mut self,
        outputs: impl Stream<Item = Result<Output, Failure>>,
    ) -> Result<ChatCompletion, Failure> {
        let mut outputs = pin!(outputs);
        let mut pieces = Vec::new();
        let (finish, usage) = loop {
            match outputs.next().await.unwrap_or_else(|| Err(broken_off()))? {
                Output::Started { .. } => {}
                Output::Text(text) => pieces.extend(self.split(text)),
                Output::Done { finish, usage, .. } => break (whole(finish)?, usage),
            }
        };
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
        outputs: impl Stream<Item = Result<Output, Failure>>,
        wants_usage: bool,
    ) -> impl Stream<Item = Result<sse::Event, axum::Error>> {
        async_stream::stream! {
            let mut outputs = pin!(outputs);
            yield self.chunk(Delta { role: Some("assistant"), content: Some(String::new()), ..Delta::default() }, None);
            let ended = loop {
                match outputs.next().await.unwrap_or_else(|| Err(broken_off())) {
                    Ok(Output::Started { .. }) => {}
                    Ok(Output::Text(text)) => {
                        for piece in self.split(text) {
                            yield self.piece(piece);
                        }
                    }
                    Ok(Output::Done { finish, usage, .. }) => break whole(finish).map(|finish| (finish, usage)),
                    Err(failure) => break Err(failure),
                }
            };
            let (finish, usage) = match ended {
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

    fn split(&mut self, text: String) -> Vec<Piece> {
        match &mut self.splitter {
            Some(splitter) => splitter.push(&text),
            None => vec![Piece::Text(text)],
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

/// An answer that was cut off from this side is not an answer.
fn whole(finish: Finish) -> Result<Finish, Failure> {
    match finish {
        Finish::Cancelled => Err(Failure::new(ErrorCode::Busy, "the answer was cancelled: ask again")),
        Finish::Stop | Finish::Length | Finish::ToolCalls => Ok(finish),
    }
}

fn broken_off() -> Failure {
    Failure::new(
        ErrorCode::Failed,
        "the answer broke off: ask again, and look at the log if it happens twice",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Timings, ToolFormat, Usage};
    use serde_json::{Value, json};

    fn outputs(texts: &[&str], finish: Finish) -> Vec<Result<Output, Failure>> {
        let usage = Usage { prompt_tokens: 7, cached_tokens: 2, completion_tokens: 3 };
        let mut all = vec![Output::Started { prompt_tokens: 7, cached_tokens: 2 }];
        all.extend(texts.iter().map(|&text| Output::Text(text.into())));
        all.push(Output::Done { finish, usage, timings: Timings::default() });
        all.into_iter().map(Ok).collect()
    }

    fn completion(format: Option<ToolFormat>) -> Completion {
        Completion::new("ember".into(), format.map(Splitter::new))
    }

    async fn whole_answer(format: Option<ToolFormat>, texts: &[&str]) -> Value {
        let outputs = outputs(texts, Finish::Stop);
        serde_json::to_value(completion(format).all(stream::iter(outputs)).await.unwrap()).unwrap()
    }

    /// The data of each server-sent event, as bytes on the wire.
    async fn streamed(format: Option<ToolFormat>, outputs: Vec<Result<Output, Failure>>) -> Vec<String> {
        let response = Sse::new(completion(format).stream(stream::iter(outputs), true)).into_response();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_whole_answer() {
        let answer = whole_answer(None, &["Hel", "lo <tool_call>"]).await;
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello <tool_call>");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert_eq!(answer["usage"]["total_tokens"], 10);
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    }

    #[tokio::test]
    async fn tool_calls_are_taken_out_of_the_words() {
        let texts = ["<tool_", "call>{\"name\":\"a\",\"arguments\":{\"q\":1}}</tool_call>"];
        let answer = whole_answer(Some(ToolFormat::Hermes), &texts).await;
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["message"]["content"], Value::Null);
        let call = &choice["message"]["tool_calls"][0];
        assert_eq!(call["function"], json!({"name": "a", "arguments": "{\"q\":1}"}));
        assert!(call["id"].as_str().unwrap().starts_with("call_") && call.get("index").is_none());

        let events = streamed(Some(ToolFormat::Hermes), outputs(&texts, Finish::Stop)).await;
        let chunks: Vec<Value> =
            events[..4].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
        assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        assert_eq!(chunks[1]["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
        assert_eq!(
            chunks[2]["choices"][0],
            json!({"index": 0, "delta": {}, "finish_reason": "tool_calls", "logprobs": null})
        );
        assert_eq!((&chunks[3]["choices"], &chunks[3]["usage"]["prompt_tokens"]), (&json!([]), &json!(7)));
        assert_eq!(events[4..], ["[DONE]"]);
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_ends_the_stream_with_an_error() {
        let mut broken = outputs(&["Hel"], Finish::Stop);
        broken.pop();
        for (outputs, words) in [(broken, "broke off"), (outputs(&["Hel"], Finish::Cancelled), "cancelled")] {
            let events = streamed(None, outputs).await;
            assert_eq!(events.len(), 3);
            let error: Value = serde_json::from_str(&events[2]).unwrap();
            assert!(error["error"]["message"].as_str().unwrap().contains(words), "{error}");
        }
    }
}
