//! The installed plugins: a folder each, with the package and a record of what the owner said yes to. The
//! yes is bound to the package's digest, and the package is verified again whenever its file changed: a
//! plugin that is not what the owner saw is not used until they are asked again. It runs nothing.
//!
//! One process at a time writes here, the daemon; it holds the lock of the data folder. A kill at any moment
//! leaves a plugin as it was or as it was to be.

use super::disk::{self, Stamp};
use super::error::PluginsError;
use super::keys::Author;
use super::manifest::check_name;
use super::package::{self, Package};
use super::wish;
use crate::policy::grants::{Grants, Interface};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RECORD: &str = "installed.toml";
const AUTHORS: &str = "authors.toml";
/// No record is longer than this many bytes.
const LONGEST: usize = 1 << 20;

/// What the owner said yes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Of the package, which the yes is bound to.
    pub digest: String,
    /// BLAKE3 of the file as it lies here, and its name.
    pub file: String,
    pub author: Option<Author>,
    /// The owner said yes to it being used.
    pub enabled: bool,
    /// Where `--dev` looks for a rebuilt package.
    pub dev: Option<PathBuf>,
    pub granted: Grants,
    /// What an earlier package was granted, to show the owner what is new.
    pub before: Option<Grants>,
}

/// An installed plugin as it is at this moment.
#[derive(Debug, Clone)]
pub struct Installed {
    pub name: String,
    /// `None` where the record is damaged.
    pub record: Option<Record>,
    /// `None` where the package is not what was installed.
    pub package: Option<Arc<Package>>,
    pub file: PathBuf,
    /// Why it is not used. `None`: it is.
    pub inactive: Option<String>,
}

impl Installed {
    pub fn active(&self) -> bool {
        self.inactive.is_none()
    }

    /// Where manifest and owner agree; nothing for one that is not used.
    pub fn in_force(&self) -> Grants {
        match (&self.record, &self.package, &self.inactive) {
            (Some(record), Some(package), None) => package.manifest.wants().meet(&record.granted),
            _ => Grants::default(),
        }
    }
}

/// The owner's yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// To all that it asks for.
    All,
    /// To its use, and to these of its wishes.
    These(Grants),
    /// Not yet.
    No,
}

/// How a package is to be installed.
#[derive(Debug, Clone)]
pub struct Terms {
    pub consent: Consent,
    /// Take it unsigned, and a rebuilt one under the same path without asking.
    pub dev: bool,
    /// Take it from another author than before.
    pub new_author: bool,
    /// The package that the owner saw.
    pub digest: Option<String>,
}

/// A package that may be installed, and what it means beside what is known.
#[derive(Debug)]
pub struct Offer {
    pub package: Package,
    /// Who signed the plugins of this name until now.
    pub known: Option<Author>,
    pub current: Option<Installed>,
    /// What was granted to the one that is installed, or to one before it.
    pub before: Option<Grants>,
}

/// A package about to be installed.
pub struct Prepared {
    pub name: String,
    /// What the plugin of this name kept until now was somebody else's.
    pub other_author: bool,
    bytes: Vec<u8>,
    record: Record,
}

struct Entry {
    record: Result<Record, String>,
    /// The package with the stamp of its file when it was verified.
    verified: Option<(Stamp, Result<Arc<Package>, String>)>,
    /// The stamp of the file that `--dev` looks at.
    looked: Option<Stamp>,
}

