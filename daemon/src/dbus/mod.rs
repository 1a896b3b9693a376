//! The desktop's doors on the session's D-Bus: `org.familiar.Agent` for programs, the search of GNOME and KDE, and notifications. They
//! check who calls and what was given, forward to handles, and put what comes back into D-Bus's types; they hold one
//! connection to the bus and nothing else, and never answer anything by themselves. Searching never loads a model.

mod address;
mod agent;
mod callers;
mod error;
mod live;
mod notify;
mod options;
mod outlet;
mod requests;
mod search;
mod strict;

use crate::config::DesktopConfig;
use crate::daemon::Handles;
use crate::protocol::http::DesktopStatus;
use crate::store::Store;
use address::Bus;
use agent::Agent;
use callers::Callers;
use futures::StreamExt;
use requests::Requests;
use std::time::Duration;
use strict::Strict;
use tokio::sync::watch;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::{DBusProxy, RequestNameFlags};

/// What the daemon is called on the bus.
const NAME: &str = "org.familiar.Agent";
/// For the bus to let the daemon in.
const PATIENCE: Duration = Duration::from_secs(25);

/// Why the desktop has no door, or has none any more. The daemon goes on without.
#[derive(Debug, thiserror::Error)]
enum DesktopError {
    #[error("off in the settings (desktop.dbus)")]
    Off,
    #[error("there is no session bus here")]
    NoBus,
    #[error("the session bus is at {0:?}, which is not used: only a unix socket is")]
    Foreign(String),
    #[error("the session bus did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the session bus refused: {0}")]
    Refused(#[from] zbus::Error),
    #[error("another program is {NAME} on the session bus: end it, then start the daemon again")]
    Taken,
    #[error("the session bus is gone: start the daemon again to be on the new one")]
    Lost,
}

impl DesktopError {
    fn state(&self) -> &'static str {
        match self {
            DesktopError::Off => "off",
            DesktopError::NoBus => "no_bus",
            DesktopError::Foreign(_) | DesktopError::Silent | DesktopError::Refused(_) => "refused",
            DesktopError::Taken => "taken",
            DesktopError::Lost => "lost",
        }
    }
}

/// Serves until `handles.stop` is true, then gives running answers a moment to end. Without a bus it says so in the log
/// and to whoever holds the other end of `told`, and does nothing more.
pub async fn serve(handles: Handles, store: Store, told: watch::Sender<DesktopStatus>) {
    let tell = |state: &str, says: String| told.send_replace(DesktopStatus { state: state.into(), says });
    tell("starting", "the session bus is asked".into());
    let mut stop = handles.stop.subscribe();
    let opened = tokio::select! {
        opened = open(&handles, store) => opened,
        _ = stop.wait_for(|&stop| stop) => return,
    };
    let ended = match opened {
        Ok(desk) => {
            tracing::info!("serving {NAME} on the session bus");
            tell("serving", format!("{NAME} on the session bus"));
            desk.serve(&handles).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        match error {
            DesktopError::Off | DesktopError::NoBus => tracing::info!("no desktop: {error}"),
            _ => tracing::warn!("no desktop: {error}"),
        }
        tell(error.state(), error.to_string());
    }
}

/// The connection, with all that it serves.
struct Desk {
    connection: Connection,
    bus: DBusProxy<'static>,
    agent: Agent,
    requests: Requests,
    settings: DesktopConfig,
}

async fn open(handles: &Handles, store: Store) -> Result<Desk, DesktopError> {
    let settings = handles.config.borrow().desktop.clone();
    if !settings.dbus {
        return Err(DesktopError::Off);
    }
    let address = match address::session(|name| std::env::var_os(name), |path| path.exists()) {
        Bus::At(address) => address,
        Bus::None => return Err(DesktopError::NoBus),
        Bus::Foreign(address) => return Err(DesktopError::Foreign(address)),
    };
    let connecting = tokio::time::timeout(PATIENCE, Builder::address(address.as_str())?.build());
    let connection = connecting.await.map_err(|_| DesktopError::Silent)??;
    let bus = DBusProxy::new(&connection).await?;
    let callers = Callers::new(bus.clone(), callers::LIMITS);
    let requests = Requests::new(callers.clone());
    let agent = Agent::new(handles.clone(), store, callers.clone(), requests.clone());
    let server = connection.object_server();
    server.at(agent::PATH, Strict::new(agent.clone())).await?;
    if settings.search_providers {
        search::offer(server, handles.clone(), callers).await?;
    }
    // Last, so that who waits for the name finds everything there.
    match connection.request_name_with_flags(NAME, RequestNameFlags::DoNotQueue.into()).await {
        Ok(_) => Ok(Desk { connection, bus, agent, requests, settings }),
        Err(zbus::Error::NameTaken) => Err(DesktopError::Taken),
        Err(error) => Err(error.into()),
    }
}

impl Desk {
    /// Until the daemon stops, or the bus does.
    async fn serve(self, handles: &Handles) -> Result<(), DesktopError> {
        let Desk { connection, bus, agent, requests, settings } = self;
        let mut stop = handles.stop.subscribe();
        // It ends with the connection; nobody takes the name away, since it was not offered.
        let mut lost = bus.receive_name_lost().await?;
        tokio::select! {
            _ = lost.next() => return Err(DesktopError::Lost),
            Err(error) = live::tell(&connection, &agent, handles) => {
                tracing::debug!("changes are told no more: {error}");
                return Err(DesktopError::Lost);
            }
            Err(error) = notify::tell(&connection, handles, &settings), if settings.notifications => {
                tracing::debug!("nothing is notified any more: {error}");
                return Err(DesktopError::Lost);
            }
            _ = stop.wait_for(|&stop| stop) => {}
        }
        // A client that comes now starts another daemon. What the bus says to it matters to nobody any more.
        let _ = connection.release_name(NAME).await;
        requests.stop().await;
        let _ = connection.close().await;
        Ok(())
    }
}
