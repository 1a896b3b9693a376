//! What outlives a crash and a restart, in one SQLite file: sessions and their messages, what plugins
//! keep, notices, standing rules, samples to learn from, and where the audit log ends. This room reads and writes that file
//! and nothing else; it knows nothing of models or of the index.

mod audit;
mod notices;
mod rules;
mod samples;
mod schema;
#[cfg(test)]
mod tests;
mod values;

pub use audit::Head;
pub use notices::StoredNotice;
pub use samples::{Reception, Signal};
pub use values::{Kept, Put, ValueError};

use crate::protocol::http::{SessionMessage, SessionSummary};
use crate::types::{Citation, Label, Message, Origin, Role, ToolCall, Usage};
use rusqlite::{Connection, ErrorCode, Row, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// Why something was not stored or not found. The daemon goes on after each of them.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "{} is damaged ({reason}): stop the daemon and move the file away to begin a new one; `sqlite3 {} .recover` may save what it held",
        .path.display(), .path.display()
    )]
    Corrupt { path: PathBuf, reason: String },
    #[error(
        "{} was written by a newer Familiar (version {found}, this one knows {known}): update Familiar, or move the file away",
        .path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} could not be written, the disk is full: free some space and try again", .0.display())]
    Full(PathBuf),
    #[error("{} cannot be written: check its permissions, and that its disk is not mounted read-only", .0.display())]
    ReadOnly(PathBuf),
    #[error("{} could not be opened ({reason}): check that its folder exists and is yours", .path.display())]
    Open { path: PathBuf, reason: String },
    #[error("there is no session {0}")]
    NoSession(String),
    #[error("{}: {reason}", .path.display())]
    Failed { path: PathBuf, reason: String },
}

/// One question and all that came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Turn {
    pub question: String,
    /// The model's tool calls and the tools' results, in order.
    pub steps: Vec<Message>,
    pub answer: String,
    pub citations: Vec<Citation>,
    pub model: String,
    /// Adapter generation that answered; `None` for the base model.
    pub adapter: Option<String>,
    pub usage: Usage,
    /// Of everything that the model had read when it answered.
    pub label: Label,
}

/// The database; cheap to clone. Calls wait for each other: all of them are short.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Store {
    /// Opens the file, or makes it (0600, in a folder 0700), and brings an older one up to date.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let connection = schema::open(path)?;
        Ok(Store { shared: Arc::new(Shared { connection: Mutex::new(connection), path: path.into() }) })
    }

    /// Makes an empty session; returns its id, 13 characters of `0-9a-v`.
    pub async fn create_session(&self) -> Result<String, StoreError> {
        self.with(|db| {
            let random: [u8; 8] = db.query_row("SELECT randomblob(8)", [], |row| row.get(0))?;
            let id = session_id(u64::from_be_bytes(random));
            db.execute(
                "INSERT INTO sessions (id, created, updated) VALUES (?1, ?2, ?2)",
                params![id, now()],
            )?;
            Ok(id)
        })
        .await
    }

    /// Every message of a session in order, or `None` when there is no such session.
    pub async fn messages(&self, session: &str) -> Result<Option<Vec<Message>>, StoreError> {
        let history = self.history(session).await?;
        Ok(history.map(|messages| messages.into_iter().map(|stored| stored.message).collect()))
    }

    /// As [`Store::messages`], with what an answer is shown with.
    pub async fn history(&self, session: &str) -> Result<Option<Vec<SessionMessage>>, StoreError> {
        let session = session.to_owned();
        self.with(move |db| if exists(db, &session)? { history(db, &session).map(Some) } else { Ok(None) })
            .await
    }

    /// What all turns of a session were made from, joined.
    pub async fn label(&self, session: &str) -> Result<Label, StoreError> {
        let session = session.to_owned();
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT label FROM turns WHERE session = ?1")?;
            let rows = query.query_map([session], |row| row.get::<_, Option<String>>(0))?;
            let mut label = Label::owner();
            for row in rows {
                label.join(&turn_label(row?.as_deref())?);
            }
            Ok(label)
        })
        .await
    }

    /// Adds a whole turn or, when it fails, nothing of it.
    pub async fn append_turn(&self, session: &str, turn: &Turn) -> Result<(), StoreError> {
        let (id, turn) = (session.to_owned(), turn.clone());
        let found = self.with(move |db| append(db, &id, &turn)).await?;
        if found { Ok(()) } else { Err(StoreError::NoSession(session.into())) }
    }

    /// All sessions, the one used last first.
    pub async fn sessions(&self) -> Result<Vec<SessionSummary>, StoreError> {
        self.with(|db| {
            let mut query = db.prepare_cached(
                "SELECT s.id, s.created, s.updated, (SELECT count(*) FROM turns t WHERE t.session = s.id),
                   coalesce((SELECT m.content FROM messages m JOIN turns t ON m.turn = t.id
                             WHERE t.session = s.id AND m.role = 'user' ORDER BY m.id LIMIT 1), '')
                 FROM sessions s ORDER BY s.updated DESC, s.rowid DESC",
            )?;
            let rows = query.query_map([], |row| {
                Ok(SessionSummary {
                    id: row.get(0)?,
                    created: row.get(1)?,
                    updated: row.get(2)?,
                    turns: u64::from(row.get::<_, u32>(3)?),
                    first_question: row.get(4)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// Removes a session with all its messages, from the file too; false when there is none such.
    pub async fn delete_session(&self, session: &str) -> Result<bool, StoreError> {
        let session = session.to_owned();
        self.with(move |db| {
            let found = db.execute("DELETE FROM sessions WHERE id = ?1", [session])? > 0;
            if found {
                samples::checkpoint(db)?;
            }
            Ok(found)
        })
        .await
    }

    /// Runs a query off the async threads, since SQLite waits for the disk.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.shared.clone();
        let run = tokio::task::spawn_blocking(move || {
            // A panic cannot leave the database half changed: the transaction was rolled back.
            let mut db = shared.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            work(&mut db).map_err(|error| explain(&shared.path, error))
        });
        match run.await {
            Ok(result) => result,
            Err(error) => {
                Err(StoreError::Failed { path: self.shared.path.clone(), reason: error.to_string() })
            }
        }
    }
}

/// Words for SQLite's codes.
fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(path),
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly(path),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path, reason: error.to_string() }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::Open { path, reason: error.to_string() }
        }
        _ => StoreError::Failed { path, reason: error.to_string() },
    }
}

fn exists(db: &Connection, session: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?.exists([session])
}

fn append(db: &mut Connection, session: &str, turn: &Turn) -> rusqlite::Result<bool> {
    let change = db.transaction()?;
    let now = now();
    if change.execute("UPDATE sessions SET updated = ?2 WHERE id = ?1", params![session, now])? == 0 {
        return Ok(false);
    }
    change.execute(
        "INSERT INTO turns (session, at, model, adapter, citations, prompt_tokens, cached_tokens, completion_tokens, label)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            session,
            now,
            turn.model,
            turn.adapter,
            json(&turn.citations)?,
            turn.usage.prompt_tokens,
            turn.usage.cached_tokens,
            turn.usage.completion_tokens,
            json(&turn.label)?,
        ],
    )?;
    let id = change.last_insert_rowid();
    insert(&change, id, &Message::new(Role::User, turn.question.as_str()))?;
    for step in &turn.steps {
        insert(&change, id, step)?;
    }
    insert(&change, id, &Message::new(Role::Assistant, turn.answer.as_str()))?;
    change.commit()?;
    Ok(true)
}

