//! The search of KDE Plasma: `org.kde.krunner1`, as KRunner's own introspection of it says.

use super::super::error::Error;
use super::Finder;
use super::open::Click;
use super::rows::Row;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use zbus::interface;
use zbus::message::Header;
use zbus::zvariant::Value;

/// Where `config/dbus/familiar-krunner.desktop` says that it is.
pub const PATH: &str = "/org/familiar/Agent/KRunner";

/// `KRunner::QueryMatch`'s types "possible" and "completion".
const POSSIBLE: i32 = 30;
const COMPLETION: i32 = 10;
/// How relevant the best file is, of 1, and the row that asks: files that match by name should come first.
const BEST: f64 = 0.7;
const ASK: f64 = 0.05;

/// The one action beside opening a file.
const FOLDER: &str = "folder";
/// Bytes of what a compositor says of a click.
const TOKEN: usize = 256;

/// Id, text, icon, type, relevance, properties.
type Match = (String, String, &'static str, i32, f64, HashMap<&'static str, Value<'static>>);

pub struct Runner {
    finder: Finder,
    /// What the compositor said of the click that a `Run` is about to follow.
    token: Mutex<Option<String>>,
}

impl Runner {
    pub fn new(finder: Finder) -> Runner {
        Runner { finder, token: Mutex::default() }
    }

    fn token(&self) -> MutexGuard<'_, Option<String>> {
        self.token.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[interface(name = "org.kde.krunner1")]
impl Runner {
    #[zbus(name = "Match", out_args("matches"))]
    async fn matches(&self, query: String, #[zbus(header)] header: Header<'_>) -> Result<Vec<Match>, Error> {
        let caller = self.finder.callers.admit(&header).await?;
        let rows = self.finder.find(&caller, &query).await?;
        let best = rows.iter().map(|(_, row)| score(row)).fold(f64::MIN_POSITIVE, f64::max);
        Ok(rows.into_iter().map(|(id, row)| shown(id, &row, best)).collect())
    }

    /// Id, text and icon of each.
    #[zbus(out_args("actions"))]
    async fn actions(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        vec![(FOLDER, "Open the folder", "folder-open")]
    }

    async fn run(
        &self,
        match_id: String,
        action_id: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let _caller = self.finder.callers.admit(&header).await?;
        let click = self.token().take().map(|token| Click("XDG_ACTIVATION_TOKEN", token));
        match (self.finder.row(&match_id)?, action_id.as_str()) {
            (Row::Ask(question), "") => self.finder.opener.ask(&question, click),
            (Row::File(hit), "") => {
                self.finder.opener.open(Path::new(&hit.path), Some(Row::place(&hit)), click).await
            }
            (Row::File(hit), FOLDER) => {
                let folder = Path::new(&hit.path).parent().unwrap_or(Path::new("/"));
                self.finder.opener.open(folder, None, click).await
            }
            _ => Err(Error::Usage("there is no such action".into())),
        }
    }

    /// Comes before `Run`.
    async fn set_activation_token(
        &self,
        token: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let _caller = self.finder.callers.admit(&header).await?;
        Error::if_longer("token", &token, TOKEN)?;
        *self.token() = Some(token).filter(|token| !token.is_empty());
        Ok(())
    }

    /// A search is over; nothing is kept for it that is not forgotten anyway.
    async fn teardown(&self) {}
}

fn score(row: &Row) -> f64 {
    match row {
        Row::File(hit) => f64::from(hit.score),
        Row::Ask(_) => 0.0,
    }
}

fn shown(id: String, row: &Row, best: f64) -> Match {
    let mut properties = HashMap::from([("subtext", Value::from(row.description()))]);
    let (kind, relevance) = match row {
        Row::File(hit) => {
            properties.insert("urls", vec![url(&hit.path)].into());
            (POSSIBLE, (BEST * score(row) / best).max(ASK * 2.0))
        }
        Row::Ask(_) => {
            properties.insert("actions", Vec::<String>::new().into());
            (COMPLETION, ASK)
        }
    };
    (id, row.name(), row.icon(), kind, relevance, properties)
}

/// A `file:` URL.
fn url(path: &str) -> String {
    url::Url::from_file_path(path).map(String::from).unwrap_or_default()
}
