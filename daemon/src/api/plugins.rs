//! Installed plugins, over HTTP: each handler decodes, forwards to the handle and words what comes back. A
//! call from here is the owner's own: nothing that anybody else wrote has led to it.

use super::Door;
use super::body::{BodyError, JsonBody};
use super::error::Failure;
use crate::audit::Entry;
use crate::plugins::{self, Consent, Installed, PluginsError, Terms, wish};
use crate::policy::grants::{Grants, Interface};
use crate::protocol::http::{Done, ErrorBody, ErrorCode};
use crate::protocol::packages::{
    GrantRequest, InstallRequest, PluginAuthor, PluginCallEvent, PluginCallRequest, PluginCallResponse,
    PluginCredential, PluginEntry, PluginList, PluginOffer, PluginTool, PluginWant, RevokeRequest,
    SecretRequest,
};
use crate::protocol::plugins::{Called, ToolError};
use crate::tools::ToolsError;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

type Answered<T> = Result<Json<T>, Failure>;
type Body<T> = Result<JsonBody<T>, BodyError>;

impl From<PluginsError> for Failure {
    fn from(error: PluginsError) -> Self {
        error.body().into()
    }
}

impl From<ToolsError> for Failure {
    fn from(error: ToolsError) -> Self {
        match error {
            ToolsError::Plugins(error) => error.into(),
            ToolsError::Audit(error) => error.into(),
        }
    }
}

/// Every installed plugin, used or not.
#[utoipa::path(get, path = "/familiar/v1/plugins", tag = "familiar", responses(
    (status = 200, body = PluginList),
    (status = "default", body = ErrorBody)
))]
pub async fn plugins(State(door): State<Door>) -> Answered<PluginList> {
    let installed = door.handles.plugins.installed();
    let plugins = installed.iter().map(|plugin| entry(&door, plugin)).collect();
    Ok(Json(PluginList { plugins }))
}

/// One installed plugin.
#[utoipa::path(get, path = "/familiar/v1/plugins/{name}", tag = "familiar", params(("name" = String, Path)), responses(
    (status = 200, body = PluginEntry),
    (status = "default", body = ErrorBody)
))]
pub async fn plugin(State(door): State<Door>, Path(name): Path<String>) -> Answered<PluginEntry> {
    Ok(Json(entry(&door, &door.handles.plugins.get(&name)?)))
}

/// What installing a package would mean. Changes nothing; `grant` and `digest` are not looked at.
#[utoipa::path(post, path = "/familiar/v1/plugins/inspect", tag = "familiar", request_body = InstallRequest, responses(
    (status = 200, body = PluginOffer),
    (status = "default", body = ErrorBody)
))]
pub async fn inspect_plugin(State(door): State<Door>, body: Body<InstallRequest>) -> Answered<PluginOffer> {
    let JsonBody(request) = body?;
    let path = absolute(&request.path)?;
    // Another author is told of, not refused: the owner is only looking.
    let offer = door.handles.plugins.consider(path.clone(), request.dev, true).await?;
    let trust = match (offer.package.author, offer.known) {
        (None, _) => "unsigned",
        (Some(_), None) => "new",
        (Some(found), Some(known)) if found == known => "known",
        (Some(_), Some(_)) => "other",
    };
    let more = offer.before.as_ref().map(|before| {
        let more = wish::grown(offer.package.manifest.wants(), before);
        more.into_iter().map(|interface| interface.to_string()).collect()
    });
    let looked_at = Installed {
        name: offer.package.manifest.name.clone(),
        record: None,
        package: Some(Arc::new(offer.package)),
        file: path,
        inactive: Some("it is not installed".into()),
    };
    Ok(Json(PluginOffer {
        plugin: entry(&door, &looked_at),
        trust: trust.into(),
        current: offer.current.as_ref().map(|current| entry(&door, current)),
        more,
    }))
}