/// A turn is the owner's own, whoever else had a part in it. One from before labels were kept may have
/// been made from anything.
fn turn_label(stored: Option<&str>) -> rusqlite::Result<Label> {
    let mut label = match stored {
        Some(text) => unjson(text)?,
        None => Label { untrusted: true, private: true, sources: ["an older conversation".into()].into() },
    };
    label.join(&Label::from(Origin::Owner, "earlier in this conversation"));
    Ok(label)
}

fn insert(db: &Connection, turn: i64, message: &Message) -> rusqlite::Result<()> {
    let calls = if message.tool_calls.is_empty() { None } else { Some(json(&message.tool_calls)?) };
    db.prepare_cached(
        "INSERT INTO messages (turn, role, content, tool_calls, tool_call_id) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![turn, message.role.as_str(), message.content, calls, message.tool_call_id])?;
    Ok(())
}

fn history(db: &Connection, session: &str) -> rusqlite::Result<Vec<SessionMessage>> {
    // The turn's last message is its answer.
    let mut query = db.prepare_cached(
        "SELECT m.role, m.content, m.tool_calls, m.tool_call_id, t.at, t.citations, t.model,
                m.id = (SELECT max(id) FROM messages WHERE turn = t.id)
         FROM messages m JOIN turns t ON m.turn = t.id WHERE t.session = ?1 ORDER BY m.id",
    )?;
    query.query_map([session], stored_message)?.collect()
}

fn stored_message(row: &Row<'_>) -> rusqlite::Result<SessionMessage> {
    let calls: Option<String> = row.get(2)?;
    let message = Message {
        role: role(&row.get::<_, String>(0)?)?,
        content: row.get(1)?,
        tool_calls: calls.map(|text| unjson::<Vec<ToolCall>>(&text)).transpose()?.unwrap_or_default(),
        tool_call_id: row.get(3)?,
    };
    let at = row.get(4)?;
    if !row.get::<_, bool>(7)? {
        return Ok(SessionMessage { message, at, citations: Vec::new(), model: None });
    }
    let citations = unjson(&row.get::<_, String>(5)?)?;
    Ok(SessionMessage { message, at, citations, model: Some(row.get(6)?) })
}

fn role(name: &str) -> rusqlite::Result<Role> {
    [Role::System, Role::User, Role::Assistant, Role::Tool]
        .into_iter()
        .find(|role| role.as_str() == name)
        .ok_or_else(|| {
            rusqlite::Error::FromSqlConversionFailure(
                0,
                rusqlite::types::Type::Text,
                format!("unknown role {name}").into(),
            )
        })
}

fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn unjson<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

/// 64 random bits, 5 to a character: short enough to type, too many to meet twice.
fn session_id(random: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    (0..13).map(|place| DIGITS[(random >> (place * 5)) as usize & 31] as char).collect()
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
