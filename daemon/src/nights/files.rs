//! What a cycle keeps in its folder: the plan, the training job, what the model says by itself, and the stories of
//! generations. Each file is replaced as a whole; what is missing is made again.

use super::cycle::{Plan, Story};
use super::measure::Guard;
use super::rows::Row;
use super::{Inner, NightError};
use crate::disk;
use crate::generations::Card;
use crate::learn::{self, Spec, adapters};
use crate::protocol::frames::Generate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PLAN: &str = "plan.json";
const JOB: &str = "job";
const REPLAY: &str = "replay.json";
const STORIES: &str = "stories";
const GUARD: &str = "guard.json";
/// No file here is longer than this many bytes.
const LONGEST: usize = 256 << 20;

pub(super) fn make_folder(folder: &Path) -> Result<(), NightError> {
    disk::make_folder(folder).map_err(|error| failed(folder, error))?;
    let stories = folder.join(STORIES);
    disk::make_folder(&stories).map_err(|error| failed(&stories, error))
}

impl Inner {
    /// The plan of the cycle under way; one that cannot be read is none, since everything in it can be made again.
    pub(super) fn plan(&self) -> Result<Option<Plan>, NightError> {
        let plan = read(&self.folder.join(PLAN)).unwrap_or_default();
        let job = self.job().join("spec.toml").exists();
        Ok(plan.filter(|_| job))
    }

    pub(super) fn keep_plan(&self, plan: &Plan) -> Result<(), NightError> {
        write(&self.folder.join(PLAN), plan)
    }