/// Installs a package in place of an earlier one of its name.
#[utoipa::path(post, path = "/familiar/v1/plugins/install", tag = "familiar", request_body = InstallRequest, responses(
    (status = 200, body = PluginEntry),
    (status = "default", body = ErrorBody)
))]
pub async fn install_plugin(State(door): State<Door>, body: Body<InstallRequest>) -> Answered<PluginEntry> {
    let JsonBody(request) = body?;
    let path = absolute(&request.path)?;
    let plugins = &door.handles.plugins;
    let consent = match &request.grant {
        Value::Null => Consent::No,
        Value::Array(_) => {
            let offer = plugins.consider(path.clone(), request.dev, request.new_author).await?;
            consent(&request.grant, offer.package.manifest.wants())?
        }
        grant => consent(grant, &Grants::default())?,
    };
    let InstallRequest { dev, new_author, digest, .. } = request;
    let prepared = plugins.prepare(path, Terms { consent, dev, new_author, digest }).await?;
    if prepared.other_author {
        // What one author's plugin kept, and was trusted with, is not for another's.
        plugins.disown(&prepared.name).await?;
        door.handles.tools.forget(&prepared.name).await?;
    }
    let installed = plugins.install(prepared).await?;
    record(&door, &installed, "installed").await?;
    Ok(Json(entry(&door, &installed)))
}

/// Forgets a plugin, with its credentials and all that it kept.
#[utoipa::path(delete, path = "/familiar/v1/plugins/{name}", tag = "familiar", params(("name" = String, Path)), responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn remove_plugin(State(door): State<Door>, Path(name): Path<String>) -> Answered<Done> {
    let removed = door.handles.plugins.get(&name)?;
    door.handles.plugins.remove(&name).await?;
    door.handles.tools.forget(&name).await?;
    record(&door, &removed, "removed").await?;
    Ok(Json(Done { ok: true }))
}

/// Grants what a plugin asks for, and says yes to its use.
#[utoipa::path(post, path = "/familiar/v1/plugins/{name}/grant", tag = "familiar", params(("name" = String, Path)), request_body = GrantRequest, responses(
    (status = 200, body = PluginEntry),
    (status = "default", body = ErrorBody)
))]
pub async fn grant_plugin(
    State(door): State<Door>,
    Path(name): Path<String>,
    body: Body<GrantRequest>,
) -> Answered<PluginEntry> {
    let JsonBody(request) = body?;
    let plugins = &door.handles.plugins;
    let wants = plugins.get(&name)?.package.map(|package| package.manifest.wants().clone());
    let consent = match request.grant {
        Value::Null => Consent::All,
        grant => consent(&grant, &wants.unwrap_or_default())?,
    };
    if consent == Consent::No {
        let message = "`none` is no grant; POST …/revoke takes grants back";
        return Err(Failure::new(ErrorCode::Usage, message));
    }
    let granted = plugins.grant(&name, consent).await?;
    record(&door, &granted, "granted").await?;
    Ok(Json(entry(&door, &granted)))
}

/// Takes one grant back, or all of them and the yes to the plugin's use.
#[utoipa::path(post, path = "/familiar/v1/plugins/{name}/revoke", tag = "familiar", params(("name" = String, Path)), request_body = RevokeRequest, responses(
    (status = 200, body = PluginEntry),
    (status = "default", body = ErrorBody)
))]
pub async fn revoke_plugin(
    State(door): State<Door>,
    Path(name): Path<String>,
    body: Body<RevokeRequest>,
) -> Answered<PluginEntry> {
    let JsonBody(request) = body?;
    let interface = request.interface.as_deref().map(interface).transpose()?;
    let left = door.handles.plugins.revoke(&name, interface).await?;
    record(&door, &left, "revoked").await?;
    Ok(Json(entry(&door, &left)))
}

