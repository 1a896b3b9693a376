//! The one handle on plugins: what is installed, what their tools are, and running them. It joins registry,
//! secrets and runtime; it decides nothing that an approval is needed for, and does no effect by itself.

use super::error::PluginsError;
use super::registry::{Consent, Installed, Offer, Prepared, Registry, Terms};
use super::runtime::{Run, Runtime};
use super::schema::Tool;
use super::secrets::{self, Secret};
use super::services::{Calling, HostServices};
use crate::policy::grants::Interface;
use crate::protocol::http::WorkerStatus;
use crate::protocol::plugins::{Called, Limits};
use crate::types::{Label, ToolSpec};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Between the plugin's name and its tool's, in what a model is offered. Neither name holds it.
const BETWEEN: &str = "__";

/// What one call may use.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Not counting the wait for the owner.
    pub deadline: Duration,
    pub limits: Limits,
}

/// A credential as it goes into a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// The one host that it may be sent to, with a port if the manifest has one.
    pub host: String,
    pub name: String,
    pub value: String,
    /// The value without the manifest's prefix.
    pub bare: String,
}

/// Without the value, so that no log holds it.
impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Header({}: … to {})", self.name, self.host)
    }
}

/// Plugins; cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    registry: Arc<Mutex<Registry>>,
    secrets: Arc<Path>,
    runtime: Runtime,
}

impl Plugins {
    /// Reads what is installed below `folder`; `secrets` is the file of credentials.
    pub fn open(folder: PathBuf, secrets: PathBuf, runtime: Runtime) -> Result<Plugins, PluginsError> {
        let registry = Arc::new(Mutex::new(Registry::open(folder)?));
        Ok(Plugins { registry, secrets: secrets.into(), runtime })
    }

    /// Every installed plugin, by name.
    pub fn installed(&self) -> Vec<Installed> {
        self.lock().all()
    }

    pub fn get(&self, name: &str) -> Result<Installed, PluginsError> {
        self.lock().get(name).ok_or_else(|| PluginsError::NotInstalled(name.into()))
    }

    /// The tools of the plugins that are in use, as a model is told of them.
    pub fn tools(&self) -> Vec<ToolSpec> {
        let mut specs = Vec::new();
        for plugin in self.installed().into_iter().filter(Installed::active) {
            for tool in plugin.package.iter().flat_map(|package| &package.tools) {
                specs.push(ToolSpec {
                    name: full_name(&plugin.name, &tool.name),
                    description: tool.description.clone(),
                    parameters: tool.parameters.to_string(),
                });
            }
        }
        specs
    }

    /// The plugin, in use or not, and the tool that a full name such as `web-fetch__fetch` means.
    pub fn find(&self, full_name: &str) -> Option<(Installed, Tool)> {
        let (plugin, tool) = self.look_up(full_name)?;
        Some((plugin, tool?))
    }

    /// A plugin that was changed on disk has no tools that are known.
    fn look_up(&self, full_name: &str) -> Option<(Installed, Option<Tool>)> {
        let (plugin, tool) = full_name.split_once(BETWEEN)?;
        let found = self.lock().get(plugin)?;
        let tool = found.package.as_ref().and_then(|package| package.tool(tool)).cloned();
        Some((found, tool))
    }

    /// The plugin and the tool that a call means, whose arguments fit. Reads the disk, and long arguments take a
    /// while to check.
    fn ready(&self, full_name: &str, arguments: &str) -> Result<(Installed, Tool), PluginsError> {
        let no_tool = || PluginsError::NoTool(full_name.into());
        let (plugin, tool) = self.look_up(full_name).ok_or_else(no_tool)?;
        if let Some(reason) = plugin.inactive.clone() {
            return Err(PluginsError::Inactive { name: plugin.name, reason });
        }
        let tool = tool.ok_or_else(no_tool)?;
        let wrong = |why| PluginsError::Arguments { tool: full_name.into(), why };
        tool.check_arguments(arguments).map_err(wrong)?;
        Ok((plugin, tool))
    }

    /// What installing a package would mean.
    pub async fn consider(&self, file: PathBuf, dev: bool, new_author: bool) -> Result<Offer, PluginsError> {
        self.blocking(move |registry| registry.consider(&file, dev, new_author)).await
    }

    /// Makes all ready for a package to be installed, once it is known to run here. Changes nothing.
    pub async fn prepare(&self, file: PathBuf, terms: Terms) -> Result<Prepared, PluginsError> {
        let offer = self.consider(file.clone(), terms.dev, terms.new_author).await?;
        let name = offer.package.manifest.name.clone();
        let loaded = self.runtime.load(&file, &offer.package.file_digest).await;
        loaded.map_err(|error| PluginsError::Run { name, error })?;
        // The very file that was loaded, whatever lies there by now.
        let terms = Terms { digest: terms.digest.or(Some(offer.package.digest)), ..terms };
        self.blocking(move |registry| registry.prepare(&file, &terms)).await
    }

    /// Installs what was prepared. Running calls of the package before it end on that.
    pub async fn install(&self, prepared: Prepared) -> Result<Installed, PluginsError> {
        self.blocking(move |registry| registry.install(prepared)).await
    }

    /// Ends the calls of a plugin and forgets its credentials, which are not for another author's.
    pub async fn disown(&self, name: &str) -> Result<(), PluginsError> {
        self.runtime.end_calls(name);
        let (owned, secrets) = (name.to_owned(), self.secrets.clone());
        self.blocking(move |_| Ok(secrets::forget(&secrets, &owned)?)).await
    }