    /// The cycle under way is given up, with all that it made.
    pub(super) fn drop_plan(&self) -> Result<(), NightError> {
        let (plan, job) = (self.folder.join(PLAN), self.job());
        gone(fs::remove_file(&plan)).map_err(|error| failed(&plan, error))?;
        gone(fs::remove_dir_all(&job)).map_err(|error| failed(&job, error))?;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("candidate") {
                gone(fs::remove_file(entry.path())).map_err(|error| failed(&entry.path(), error))?;
            }
        }
        Ok(())
    }

    pub(super) fn job(&self) -> PathBuf {
        self.folder.join(JOB)
    }

    /// Makes the folder of a training job, with the adapter that it begins with.
    pub(super) fn make_job(
        &self,
        mut spec: Spec,
        rows: &[Row],
        start: Option<&Path>,
    ) -> Result<(), NightError> {
        self.drop_plan()?;
        let job = self.job();
        let data = self.folder.join("rows.jsonl");
        let mut bytes = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut bytes, row).map_err(|error| damaged(&data, &error))?;
            bytes.push(b'\n');
        }
        disk::replace(&data, &bytes).map_err(|error| failed(&data, error))?;
        if let Some(start) = start {
            spec.start = learn::digest(start).map_err(|error| failed(start, error))?;
        }
        learn::make(&job, &spec, &data)?;
        fs::remove_file(&data).map_err(|error| failed(&data, error))?;
        if let Some(start) = start {
            let to = job.join(learn::START);
            fs::copy(start, &to).map_err(|error| failed(&to, error))?;
        }
        Ok(())
    }

    /// Training loss by step, as the job's log has it; at most some hundred of them.
    pub(super) fn losses(&self) -> Vec<(u64, f32)> {
        const MOST: usize = 200;
        let log = disk::read(&self.job().join("log.jsonl"), LONGEST).unwrap_or_default();
        let lines = log.split(|byte| *byte == b'\n');
        let all: Vec<(u64, f32)> = lines
            .filter_map(|line| serde_json::from_slice::<crate::protocol::frames::Step>(line).ok())
            .map(|step| (step.step, step.loss))
            .collect();
        all.iter().step_by(all.len().div_ceil(MOST).max(1)).copied().collect()
    }

    /// The job's adapter with its effect multiplied, as a file.
    pub(super) fn candidate(&self, scale: f32) -> Result<PathBuf, NightError> {
        let to = self.folder.join(format!("candidate-{scale}.gguf"));
        let weaken = adapters::weaken(&self.job().join("adapter.gguf"), scale, &to);
        weaken.map_err(|error| NightError::Weaken(error.to_string()))?;
        Ok(to)
    }

    /// What the model as it came says by itself; `None` where it was not asked yet.
    pub(super) fn replay(&self, base: &str) -> Result<Option<Vec<(Generate, String)>>, NightError> {
        let kept: Option<(String, Vec<(Generate, String)>)> =
            read(&self.folder.join(REPLAY)).unwrap_or_default();
        Ok(kept.filter(|(of, _)| of == base).map(|(_, own)| own))
    }

    pub(super) fn keep_replay(&self, base: &str, own: &[(Generate, String)]) -> Result<(), NightError> {
        write(&self.folder.join(REPLAY), &(base, own))
    }

    pub(super) fn drop_replay(&self) -> Result<(), NightError> {
        let path = self.folder.join(REPLAY);
        gone(fs::remove_file(&path)).map_err(|error| failed(&path, error))
    }

    /// The guard's figures of the model as it came, which are the same in every cycle; `key` says of what they are.
    pub(super) fn guard(&self, key: &str) -> Option<Guard> {
        let kept: Option<(String, Guard)> = read(&self.folder.join(GUARD)).unwrap_or_default();
        kept.filter(|(of, _)| of == key).map(|(_, guard)| guard)
    }

    pub(super) fn keep_guard(&self, key: &str, guard: &Guard) -> Result<(), NightError> {
        write(&self.folder.join(GUARD), &(key, guard))
    }

    pub(super) fn story(&self, number: u32) -> Option<Story> {
        read(&self.story_file(number)).unwrap_or_default()
    }

    pub(super) fn drop_story(&self, number: u32) -> Result<(), NightError> {
        let path = self.story_file(number);
        gone(fs::remove_file(&path)).map_err(|error| failed(&path, error))
    }

    fn story_file(&self, number: u32) -> PathBuf {
        self.folder.join(STORIES).join(format!("{number:04}.json"))
    }

    /// Ids of what the generation that serves, and those that it came from, were measured with.
    pub(super) fn measured_before(&self, base: &str) -> BTreeSet<String> {
        let mut before = BTreeSet::new();
        let mut at = self.serving(base);
        while let Some(card) = at {
            before.extend(card.held);
            at = card.parent.and_then(|parent| self.card(parent));
        }
        before
    }

    /// Keeps a judged candidate as a generation, with its story, and lets it serve if it may.
    pub(super) async fn keep(
        &self,
        candidate: &Path,
        card: Card,
        story: &Story,
        serve: bool,
    ) -> Result<u32, NightError> {
        let (base, promoted) = (card.base.clone(), card.unfit().is_none());
        let most = self.rooms.settings.borrow().learn.keep as usize;
        let number = {
            let mut generations = self.generations();
            let number = generations.keep(candidate, card)?;
            if promoted {
                generations.serve(number, &base)?;
                generations.prune(&base, most)?;
            } else {
                generations.discard(number)?;
            }
            number
        };
        write(&self.story_file(number), story)?;
        self.drop_plan()?;
        self.rooms.store.set_note(super::REBUILD, "").await?;
        if serve {
            self.follow().await?;
        }
        Ok(number)
    }
}

/// `None` when there is no such file.
fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, NightError> {
    match disk::read(file, LONGEST) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(file, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(file, error)),
    }
}

fn write(file: &Path, value: &impl Serialize) -> Result<(), NightError> {
    let bytes = serde_json::to_vec(value).map_err(|error| damaged(file, &error))?;
    disk::replace(file, &bytes).map_err(|error| failed(file, error))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: io::Error) -> NightError {
    NightError::Io { path: path.to_owned(), error }
}

fn damaged(path: &Path, error: &serde_json::Error) -> NightError {
    NightError::Damaged { path: path.to_owned(), why: error.to_string() }
}
