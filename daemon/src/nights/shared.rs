//! Adapters of others beside the personal one: taken in when the owner says yes, and from then on a part of what serves.
//! The gate judges what was learned here by itself; what others made is the owner's choice, and is taken back at once.

use super::{Inner, NightError, Nights};
use crate::config::PERSONAL;
use crate::engine::{EngineError, adapters};
use crate::generations::Card;
use crate::learn::adapters::Base;
use crate::protocol::http::ModelEntry;
use crate::protocol::packages::PluginAuthor;
use crate::protocol::sharing::{InspectShared, SharedAdapter, SharedOffer, TakeShared};
use crate::sharing::{self, Entry, Personal, SCALE, SharingError, Shelf, Signed};
use std::path::{Path, PathBuf};

impl Nights {
    /// Checks what a folder holds, for the owner to say yes to.
    pub async fn inspect_shared(&self, request: InspectShared) -> Result<SharedOffer, NightError> {
        let model = self.model_in_use().await?;
        let shelf = self.inner.rooms.shelf.clone();
        blocking(move || {
            let signed = sharing::read(Path::new(&request.folder))?;
            let name = request.name.unwrap_or_else(|| signed.manifest.name.clone());
            shelf.fits(&signed, &base(&model), &name)?;
            Ok(SharedOffer {
                known: shelf.knows(&signed.author)?,
                author: author(&signed),
                model: model.name.clone(),
                rank: signed.manifest.rank as u64,
                parameters: signed.manifest.parameters as u64,
                digest: signed.digest,
                name,
            })
        })
        .await
    }

    /// Takes in what the owner was shown; it has a part in the next answer.
    pub async fn take_shared(&self, request: TakeShared) -> Result<SharedAdapter, NightError> {
        let model = self.model_in_use().await?;
        let shelf = self.inner.rooms.shelf.clone();
        let entry = blocking(move || {
            let signed = sharing::read(Path::new(&request.folder))?;
            if signed.digest != request.digest {
                return Err(SharingError::Meanwhile);
            }
            let name = request.name.unwrap_or_else(|| signed.manifest.name.clone());
            shelf.take(&signed, &base(&model), &name, request.scale.unwrap_or(SCALE))
        })
        .await?;
        // It counts as taken in when llama.cpp took it: else the next answer would be the one to fail.
        if let Err(error) = self.inner.follow_with(true).await {
            let (shelf, name) = (self.inner.rooms.shelf.clone(), entry.name);
            blocking(move || shelf.remove(&name)).await?;
            return Err(error);
        }
        Ok(self.shown_shared(entry).await)
    }

    /// What was taken in.
    pub async fn shared(&self) -> Result<Vec<SharedAdapter>, NightError> {
        let shelf = self.inner.rooms.shelf.clone();
        let mut shown = Vec::new();
        for entry in blocking(move || shelf.list()).await? {
            shown.push(self.shown_shared(entry).await);
        }
        Ok(shown)
    }

    /// Gives one up again, at once.
    pub async fn give_up_shared(&self, name: String) -> Result<(), NightError> {
        let shelf = self.inner.rooms.shelf.clone();
        blocking(move || shelf.remove(&name)).await?;
        self.inner.follow().await
    }

    async fn model_in_use(&self) -> Result<ModelEntry, NightError> {
        let settings = self.inner.rooms.settings.borrow().clone();
        self.inner.model(&settings).await
    }

    async fn shown_shared(&self, entry: Entry) -> SharedAdapter {
        let settings = self.inner.rooms.settings.borrow().clone();
        // Without a model nothing is in use.
        let model = self.inner.model(&settings).await.ok();
        let in_use =
            settings.model.adapter == PERSONAL && model.is_some_and(|model| model.hash == entry.base);
        let author = PluginAuthor { fingerprint: entry.author.fingerprint(), key: entry.author.to_string() };
        let Entry { name, model, base, digest, scale, taken, .. } = entry;
        SharedAdapter { name, author, model, base, digest, scale, taken, in_use }
    }
}

impl Inner {
    /// The adapter that serves on this model: the generation's, those of others, or both as one file. Where the others
    /// cannot be used, the generation serves by itself, and the log tells why.
    pub(super) async fn stacked(&self, base: &str, serving: Option<Card>) -> Option<PathBuf> {
        let own = serving.as_ref().map(|card| (card, self.adapter(card.number)));
        let alone = own.as_ref().map(|(_, path)| path.clone());
        let name = serving.as_ref().map(|card| self.own_name(card.number));
        let (shelf, base, own) =
            (self.rooms.shelf.clone(), base.to_owned(), own.map(|(card, path)| (card.digest.clone(), path)));
        let stacked = blocking(move || {
            let entries = shelf.of(&base)?;
            if entries.is_empty() {
                return Ok(None);
            }
            let personal =
                own.as_ref().zip(name).map(|((digest, path), name)| Personal { name, path, digest });
            shelf.stack(personal.as_ref(), &entries).map(Some)
        });
        match stacked.await {
            Ok(Some(file)) => Some(file),
            Ok(None) => alone,
            Err(error) => {
                tracing::warn!("adapters of others have no part in answers: {error}");
                alone
            }
        }
    }

    /// How answers name what would serve now, with this generation or none; `None`: the model as it came.
    pub(super) fn shown(&self, base: &str, number: Option<u32>) -> Option<String> {
        let own = number.map(|number| self.own_name(number));
        // Where the others cannot be used, the generation serves by itself.
        let others = self.rooms.shelf.of(base).unwrap_or_default();
        let name = Shelf::stacked_name(own.as_deref(), &others);
        (!name.is_empty()).then_some(name)
    }

    fn own_name(&self, number: u32) -> String {
        adapters::shown_name(&self.adapter(number).to_string_lossy()).unwrap_or_default()
    }

    /// Destroys what was merged for generations or adapters that do not serve any more. What serves, and what served
    /// until now (a request may be on its way to it), are kept.
    pub(super) fn sweep_stacks(&self, before: &str) {
        let now = self.effective.borrow().model.adapter.clone();
        if let Err(error) = self.rooms.shelf.sweep(&[Path::new(&now), Path::new(before)]) {
            tracing::warn!("what was merged earlier is still there: {error}");
        }
    }
}

fn base(model: &ModelEntry) -> Base<'_> {
    Base { path: Path::new(&model.path), name: &model.name, digest: &model.hash }
}

fn author(signed: &Signed) -> PluginAuthor {
    PluginAuthor { fingerprint: signed.author.fingerprint(), key: signed.author.to_string() }
}

/// Folders are files, and files block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SharingError> + Send + 'static,
) -> Result<T, NightError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| EngineError::Confused)?;
    Ok(done?)
}
