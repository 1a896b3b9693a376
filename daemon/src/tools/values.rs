//! What a plugin keeps: read under the label that it was written with, written under that of the call.

use super::services::{Proposal, Services, failed};
use crate::plugins::Calling;
use crate::policy::Effect;
use crate::protocol::plugins::{Answer, Refusal};
use crate::store::{Put, ValueError};
use crate::types::Label;

/// Most bytes of a key.
const LONGEST_KEY: usize = 512;

pub async fn get(services: &Services, calling: &Calling, key: &str) -> Result<Answer, Refusal> {
    check_key(key)?;
    let kept = services.house.store.value(&calling.plugin, key).await.map_err(failed)?;
    // That there is none was decided by an earlier call, which may have known what is private.
    learned(calling, kept.as_ref().map_or(&Label::owner(), |kept| &kept.label), key);
    Ok(Answer::Value(kept.map(|kept| kept.value)))
}

pub async fn keys(services: &Services, calling: &Calling, prefix: &str) -> Result<Answer, Refusal> {
    check_key(prefix)?;
    let (keys, label) = services.house.store.value_keys(&calling.plugin, prefix).await.map_err(failed)?;
    learned(calling, &label, prefix);
    Ok(Answer::Keys(keys))
}

pub async fn set(
    services: &Services,
    calling: &Calling,
    key: String,
    value: Vec<u8>,
) -> Result<Answer, Refusal> {
    put(services, calling, "set", key, None, value).await.map(|_| Answer::Done)
}

pub async fn swap(
    services: &Services,
    calling: &Calling,
    key: String,
    old: Option<Vec<u8>>,
    new: Vec<u8>,
) -> Result<Answer, Refusal> {
    // Whether it is swapped tells of the value that is there.
    get(services, calling, &key).await?;
    put(services, calling, "swap", key, Some(old), new).await.map(Answer::Flag)
}

pub async fn delete(services: &Services, calling: &Calling, key: &str) -> Result<Answer, Refusal> {
    // Whether it is deleted tells of the value that is there.
    get(services, calling, key).await?;
    let allowed = permit(services, calling, key, &[], format!("delete the value {key:?}")).await?;
    services.record_write(calling, "delete", (key.as_bytes(), &[]), allowed).await?;
    services.house.store.delete_value(&calling.plugin, key).await.map(Answer::Flag).map_err(failed)
}

async fn put(
    services: &Services,
    calling: &Calling,
    action: &str,
    key: String,
    old: Option<Option<Vec<u8>>>,
    value: Vec<u8>,
) -> Result<bool, Refusal> {
    check_key(&key)?;
    let quota = calling.grants.kv.as_ref().map_or(0, |kv| kv.quota);
    if (key.len() + value.len()) as u64 > quota {
        return Err(Refusal::Quota(quota));
    }
    let told = format!("keep {} bytes under the key {key:?}", value.len());
    let allowed = permit(services, calling, &key, &value, told).await?;
    services.record_write(calling, action, (key.as_bytes(), &value), allowed).await?;
    let (plugin, label) = (calling.plugin.clone(), calling.label().brief());
    let put = Put { plugin, key, value, label, old, quota };
    services.house.store.put_value(put).await.map_err(|error| match error {
        ValueError::Quota(quota) => {
            learned(calling, &Label::owner(), "what it keeps");
            Refusal::Quota(quota)
        }
        ValueError::Store(error) => failed(error),
    })
}

fn check_key(key: &str) -> Result<(), Refusal> {
    match key.len() {
        0..=LONGEST_KEY => Ok(()),
        _ => Err(Refusal::Failed(format!("a key has at most {LONGEST_KEY} bytes"))),
    }
}

async fn permit(
    services: &Services,
    calling: &Calling,
    key: &str,
    bytes: &[u8],
    action: String,
) -> Result<&'static str, Refusal> {
    services.permit(calling, Proposal { effect: Effect::Keep { key: key.into() }, action, bytes }).await
}

/// What a plugin keeps for the owner is the owner's alone, whoever wrote it.
fn learned(calling: &Calling, stored: &Label, what: &str) {
    let mut label = stored.clone();
    label.private = true;
    label.sources.insert(format!("{}: {what}", calling.plugin));
    calling.learned(&label);
}
