//! A session bus of one's own with a daemon on it.

use crate::support::{Home, LIMIT, path, wait_for};
use futures::StreamExt;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use zbus::zvariant::{DynamicType, OwnedValue, Type, Value};
use zbus::{Connection, Message, MessageStream, Proxy};

pub const NAME: &str = "org.familiar.Agent";
pub const PATH: &str = "/org/familiar/Agent";
pub const AGENT: &str = "org.familiar.Agent1";

/// Settings that keep answers short.
pub const SHORT: &str = "[model]\nthreads = 1\n[ask]\npassages = 2\nmax_tokens = 24\n";
pub const KEY: &str = "# Notes\n\nThe spare key is under the blue flower pot.\n";
pub const WHERE: &str = "Where is the spare key?";

/// An `a{sv}` without anything in it.
pub fn none() -> HashMap<&'static str, Value<'static>> {
    HashMap::new()
}

/// A session's bus as its own configuration has it, but that it starts no programs of the machine's.
fn bus_config(socket: &str, more: &str) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default">{more}<allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/></policy>
<limit name="max_replies_per_connection">50000</limit><limit name="max_match_rules_per_connection">50000</limit>
</busconfig>
"#
    )
}

/// A `dbus-daemon` that ends with this.
pub struct Bus {
    daemon: Child,
    pub address: String,
}

impl Bus {
    pub fn start(folder: &Path) -> Bus {
        Bus::with(folder, "")
    }

    /// One to which everybody may come; to a session's own, nobody else may.
    pub fn open(folder: &Path) -> Bus {
        Bus::with(folder, r#"<allow user="*"/>"#)
    }

    fn with(folder: &Path, more: &str) -> Bus {
        let (config, socket) = (folder.join("bus.conf"), folder.join("bus"));
        std::fs::write(&config, bus_config(path(&socket), more)).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address", "--config-file", path(&config)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is needed: tests/run.sh installs it");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Bus { daemon, address: address.trim().to_owned() }
    }

    pub fn stop(&mut self) {
        // Ended already when a test has stopped it.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A daemon on a bus. The daemon ends first.
pub struct Desk {
    pub home: Home,
    pub bus: Bus,
}

impl Desk {
    /// With these settings and whatever `prepare` does before the daemon starts.
    pub fn prepared(settings: &str, prepare: impl FnOnce(&mut Home, &Bus)) -> Desk {
        let mut home = Home::new();
        std::fs::create_dir_all(home.root()).unwrap();
        std::fs::write(home.root().join("config.toml"), settings).unwrap();
        let bus = Bus::start(home.dir.path());
        home.environment = vec![("DBUS_SESSION_BUS_ADDRESS", bus.address.clone())];
        prepare(&mut home, &bus);
        let mut desk = Desk { home, bus };
        desk.start();
        desk
    }

    pub fn new(settings: &str) -> Desk {
        let desk = Desk::prepared(settings, |_, _| {});
        assert_eq!(desk.state(), "serving", "{}", desk.home.log());
        desk
    }

    /// One indexed note beside.
    pub fn with_note(settings: &str) -> Desk {
        let desk = Desk::new(settings);
        desk.home.write("notes.md", KEY);
        desk.home.index();
        desk
    }

    /// Starts the daemon, and waits until it knows how it stands with the bus.
    pub fn start(&mut self) {
        self.home.start();
        wait_for("the desktop", || Some(self.state()).filter(|state| state != "starting"));
    }

    pub fn state(&self) -> String {
        self.home.status()["desktop"]["state"].as_str().unwrap().to_owned()
    }

    pub fn model_loaded(&self) -> bool {
        let status = self.home.status();
        status["model"]["loaded"].as_bool().unwrap() || self.home.worker_pid("engine").is_some()
    }

    pub async fn client(&self) -> Client {
        let connection = zbus::connection::Builder::address(self.bus.address.as_str()).unwrap();
        let connection = connection.build().await.unwrap();
        // Read from the first moment, so that no signal is missed and the connection never waits.
        let mut messages = MessageStream::from(&connection);
        let (found, signals) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                if let Some(signal) = message.ok().and_then(|message| Signal::of(&message)) {
                    // A client that is gone reads no more.
                    let _ = found.send(signal);
                }
            }
        });
        Client { connection, signals }
    }
}

