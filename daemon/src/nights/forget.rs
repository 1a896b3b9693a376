//! Forgetting: a thing goes from the index, the conversations, what was remembered, the samples (those that only measured
//! too), and from every generation that saw it; what remains is learned again from the last one that did not.

use super::{Inner, NightError, Nights, Phase, REBUILD};
use crate::learn;
use crate::protocol::learn::ForgetProof;
use crate::samples::{Lineage, Sample};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A file, or all below a folder.
    Path(PathBuf),
    Session(String),
    All,
}

/// What was done, and the proof of it.
pub type Forgotten = ForgetProof;

impl Nights {
    /// Forgets, and tells what was done when all of it is.
    pub async fn forget(&self, what: What) -> Result<Forgotten, NightError> {
        self.inner.forget(what).await
    }
}

impl Inner {
    async fn forget(&self, what: What) -> Result<Forgotten, NightError> {
        // A cycle under way may hold it in its job, its questions or its memory: it gives way as to a question.
        let _visit = self.rooms.presence.visit();
        let _alone = self.cycle.lock().await;
        learn::released(&self.job()).await;
        let store = &self.rooms.store;
        let (samples, outdated) = (store.samples().await?, store.outdated_samples().await?);
        let all = samples.iter().map(|sample| (&sample.id, &sample.lineage));
        let all = all.chain(outdated.iter().map(|(id, lineage)| (id, lineage)));
        let gone: Vec<String> =
            all.filter(|(_, lineage)| concerns(&what, lineage)).map(|(id, _)| id.clone()).collect();
        let mut proof = ForgetProof { at: super::now(), what: named(&what), ..ForgetProof::default() };
        self.clear_memory(&what, &mut proof).await?;
        let words = words_of_theirs(&samples, &gone);
        proof.samples = self.rooms.store.remove_samples(gone).await?;
        if let What::Path(path) = &what {
            self.rooms.index.forget(path).await?;
            proof.index = true;
        }
        self.clear_generations(&what, &mut proof).await?;
        let answered = proof.retired.keys().map(|number| format!("generation {number}")).collect();
        proof.turns += self.rooms.store.delete_turns_telling(answered, words).await? as u64;
        self.drop_plan()?;
        self.drop_replay()?;
        // What is left in the memory of a model's process is its KV state.
        self.rooms.engine.unload().await;
        self.follow().await?;
        // What was merged with others' adapters holds it, too.
        self.sweep_stacks("");
        let remains = self.rooms.store.samples().await?;
        proof.rebuild = !proof.retired.is_empty() && remains.iter().any(|sample| !sample.held);
        if proof.rebuild {
            self.rooms.store.set_note(REBUILD, "yes").await?;
        }
        self.tell(Phase::Idle);
        self.check(&what, &remains, &mut proof).await?;
        Ok(proof)
    }

    /// Conversations, single turns that quote it, and what was asked to be remembered.
    async fn clear_memory(&self, what: &What, proof: &mut ForgetProof) -> Result<(), NightError> {
        let store = &self.rooms.store;
        match what {
            What::Path(path) => proof.turns = store.delete_turns_citing(path).await? as u64,
            What::Session(session) => {
                if !store.delete_session(session).await? {
                    return Err(crate::store::StoreError::NoSession(session.clone()).into());
                }
                proof.sessions = 1;
            }
            What::All => {
                for session in store.sessions().await? {
                    proof.sessions += u64::from(store.delete_session(&session.id).await?);
                }
                proof.remembered = store.unremember(None).await? as u64;
            }
        }
        Ok(())
    }

    async fn clear_generations(&self, what: &What, proof: &mut ForgetProof) -> Result<(), NightError> {
        let gone: BTreeSet<&str> = proof.samples.iter().map(String::as_str).collect();
        let saw = |id: &str| *what == What::All || gone.contains(id);
        let retired: BTreeMap<u32, String> = {
            let mut generations = self.generations();
            let numbers = generations.retire(saw)?;
            numbers
                .into_iter()
                .filter_map(|number| Some((number, generations.get(number).ok()?.digest.clone())))
                .collect()
        };
        for number in retired.keys() {
            self.drop_story(*number)?;
        }
        // Every story holds answers to held-out questions, which may have been about it.
        if !gone.is_empty() {
            let all: Vec<u32> = self.generations().numbers();
            all.into_iter().try_for_each(|number| self.drop_story(number))?;
        }
        let settings = self.rooms.settings.borrow().clone();
        proof.generation = self.serving(&self.model(&settings).await?.hash).map(|card| card.number);
        proof.retired = retired;
        Ok(())
    }

    /// Looks again, everywhere.
    async fn check(
        &self,
        what: &What,
        remains: &[Sample],
        proof: &mut ForgetProof,
    ) -> Result<(), NightError> {
        if !remains.iter().any(|sample| concerns(what, &sample.lineage)) {
            proof.checked.push("samples".into());
        }
        let gone: BTreeSet<&str> = proof.samples.iter().map(String::as_str).collect();
        if !self.generations().any_sample(|id| gone.contains(id)) {
            proof.checked.push("generations".into());
        }
        if let What::Path(path) = what
            && self.rooms.index.files("", "", std::slice::from_ref(path), 1).await?.is_empty()
        {
            proof.checked.push("index".into());
        }
        Ok(())
    }
}

fn concerns(what: &What, lineage: &Lineage) -> bool {
    let place = lineage.place.as_str();
    match what {
        What::Path(path) => lineage.source == "folders" && Path::new(place).starts_with(path),
        What::Session(session) => lineage.source != "folders" && place == session,
        What::All => true,
    }
}

/// Words that stand in what is forgotten and in nothing that remains, in small letters: a generation that had learned it may have
/// said them.
fn words_of_theirs(samples: &[Sample], gone: &[String]) -> BTreeSet<String> {
    let gone: BTreeSet<&String> = gone.iter().collect();
    let (theirs, remains): (Vec<&Sample>, Vec<&Sample>) =
        samples.iter().partition(|sample| gone.contains(&sample.id));
    let words = |samples: Vec<&Sample>| -> BTreeSet<String> {
        samples.into_iter().flat_map(|sample| crate::samples::told("", &sample.body.whole())).collect()
    };
    let remains = words(remains);
    words(theirs).into_iter().filter(|word| !remains.contains(word)).collect()
}

fn named(what: &What) -> String {
    match what {
        What::Path(path) => path.to_string_lossy().into_owned(),
        What::Session(session) => format!("session {session}"),
        What::All => "everything that was learned, said and remembered".into(),
    }
}