/// Keeps a credential that the plugin's manifest names. It is never given out again.
#[utoipa::path(post, path = "/familiar/v1/plugins/{name}/secret", tag = "familiar", params(("name" = String, Path)), request_body = SecretRequest, responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn plugin_secret(
    State(door): State<Door>,
    Path(name): Path<String>,
    body: Body<SecretRequest>,
) -> Answered<Done> {
    let JsonBody(SecretRequest { credential, value }) = body?;
    door.handles.plugins.set_secret(&name, &credential, value).await?;
    Ok(Json(Done { ok: true }))
}

/// Runs a plugin's tool by the owner's hand. A tool that fails is an answer, too; its `status` tells.
#[utoipa::path(post, path = "/familiar/v1/plugins/call", tag = "familiar", request_body = PluginCallRequest, responses(
    (status = 200, content((PluginCallResponse = "application/json"), (PluginCallEvent = "text/event-stream"))),
    (status = "default", body = ErrorBody)
))]
pub async fn call_plugin(
    State(door): State<Door>,
    body: Body<PluginCallRequest>,
) -> Result<Response, Failure> {
    let JsonBody(request) = body?;
    let arguments = match request.arguments {
        Value::Null => "{}".to_owned(),
        arguments => arguments.to_string(),
    };
    let (tools, tool) = (door.handles.tools, request.tool);
    if !request.stream {
        let called = tools.call_by_hand(&tool, &arguments).await?;
        return Ok(Json(response(tool, called)).into_response());
    }
    let events = async_stream::stream! {
        // Calls by hand belong to no conversation.
        let mut watch = tools.watch(Some("")).await;
        let mut call = std::pin::pin!(tools.call_by_hand(&tool, &arguments));
        let ended = loop {
            tokio::select! {
                biased;
                event = watch.next() => yield sent(&PluginCallEvent::Meanwhile { event: Box::new(event) }),
                ended = &mut call => break ended,
            }
        };
        yield sent(&match ended {
            Ok(called) => PluginCallEvent::Done(Box::new(response(tool.clone(), called))),
            Err(error) => PluginCallEvent::Error(Failure::from(error).body),
        });
    };
    Ok(Sse::new(events).keep_alive(KeepAlive::new()).into_response())
}

/// Puts on record what the owner said, with what is in force since.
async fn record(door: &Door, plugin: &Installed, change: &str) -> Result<(), Failure> {
    let in_force = plugin.in_force();
    let interfaces = Interface::ALL.into_iter().filter(|interface| in_force.has(*interface));
    let entry = Entry::Grant {
        plugin: plugin.name.clone(),
        digest: plugin.record.as_ref().map(|record| record.digest.clone()).unwrap_or_default(),
        change: change.into(),
        interfaces: interfaces.map(|interface| interface.to_string()).collect(),
    };
    Ok(door.handles.audit.append(entry).await?)
}

fn sent(event: &PluginCallEvent) -> Result<Event, axum::Error> {
    let name = match event {
        PluginCallEvent::Meanwhile { .. } => "meanwhile",
        PluginCallEvent::Done(_) => "done",
        PluginCallEvent::Error(_) => "error",
    };
    Event::default().event(name).json_data(event)
}

fn response(tool: String, called: Called) -> PluginCallResponse {
    let Called { result, log, log_dropped, micros, .. } = called;
    let empty = PluginCallResponse {
        tool,
        status: "ok".into(),
        error: None,
        text: String::new(),
        data: Value::Null,
        sources: Vec::new(),
        log,
        log_dropped,
        micros,
    };
    match result {
        Ok(output) => {
            // A tool that gives something else than JSON there gives text.
            let data = output.data.map(|data| serde_json::from_str(&data).unwrap_or(Value::String(data)));
            let data = data.unwrap_or_default();
            PluginCallResponse { text: output.text, data, sources: output.sources, ..empty }
        }
        Err(error) => {
            let status = match &error {
                ToolError::InvalidArguments(_) => "invalid_arguments",
                ToolError::NotFound(_) => "not_found",
                ToolError::Denied(_) => "denied",
                ToolError::Unavailable(_) => "unavailable",
                ToolError::Failed(_) => "failed",
                ToolError::Stopped(_) => "stopped",
            };
            PluginCallResponse { status: status.into(), error: Some(error.to_string()), ..empty }
        }
    }
}