/// Every plugin below one folder.
pub struct Registry {
    folder: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Registry {
    /// Reads what is installed below `folder`, which is made if absent, and sweeps what a kill left.
    pub fn open(folder: PathBuf) -> Result<Registry, PluginsError> {
        disk::make_folder(&folder).map_err(|error| unwritten(&folder, error))?;
        let mut registry = Registry { folder, entries: BTreeMap::new() };
        let listed = fs::read_dir(&registry.folder).map_err(|error| unread(&registry.folder, error))?;
        for found in listed {
            let found = found.map_err(|error| unread(&registry.folder, error))?;
            let name = found.file_name().to_string_lossy().into_owned();
            if check_name(&name).is_ok() && found.path().is_dir() {
                registry.find(name);
            }
        }
        Ok(registry)
    }

    fn find(&mut self, name: String) {
        let folder = self.folder.join(&name);
        let record = match read_record(&folder.join(RECORD)) {
            // Killed before the record was there: it never was installed.
            Err(PluginsError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                sweep(&folder, &[]);
                // Fails if somebody else keeps files there, which then stay.
                let _ = fs::remove_dir(&folder);
                return;
            }
            Err(error) => Err(error.to_string()),
            Ok(record) => {
                sweep(&folder, &[&record.file]);
                Ok(record)
            }
        };
        self.entries.insert(name, Entry { record, verified: None, looked: None });
    }

    /// Every installed plugin, by name.
    pub fn all(&mut self) -> Vec<Installed> {
        let names: Vec<String> = self.entries.keys().cloned().collect();
        names.iter().filter_map(|name| self.get(name)).collect()
    }

    /// One plugin, looked at anew where its file, or that of `--dev`, changed.
    pub fn get(&mut self, name: &str) -> Option<Installed> {
        self.rebuilt(name);
        let entry = self.entries.get_mut(name)?;
        let folder = self.folder.join(name);
        let record = match &entry.record {
            Ok(record) => record.clone(),
            Err(reason) => {
                let inactive = Some(format!("{reason}, or remove the plugin"));
                let file = folder.join(RECORD);
                return Some(Installed { name: name.into(), record: None, package: None, file, inactive });
            }
        };
        let file = file_of(&folder, &record.file);
        let package = verified(&mut entry.verified, &file, name, &record);
        let inactive = match &package {
            Err(reason) => Some(reason.clone()),
            Ok(_) if !record.enabled => {
                Some(format!("it waits for your yes: `familiar plugin grant {name}`"))
            }
            Ok(_) => None,
        };
        Some(Installed { name: name.into(), record: Some(record), package: package.ok(), file, inactive })
    }

    /// Takes over what `--dev` finds rebuilt. What it finds broken is left alone: the next build mends it.
    fn rebuilt(&mut self, name: &str) {
        let Some(Entry { record: Ok(record), looked, .. }) = self.entries.get_mut(name) else { return };
        let Some(path) = record.dev.clone() else { return };
        let Ok(stamp) = disk::stamp(&path) else { return };
        if stamp.is_some() && *looked == stamp {
            return;
        }
        *looked = stamp;
        let record = record.clone();
        if let Err(error) = self.take_over(name, &path, &record) {
            tracing::warn!(plugin = name, "the rebuilt package is not used: {error}");
        }
    }

    fn take_over(&mut self, name: &str, path: &Path, record: &Record) -> Result<(), PluginsError> {
        let bytes = disk::read(path, package::LARGEST).map_err(|error| unread(path, error))?;
        let package = admit(&bytes, &self.authors()?, true, false).map_err(|error| error.at(path))?;
        if package.file_digest == record.file || package.manifest.name != name {
            return Ok(());
        }
        let old = self.entries.get_mut(name).and_then(|entry| {
            verified(&mut entry.verified, &file_of(&self.folder.join(name), &record.file), name, record).ok()
        });
        // It was trusted for what it asked then; to ask for more is to ask again.
        let same = old.is_some_and(|old| asks_no_more(&package, &old));
        let record = Record {
            digest: package.digest.clone(),
            file: package.file_digest.clone(),
            author: package.author,
            enabled: record.enabled && same,
            before: if same { record.before.clone() } else { Some(record.granted.clone()) },
            granted: if same { record.granted.clone() } else { Grants::default() },
            dev: record.dev.clone(),
        };
        self.store(name, &bytes, record)
    }

    /// What installing a file would mean. Changes nothing.
    pub fn consider(&mut self, file: &Path, dev: bool, new_author: bool) -> Result<Offer, PluginsError> {
        let bytes = disk::read(file, package::LARGEST).map_err(|error| unread(file, error))?;
        let authors = self.authors()?;
        let package = admit(&bytes, &authors, dev, new_author).map_err(|error| error.at(file))?;
        let name = package.manifest.name.clone();
        let current = self.get(&name);
        let before = current.as_ref().and_then(|current| current.record.as_ref()).and_then(granted_before);
        Ok(Offer { known: authors.get(&name).copied(), current, before, package })
    }

    /// Decides how a package would be installed in place of an earlier one of its name. Changes nothing.
    pub fn prepare(&mut self, file: &Path, terms: &Terms) -> Result<Prepared, PluginsError> {
        let bytes = disk::read(file, package::LARGEST).map_err(|error| unread(file, error))?;
        let authors = self.authors()?;
        let package = admit(&bytes, &authors, terms.dev, terms.new_author).map_err(|error| error.at(file))?;
        if terms.digest.as_ref().is_some_and(|seen| *seen != package.digest) {
            return Err(PluginsError::OtherDigest { file: file.to_owned(), found: package.digest });
        }
        let name = package.manifest.name.clone();
        let earlier = self.entries.get(&name).and_then(|entry| entry.record.as_ref().ok());
        let (enabled, granted, before) = match (&terms.consent, earlier) {
            // The very package that the owner said yes to.
            (Consent::No, Some(earlier))
                if (&earlier.digest, earlier.author) == (&package.digest, package.author) =>
            {
                (earlier.enabled, earlier.granted.clone(), earlier.before.clone())
            }
            (consent, earlier) => {
                let granted = granted(&package, consent)?;
                (*consent != Consent::No, granted, earlier.and_then(granted_before))
            }
        };
        let other_author = earlier.is_some_and(|earlier| earlier.author != package.author)
            || package.author.is_some()
                && authors.get(&name).is_some_and(|known| package.author != Some(*known));
        let record = Record {
            digest: package.digest.clone(),
            file: package.file_digest.clone(),
            author: package.author,
            enabled,
            dev: terms.dev.then(|| file.to_owned()),
            granted,
            before,
        };
        Ok(Prepared { name, other_author, bytes, record })
    }

    /// Installs what was prepared.
    pub fn install(&mut self, prepared: Prepared) -> Result<Installed, PluginsError> {
        let Prepared { name, bytes, record, .. } = prepared;
        let authors = self.authors()?;
        if let Some(author) = record.author.filter(|author| authors.get(&name) != Some(author)) {
            self.trust(authors, &name, author)?;
        }
        self.store(&name, &bytes, record)?;
        self.get(&name).ok_or(PluginsError::NotInstalled(name))
    }

    /// Forgets a plugin. Its author stays known.
    pub fn remove(&mut self, name: &str) -> Result<(), PluginsError> {
        if self.entries.remove(name).is_none() {
            return Err(PluginsError::NotInstalled(name.into()));
        }
        let folder = self.folder.join(name);
        match fs::remove_file(folder.join(RECORD)).and_then(|()| disk::sync(&folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritten(&folder, error)),
            _ => {}
        }
        fs::remove_dir_all(&folder).map_err(|error| unwritten(&folder, error))
    }

    /// Grants more, and says yes to the plugin's use.
    pub fn grant(&mut self, name: &str, consent: &Consent) -> Result<Installed, PluginsError> {
        let (record, package) = self.sound(name)?;
        let given = granted(&package, consent)?;
        let interfaces = Interface::ALL.into_iter().filter(|interface| given.has(*interface));
        let granted =
            interfaces.fold(record.granted.clone(), |all, interface| wish::with(&all, &given, interface));
        self.rewrite(name, Record { granted, enabled: true, before: None, ..record })
    }

    /// Takes one grant back, or, without one named, all of them and the yes to its use.
    pub fn revoke(&mut self, name: &str, interface: Option<Interface>) -> Result<Installed, PluginsError> {
        let entry = self.entries.get(name).ok_or_else(|| PluginsError::NotInstalled(name.into()))?;
        let record = entry.record.clone().map_err(|reason| self.inactive(name, reason))?;
        let record = match interface {
            Some(interface) => Record { granted: wish::without(&record.granted, interface), ..record },
            None => Record { granted: Grants::default(), enabled: false, ..record },
        };
        self.rewrite(name, record)
    }

    /// The record of a plugin whose package is the one that was installed.
    fn sound(&mut self, name: &str) -> Result<(Record, Arc<Package>), PluginsError> {
        let found = self.get(name).ok_or_else(|| PluginsError::NotInstalled(name.into()))?;
        match (found.record, found.package) {
            (Some(record), Some(package)) => Ok((record, package)),
            _ => Err(self.inactive(name, found.inactive.unwrap_or_default())),
        }
    }

    fn inactive(&self, name: &str, reason: String) -> PluginsError {
        PluginsError::Inactive { name: name.into(), reason }
    }

    fn rewrite(&mut self, name: &str, record: Record) -> Result<Installed, PluginsError> {
        write_record(&self.folder.join(name).join(RECORD), &record)?;
        if let Some(entry) = self.entries.get_mut(name) {
            entry.record = Ok(record);
        }
        self.get(name).ok_or_else(|| PluginsError::NotInstalled(name.into()))
    }

    /// Who signed the plugins of a name, also of those that are gone. Damaged, nothing can be installed.
    fn authors(&self) -> Result<BTreeMap<String, Author>, PluginsError> {
        match parsed(&self.folder.join(AUTHORS)) {
            Err(PluginsError::Read { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Ok(BTreeMap::new())
            }
            found => found,
        }
    }

    fn trust(
        &self,
        mut authors: BTreeMap<String, Author>,
        name: &str,
        author: Author,
    ) -> Result<(), PluginsError> {
        authors.insert(name.into(), author);
        let file = self.folder.join(AUTHORS);
        let text = toml::to_string(&authors).map_err(|error| unwritten(&file, io::Error::other(error)))?;
        disk::replace(&file, text.as_bytes()).map_err(|error| unwritten(&file, error))
    }

    /// First the package, then the record that names it: only with the record is it installed.
    fn store(&mut self, name: &str, bytes: &[u8], record: Record) -> Result<(), PluginsError> {
        let folder = self.folder.join(name);
        disk::make_folder(&folder).map_err(|error| unwritten(&folder, error))?;
        let file = file_of(&folder, &record.file);
        disk::replace(&file, bytes).map_err(|error| unwritten(&file, error))?;
        write_record(&folder.join(RECORD), &record)?;
        let earlier = self.entries.remove(name);
        // The one before stays for a call that has just been begun with it.
        let before = earlier.as_ref().and_then(|entry| entry.record.as_ref().ok());
        sweep(&folder, &[&record.file, before.map_or(&record.file, |before| &before.file)]);
        let looked = earlier.and_then(|entry| entry.looked);
        self.entries.insert(name.into(), Entry { record: Ok(record), verified: None, looked });
        Ok(())
    }
}

/// Why a package is not taken; the file that it came from is added later.
enum Refused {
    Package(package::PackageError),
    Other(PluginsError),
}

impl Refused {
    fn at(self, file: &Path) -> PluginsError {
        match self {
            Refused::Package(error) => PluginsError::Package { file: file.to_owned(), error },
            Refused::Other(error) => error,
        }
    }
}

/// Whether a package may be installed: it is whole, signed, and by the author who is known for its name.
fn admit(
    bytes: &[u8],
    authors: &BTreeMap<String, Author>,
    dev: bool,
    new_author: bool,
) -> Result<Package, Refused> {
    let package = package::read(bytes).map_err(Refused::Package)?;
    let name = package.manifest.name.clone();
    match (package.author, authors.get(&name)) {
        (None, _) if !dev => Err(Refused::Other(PluginsError::Unsigned { name })),
        (Some(found), Some(known)) if found != *known && !new_author => {
            Err(Refused::Other(PluginsError::OtherAuthor { name, known: *known, found }))
        }
        _ => Ok(package),
    }
}

/// The package of a record, verified unless its file has the stamp that it had then.
fn verified(
    cache: &mut Option<(Stamp, Result<Arc<Package>, String>)>,
    file: &Path,
    name: &str,
    record: &Record,
) -> Result<Arc<Package>, String> {
    // Taken before the file is read: a change in between shows the next time.
    let stamp = disk::stamp(file).ok().flatten();
    if let (Some((known, found)), Some(stamp)) = (&*cache, &stamp)
        && known == stamp
    {
        return found.clone();
    }
    let found = verify(file, name, record);
    *cache = stamp.map(|stamp| (stamp, found.clone()));
    found
}

fn verify(file: &Path, name: &str, record: &Record) -> Result<Arc<Package>, String> {
    let changed = |why: String| {
        format!("its file is not the one that you said yes to ({why}): install it again, or remove it")
    };
    let bytes = disk::read(file, package::LARGEST)
        .map_err(|error| changed(format!("{}: {error}", file.display())))?;
    if blake3::hash(&bytes).to_hex().as_str() != record.file {
        return Err(changed(format!("{} was changed on disk", file.display())));
    }
    let package = package::read(&bytes).map_err(|error| changed(error.to_string()))?;
    let known = (&record.digest, record.author, name);
    if (&package.digest, package.author, package.manifest.name.as_str()) != known {
        return Err(changed("its record names another package".into()));
    }
    Ok(Arc::new(package))
}

/// Whether a rebuilt package asks for nothing new.
fn asks_no_more(new: &Package, old: &Package) -> bool {
    let (new, old) = (&new.manifest, &old.manifest);
    wish::within(new.wants(), old.wants())
        && new.credentials.iter().all(|credential| old.credentials.contains(credential))
}

/// What a yes means for this package.
fn granted(package: &Package, consent: &Consent) -> Result<Grants, PluginsError> {
    let (name, wants) = (&package.manifest.name, package.manifest.wants());
    match consent {
        Consent::No => Ok(Grants::default()),
        Consent::All => Ok(wants.clone()),
        Consent::These(grants) => {
            wish::check(grants).map_err(PluginsError::Grant)?;
            let met = wants.meet(grants);
            for interface in Interface::ALL.into_iter().filter(|interface| grants.has(*interface)) {
                if !wants.has(interface) {
                    let (name, interface) = (name.clone(), interface.to_string());
                    return Err(PluginsError::NotAsked { name, interface });
                }
                let nothing = match interface {
                    Interface::Http => {
                        met.http.as_ref().is_none_or(|http| http.hosts.is_empty() || http.methods.is_empty())
                    }
                    _ => !met.has(interface),
                };
                if nothing {
                    let what = format!("it has nothing in common with what {name} asks for in `{interface}`");
                    return Err(PluginsError::Grant(what));
                }
            }
            Ok(grants.clone())
        }
    }
}

fn granted_before(record: &Record) -> Option<Grants> {
    if record.enabled { Some(record.granted.clone()) } else { record.before.clone() }
}

fn file_of(folder: &Path, digest: &str) -> PathBuf {
    folder.join(format!("{digest}.wasm"))
}

/// Deletes packages but those of these digests, and what was not written to its end.
fn sweep(folder: &Path, keep: &[&str]) {
    let Ok(listed) = fs::read_dir(folder) else { return };
    for path in listed.filter_map(|found| Some(found.ok()?.path())) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let ours = match path.extension().and_then(|extension| extension.to_str()) {
            Some("wasm") => !keep.contains(&stem),
            Some(extension) => extension == disk::UNFINISHED,
            None => false,
        };
        if ours && let Err(error) = fs::remove_file(&path) {
            tracing::warn!("{} cannot be deleted: {error}", path.display());
        }
    }
}

fn read_record(file: &Path) -> Result<Record, PluginsError> {
    let record: Record = parsed(file)?;
    let digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // It becomes a part of a path.
    if !digest(&record.file) || !digest(&record.digest) {
        return Err(PluginsError::Damaged {
            file: file.to_owned(),
            why: "a digest has 64 hex digits".into(),
        });
    }
    Ok(record)
}

fn write_record(file: &Path, record: &Record) -> Result<(), PluginsError> {
    let text = toml::to_string(record).map_err(|error| unwritten(file, io::Error::other(error)))?;
    disk::replace(file, text.as_bytes()).map_err(|error| unwritten(file, error))
}

fn parsed<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, PluginsError> {
    let bytes = disk::read(file, LONGEST).map_err(|error| unread(file, error))?;
    let damaged = |why: String| PluginsError::Damaged { file: file.to_owned(), why };
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8".into()))?;
    toml::from_str(&text).map_err(|error| damaged(error.message().replace('\n', ", ")))
}

fn unread(file: &Path, error: io::Error) -> PluginsError {
    PluginsError::Read { file: file.to_owned(), error }
}

fn unwritten(file: &Path, error: io::Error) -> PluginsError {
    PluginsError::Write { file: file.to_owned(), error }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