/// A program on the bus.
pub struct Client {
    pub connection: Connection,
    signals: tokio::sync::mpsc::UnboundedReceiver<Signal>,
}

impl Client {
    pub async fn proxy(&self, path: &'static str, interface: &'static str) -> Proxy<'static> {
        let proxy = zbus::proxy::Builder::<Proxy<'_>>::new(&self.connection);
        let proxy = proxy.destination(NAME).unwrap().path(path).unwrap().interface(interface).unwrap();
        proxy.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap()
    }

    pub async fn agent(&self) -> Proxy<'static> {
        self.proxy(PATH, AGENT).await
    }

    pub async fn call<T>(
        &self,
        method: &str,
        arguments: &(impl serde::Serialize + DynamicType),
    ) -> zbus::Result<T>
    where
        T: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
    {
        self.agent().await.call(method, arguments).await
    }

    /// The id of a question's request.
    pub async fn ask(&self, question: &str) -> String {
        self.call("Ask", &(question, none())).await.unwrap()
    }

    /// The next signal of the agent's, with the request that it is about.
    pub async fn signal(&mut self) -> Signal {
        self.signal_within(LIMIT).await
    }

    pub async fn signal_within(&mut self, limit: Duration) -> Signal {
        let next = tokio::time::timeout(limit, self.signals.recv()).await;
        next.expect("no signal came").expect("the bus is there")
    }

    /// Signals up to the last of a request.
    pub async fn signals(&mut self, id: &str) -> Vec<Signal> {
        let mut all = Vec::new();
        loop {
            let signal = self.signal().await;
            let last = signal.id == id && signal.member != "Chunk";
            all.push(signal);
            if last {
                return all;
            }
        }
    }

    pub async fn property<T>(&self, name: &str) -> T
    where
        T: TryFrom<OwnedValue> + Type,
        T::Error: Into<zbus::Error>,
    {
        self.agent().await.get_property(name).await.unwrap()
    }

    /// Waits until a property is this.
    pub async fn until(&self, property: &str, wanted: &str) {
        let agent = self.agent().await;
        let start = std::time::Instant::now();
        while agent.get_property::<String>(property).await.unwrap() != wanted {
            assert!(start.elapsed() < LIMIT, "{property} never became {wanted}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A signal of `org.familiar.Agent1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub member: String,
    pub id: String,
    /// What else it says.
    pub rest: Vec<String>,
}

impl Signal {
    fn of(message: &Message) -> Option<Signal> {
        let header = message.header();
        if header.interface()?.as_str() != AGENT || message.message_type() != zbus::message::Type::Signal {
            return None;
        }
        let member = header.member()?.to_string();
        let (id, rest) = match member.as_str() {
            "Failed" => {
                let (id, name, said): (String, String, String) = message.body().deserialize().unwrap();
                (id, vec![name, said])
            }
            _ => {
                let (id, text): (String, String) = message.body().deserialize().unwrap();
                (id, vec![text])
            }
        };
        Some(Signal { member, id, rest })
    }
}

/// The error's name and what it says.
pub fn refused<T: std::fmt::Debug>(result: zbus::Result<T>) -> (String, String) {
    match result.unwrap_err() {
        zbus::Error::MethodError(name, said, _) => (name.to_string(), said.unwrap_or_default()),
        zbus::Error::FDO(error) => (zbus::DBusError::name(&*error).to_string(), error.to_string()),
        other => panic!("{other:?}"),
    }
}

pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