/// `"all"`, `"none"`, interfaces of which all that is in `wants` is meant, or grants in full.
fn consent(grant: &Value, wants: &Grants) -> Result<Consent, Failure> {
    let wrong = |what: String| Failure::new(ErrorCode::Usage, format!("`grant` is not understood: {what}"));
    match grant {
        Value::String(word) if word == "all" => Ok(Consent::All),
        Value::String(word) if word == "none" => Ok(Consent::No),
        Value::Array(names) => {
            let mut grants = Grants::default();
            for name in names {
                let name = name.as_str().ok_or_else(|| wrong(format!("{name} is no interface")))?;
                let interface = interface(name)?;
                if !wants.has(interface) {
                    return Err(wrong(format!("the plugin does not ask for `{interface}`")));
                }
                grants = wish::with(&grants, wants, interface);
            }
            Ok(Consent::These(grants))
        }
        Value::Object(_) => serde_json::from_value(grant.clone())
            .map(Consent::These)
            .map_err(|error| wrong(error.to_string())),
        other => Err(wrong(format!("{other} is neither \"all\", \"none\", a list nor an object"))),
    }
}

fn interface(name: &str) -> Result<Interface, Failure> {
    Interface::from_name(name).ok_or_else(|| {
        let all: Vec<&str> = Interface::ALL.iter().map(|interface| interface.as_str()).collect();
        let message = format!("there is no interface {name:?}: one of {}", all.join(", "));
        Failure::new(ErrorCode::Usage, message)
    })
}

fn absolute(path: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(path);
    if path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0) {
        return Ok(path);
    }
    Err(Failure::new(ErrorCode::Usage, format!("{path:?} is not an absolute path")))
}

fn entry(door: &Door, plugin: &Installed) -> PluginEntry {
    let record = plugin.record.as_ref();
    let granted = record.map(|record| record.granted.clone()).unwrap_or_default();
    let mut entry = PluginEntry {
        name: plugin.name.clone(),
        digest: record.map(|record| record.digest.clone()).unwrap_or_default(),
        author: record.and_then(|record| record.author).map(author),
        active: plugin.active(),
        reason: plugin.inactive.clone(),
        dev: record.and_then(|record| record.dev.as_ref()).map(|path| path.display().to_string()),
        granted: serde_json::to_value(&granted).unwrap_or_default(),
        ..PluginEntry::default()
    };
    let Some(package) = &plugin.package else { return entry };
    let (manifest, in_force) = (&package.manifest, plugin.in_force());
    let given = door.handles.plugins.secrets_of(&plugin.name);
    entry.digest = package.digest.clone();
    entry.author = package.author.map(author);
    entry.version = manifest.version.to_string();
    entry.description = manifest.description.clone();
    entry.size_bytes = package.size;
    let tools = package.tools.iter().map(|tool| PluginTool {
        name: plugins::full_name(&plugin.name, &tool.name),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
    });
    entry.tools = tools.collect();
    let asked = serde_json::to_value(manifest.wants()).unwrap_or_default();
    let wants = manifest.whys.iter().map(|(interface, why)| PluginWant {
        asks: asked[interface.as_str()].clone(),
        interface: interface.to_string(),
        why: why.clone(),
        meaning: wish::meaning(manifest.wants(), *interface).unwrap_or_default(),
        granted: wish::meaning(&in_force, *interface),
    });
    entry.wants = wants.collect();
    let credentials = manifest.credentials.iter().map(|credential| PluginCredential {
        name: credential.name.clone(),
        why: credential.why.clone(),
        host: credential.host.clone(),
        given: given.contains(&credential.name),
    });
    entry.credentials = credentials.collect();
    entry
}

fn author(author: plugins::keys::Author) -> PluginAuthor {
    PluginAuthor { fingerprint: author.fingerprint(), key: author.to_string() }
}