    /// Forgets a plugin and its credentials, and ends its calls.
    pub async fn remove(&self, name: &str) -> Result<(), PluginsError> {
        let file_digest = self.get(name)?.record.map(|record| record.file);
        let (owned, secrets) = (name.to_owned(), self.secrets.clone());
        self.blocking(move |registry| {
            registry.remove(&owned)?;
            Ok(secrets::forget(&secrets, &owned)?)
        })
        .await?;
        self.runtime.end_calls(name);
        if let Some(digest) = file_digest {
            self.runtime.unload(&digest).await;
        }
        Ok(())
    }

    pub async fn grant(&self, name: &str, consent: Consent) -> Result<Installed, PluginsError> {
        let name = name.to_owned();
        self.blocking(move |registry| registry.grant(&name, &consent)).await
    }

    /// Takes one grant back, or all of them and the yes to the plugin's use. Calls that run with them end.
    pub async fn revoke(&self, name: &str, interface: Option<Interface>) -> Result<Installed, PluginsError> {
        let owned = name.to_owned();
        let left = self.blocking(move |registry| registry.revoke(&owned, interface)).await?;
        self.runtime.end_calls(name);
        Ok(left)
    }

    /// Keeps a credential of a plugin, for the host that its manifest names.
    pub async fn set_secret(&self, name: &str, credential: &str, value: String) -> Result<(), PluginsError> {
        let unknown = || PluginsError::NoCredential { name: name.into(), credential: credential.into() };
        let package = self.get(name)?.package.ok_or_else(unknown)?;
        let host = package.manifest.credential(credential).ok_or_else(unknown)?.host.clone();
        let (secrets, name, credential) = (self.secrets.clone(), name.to_owned(), credential.to_owned());
        self.blocking(move |_| Ok(secrets::set(&secrets, &name, &credential, Secret { host, value })?)).await
    }

    /// Names of the credentials that the owner gave to a plugin.
    pub fn secrets_of(&self, name: &str) -> Vec<String> {
        secrets::names(&self.secrets, name).unwrap_or_default()
    }

    /// The credential that a request of the plugin names, of the package with this digest alone.
    ///
    /// # Errors
    /// A sentence for the plugin and its author.
    pub fn credential(&self, plugin: &str, digest: &str, name: &str) -> Result<Header, String> {
        let installed = self.get(plugin).map_err(|error| error.to_string())?;
        let package = installed.package.filter(|package| package.digest == digest);
        let package = package.ok_or_else(|| format!("{plugin} was changed meanwhile"))?;
        let declared = package.manifest.credential(name);
        let declared = declared.ok_or_else(|| format!("plugin.toml names no credential `{name}`"))?;
        let secret = secrets::get(&self.secrets, plugin, name).map_err(|error| error.to_string())?;
        let secret = secret.filter(|secret| secret.host == declared.host).ok_or_else(|| {
            format!("the owner gave no credential `{name}`: `familiar plugin secret {plugin} {name}`")
        })?;
        let value = format!("{}{}", declared.prefix, secret.value);
        Ok(Header { host: secret.host, name: declared.header.clone(), value, bare: secret.value })
    }

    /// Runs a tool by its full name. `label` is that of the text which led to the call.
    ///
    /// # Errors
    /// [`PluginsError::Arguments`] before anything ran, for whoever wrote them; a tool's own failure is
    /// part of [`Called`].
    #[expect(clippy::too_many_arguments, reason = "each is another thing that the call is told")]
    pub async fn call(
        &self,
        full_name: &str,
        arguments: &str,
        session: &str,
        language: &str,
        label: Label,
        services: Arc<dyn HostServices>,
        limits: CallLimits,
    ) -> Result<Called, PluginsError> {
        let (plugins, wanted, given) = (self.clone(), full_name.to_owned(), arguments.to_owned());
        let ready = move || plugins.ready(&wanted, &given).map(|(plugin, tool)| (plugin, tool, given));
        let (plugin, tool, arguments) = unblocked(ready).await?;
        let grants = plugin.in_force();
        let Installed { name, record: Some(record), file, .. } = plugin else {
            return Err(PluginsError::NoTool(full_name.into()));
        };
        let run = Run {
            file,
            file_digest: record.file,
            tool: tool.name.clone(),
            arguments,
            language: language.into(),
            limits: limits.limits,
            deadline: limits.deadline,
            calling: Arc::new(Calling::new(&name, &record.digest, &tool.name, session, grants, label)),
        };
        self.runtime.call(run, services).await.map_err(|error| PluginsError::Run { name, error })
    }

    pub fn status(&self) -> WorkerStatus {
        self.runtime.status()
    }

    /// Ends the processes. Running calls fail.
    pub async fn stop(&self) {
        self.runtime.stop().await;
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Work on the disk, off the threads that answer.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Registry) -> Result<T, PluginsError> + Send + 'static,
    ) -> Result<T, PluginsError> {
        let plugins = self.clone();
        unblocked(move || work(&mut plugins.lock())).await
    }
}

async fn unblocked<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PluginsError> + Send + 'static,
) -> Result<T, PluginsError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What a model calls a plugin's tool.
pub fn full_name(plugin: &str, tool: &str) -> String {
    format!("{plugin}{BETWEEN}{tool}")
}
