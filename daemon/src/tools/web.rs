//! A plugin's request to the web: judged and recorded hop by hop, with the very bytes of each.

use super::services::{Proposal, Services};
use crate::audit::{Entry, Trace};
use crate::egress::{Header, Hop};
use crate::plugins::Calling;
use crate::policy::Effect;
use crate::protocol::plugins::{Answer, HttpRequest, Refusal};
use crate::types::{Label, Origin};
use std::sync::{Arc, Mutex, MutexGuard};
use url::Url;

pub async fn send(
    services: &Services,
    calling: &Arc<Calling>,
    request: HttpRequest,
) -> Result<Answer, Refusal> {
    let settings = services.house.config.borrow().plugins.clone();
    if !settings.http {
        return Err(Refusal::Denied("the owner has cut plugins off the web ([plugins] http = false)".into()));
    }
    let Some(granted) = calling.grants.http.clone() else {
        return Err(Refusal::Denied("`http` is not granted to this plugin".into()));
    };
    let credential = match &request.credential {
        None => None,
        Some(name) => Some(credential(services, calling, name)?),
    };
    let named = request.credential.clone();
    // Each host that was sent something may answer, be it only by where it redirects or how it fails.
    let hosts: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
    let approve = {
        let (services, calling, hosts) = (services.clone(), calling.clone(), hosts.clone());
        move |hop: &Hop| -> futures::future::BoxFuture<'static, Result<(), String>> {
            let (services, calling, hosts) = (services.clone(), calling.clone(), hosts.clone());
            let (hop, credential) = (hop.clone(), named.clone().filter(|_| hop.credential.is_some()));
            Box::pin(async move {
                let with_credential = credential.is_some();
                approve(&services, &calling, &hop, credential).await.map_err(words)?;
                lock(&hosts).push((hop.url, with_credential));
                Ok(())
            })
        }
    };
    let private = &settings.private_hosts;
    let answered = services.house.egress.send(&granted, private, request, credential, approve).await;
    for (url, with_credential) in lock(&hosts).iter() {
        calling.learned(&said_by(url, *with_credential, private));
    }
    Ok(Answer::Response(answered?))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What a host says is anybody's text; that of an account of the owner's, or of a host of their own network,
/// is not for everybody.
fn said_by(url: &str, with_credential: bool, private: &[String]) -> Label {
    let mut label = Label::from(Origin::Web, host(url));
    label.private = with_credential || private.iter().any(|listed| same_host(listed, url));
    label
}

fn credential(services: &Services, calling: &Calling, name: &str) -> Result<Header, Refusal> {
    let found = services.house.plugins.credential(&calling.plugin, &calling.digest, name);
    let found = found.map_err(Refusal::Denied)?;
    Ok(Header { host: found.host, name: found.name, value: found.value, bare: found.bare })
}

async fn approve(
    services: &Services,
    calling: &Calling,
    hop: &Hop,
    credential: Option<String>,
) -> Result<(), Refusal> {
    let (host, bytes) = (host(&hop.url), bytes(hop));
    let effect = Effect::Egress {
        method: hop.method.clone(),
        host: host.clone(),
        credential,
        bytes: bytes.len() as u64,
    };
    let after = if hop.number == 0 { "" } else { ", where a redirect leads" };
    let action = format!("send {} bytes to {host}{after}", bytes.len());
    let allowed = services.permit(calling, Proposal { effect, action, bytes: &bytes }).await?;
    services
        .record(Entry::Egress {
            plugin: calling.plugin.clone(),
            tool: calling.tool.clone(),
            method: hop.method.clone(),
            host,
            request: Trace::of(&bytes),
            allowed: allowed.into(),
        })
        .await
}

/// What goes out, as the owner is shown it: the request's line, its headers, and its body to the byte.
fn bytes(hop: &Hop) -> Vec<u8> {
    let mut text = format!("{} {}\n", hop.method, hop.url);
    for (name, value) in &hop.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if let Some(header) = &hop.credential {
        text.push_str(&format!("{header}: (a credential of yours)\n"));
    }
    let mut bytes = text.into_bytes();
    if let Some(body) = &hop.body {
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
    }
    bytes
}

/// `name`, or `name:port` where the port is not the scheme's own; with `http://` before it where nothing is
/// encrypted, since a yes to the one is none to the other.
fn host(url: &str) -> String {
    let place = place(url);
    if url.starts_with("http://") { format!("http://{place}") } else { place }
}

fn place(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return url.into() };
    let name = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.into(),
    }
}

fn same_host(listed: &str, url: &str) -> bool {
    let host = place(url);
    listed.eq_ignore_ascii_case(&host)
        || host.rsplit_once(':').is_some_and(|(name, _)| listed.eq_ignore_ascii_case(name))
}

fn words(refusal: Refusal) -> String {
    match refusal {
        Refusal::Denied(why) | Refusal::Failed(why) => why,
        other => format!("{other:?}"),
    }
}
