//! The search of GNOME Shell: `org.gnome.Shell.SearchProvider2`, as
//! <https://developer.gnome.org/documentation/tutorials/search-provider.html> describes it.

use super::super::error::Error;
use super::open::Click;
use super::rows::Row;
use super::{Finder, MOST};
use std::collections::HashMap;
use std::path::Path;
use zbus::interface;
use zbus::message::Header;
use zbus::zvariant::Value;

/// Where `config/dbus/familiar-search-provider.ini` says that it is.
pub const PATH: &str = "/org/familiar/Agent/SearchProvider";

/// Words of a query, and ids of one call, at most.
const WORDS: usize = 64;
const IDS: usize = 256;

type Meta = HashMap<&'static str, Value<'static>>;

pub struct Provider {
    finder: Finder,
}

impl Provider {
    pub fn new(finder: Finder) -> Provider {
        Provider { finder }
    }

    async fn found(&self, terms: &[String], header: &Header<'_>) -> Result<Vec<String>, Error> {
        let caller = self.finder.callers.admit(header).await?;
        let rows = self.finder.find(&caller, &query(terms)?).await?;
        Ok(rows.into_iter().map(|(id, _)| id).collect())
    }
}

#[interface(name = "org.gnome.Shell.SearchProvider2")]
impl Provider {
    #[zbus(out_args("results"))]
    async fn get_initial_result_set(
        &self,
        terms: Vec<String>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<String>, Error> {
        self.found(&terms, &header).await
    }

    /// A look-up is quick: it begins anew, whatever was found before.
    #[zbus(out_args("results"))]
    async fn get_subsearch_result_set(
        &self,
        _previous_results: Vec<String>,
        terms: Vec<String>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<String>, Error> {
        self.found(&terms, &header).await
    }

    #[zbus(out_args("metas"))]
    async fn get_result_metas(
        &self,
        identifiers: Vec<String>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<Meta>, Error> {
        let _caller = self.finder.callers.admit(&header).await?;
        if identifiers.len() > IDS {
            return Err(Error::TooLong(format!("`identifiers` has more than {IDS} ids")));
        }
        Ok(self.finder.known(&identifiers).into_iter().map(|(id, row)| meta(id, &row)).collect())
    }

    async fn activate_result(
        &self,
        identifier: String,
        _terms: Vec<String>,
        timestamp: u32,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let _caller = self.finder.callers.admit(&header).await?;
        match self.finder.row(&identifier)? {
            Row::File(hit) => {
                let place = Some(Row::place(&hit));
                self.finder.opener.open(Path::new(&hit.path), place, click(timestamp)).await
            }
            Row::Ask(question) => self.finder.opener.ask(&question, click(timestamp)),
        }
    }

    async fn launch_search(
        &self,
        terms: Vec<String>,
        timestamp: u32,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let _caller = self.finder.callers.admit(&header).await?;
        let question = query(&terms)?;
        if question.trim().is_empty() {
            return Err(Error::Usage("there is nothing to ask".into()));
        }
        self.finder.opener.ask(&question, click(timestamp))
    }
}

fn query(terms: &[String]) -> Result<String, Error> {
    let long = || Error::TooLong(format!("`terms` has more than {WORDS} words or {MOST} bytes"));
    let bytes: usize = terms.iter().map(String::len).sum();
    if terms.len() > WORDS || bytes > MOST - WORDS { Err(long()) } else { Ok(terms.join(" ")) }
}

fn meta(id: String, row: &Row) -> Meta {
    HashMap::from([
        ("id", id.into()),
        ("name", row.name().into()),
        ("description", row.description().into()),
        ("gicon", row.icon().into()),
    ])
}

/// By the Startup Notification protocol, an id that ends with the time of the click.
fn click(timestamp: u32) -> Option<Click> {
    let id = format!("familiar-{}_TIME{timestamp}", std::process::id());
    (timestamp > 0).then_some(Click("DESKTOP_STARTUP_ID", id))
}
