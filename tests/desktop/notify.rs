//! What waits for a yes, what plugins tell and what was learned, as a server of notifications gets it.

use super::desk::{Bus, Desk};
use crate::hijack::guests::put;
use crate::hijack::owner::{SEND, asking, ended, obey, waiting};
use crate::hijack::{by_hand, counting_server, settings};
use crate::hostile_guests::guest::{ANSWER, Guest};
use crate::learning::{OPEN, allow_folders, notes};
use crate::support::{LIMIT, runtime, wait_for};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::OwnedValue;
use zbus::{Connection, interface};

const NAME: &str = "org.freedesktop.Notifications";
const PLACE: &str = "/org/freedesktop/Notifications";
const ALL: &[&str] = &["actions", "body", "body-markup", "persistence"];

/// What the server was told to do.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Show { number: u32, summary: String, body: String, actions: Vec<String>, timeout: i32 },
    Close(u32),
}

/// A server of notifications, by the Desktop Notifications Specification.
struct Server {
    able: &'static [&'static str],
    told: mpsc::UnboundedSender<Told>,
    last: u32,
}

#[interface(name = "org.freedesktop.Notifications")]
impl Server {
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    fn notify(
        &mut self,
        _app_name: String,
        _replaces_id: u32,
        _app_icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        expire_timeout: i32,
    ) -> u32 {
        self.last += 1;
        let told = Told::Show { number: self.last, summary, body, actions, timeout: expire_timeout };
        self.told.send(told).unwrap();
        self.last
    }

    fn close_notification(&self, number: u32) {
        self.told.send(Told::Close(number)).unwrap();
    }

    fn get_capabilities(&self) -> Vec<String> {
        self.able.iter().map(|able| (*able).to_owned()).collect()
    }

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, number: u32, key: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn notification_closed(emitter: &SignalEmitter<'_>, number: u32, reason: u32) -> zbus::Result<()>;
}

/// A server on the bus, and what it is told.
struct Screen {
    connection: Connection,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Screen {
    async fn on(bus: &Bus, able: &'static [&'static str]) -> Screen {
        let (sender, told) = mpsc::unbounded_channel();
        let server = Server { able, told: sender, last: 0 };
        let connection = zbus::connection::Builder::address(bus.address.as_str()).unwrap();
        let connection = connection.serve_at(PLACE, server).unwrap().name(NAME).unwrap();
        Screen { connection: connection.build().await.unwrap(), told }
    }

    async fn next(&mut self) -> Told {
        let next = tokio::time::timeout(LIMIT, self.told.recv()).await;
        next.expect("nothing was shown").unwrap()
    }

    /// The next notification's number, body and actions.
    async fn shown(&mut self) -> (u32, String, String, Vec<String>) {
        match self.next().await {
            Told::Show { number, summary, body, actions, .. } => (number, summary, body, actions),
            other => panic!("{other:?}"),
        }
    }

    fn emitter(&self) -> SignalEmitter<'_> {
        SignalEmitter::new(&self.connection, PLACE).unwrap()
    }

    /// The owner chooses.
    async fn choose(&self, number: u32, key: &str) {
        Server::action_invoked(&self.emitter(), number, key).await.unwrap();
    }
}

/// A desk with plugins and a model that sends when it is asked to, and the requests that went out.
pub fn desk() -> (Desk, Arc<AtomicUsize>) {
    let (port, hits) = counting_server();
    let desk = Desk::new(&settings(port));
    obey(&desk.home, port);
    (desk, hits)
}

fn nothing_waits(desk: &Desk) {
    wait_for("the end of waiting", || {
        (desk.home.json(&["approvals", "--json"])["approvals"] == json!([])).then_some(())
    });
}

#[test]
fn what_waits_is_shown_to_the_letter_and_decided_by_a_choice() {
    let (desk, hits) = desk();
    let sent = || hits.load(Ordering::SeqCst);
    runtime().block_on(async {
        let mut screen = Screen::on(&desk.bus, ALL).await;
        let child = asking(&desk.home);
        let (number, summary, body, actions) = screen.shown().await;
        assert_eq!(summary, "courier needs your yes");
        assert!(body.contains("Exactly this, ") && body.contains("good morning"), "{body}");
        assert!(body.contains("To: POST http://127.0.0.1:") && body.contains("larch.md"), "{body}");
        assert_eq!(actions, ["allow", "Allow once", "always", "Always", "deny", "Deny"]);
        // A choice that was not offered, one in another notification, and one that another program makes up.
        screen.choose(number + 7, "allow").await;
        Server::action_invoked(&screen.emitter(), number, "default").await.unwrap();
        let other = desk.client().await;
        let made_up = SignalEmitter::new(&other.connection, PLACE).unwrap();
        Server::action_invoked(&made_up, number, "allow").await.unwrap();
        screen.choose(number, "deny").await;
        assert!(ended(child).0.status.success());
        assert_eq!(sent(), 0);
        assert_eq!(screen.next().await, Told::Close(number));
        let child = asking(&desk.home);
        let (number, ..) = screen.shown().await;
        screen.choose(number, "allow").await;
        assert!(ended(child).0.status.success());
        assert_eq!((sent(), screen.next().await), (1, Told::Close(number)));
        let child = asking(&desk.home);
        let (number, ..) = screen.shown().await;
        screen.choose(number, "always").await;
        assert!(ended(child).0.status.success());
        assert_eq!((sent(), screen.next().await), (2, Told::Close(number)));
        desk.home.ok(&["ask", SEND]);
        assert_eq!(sent(), 3);
        assert!(screen.told.try_recv().is_err(), "it asked again");
    });
}

#[test]
fn what_is_put_away_waits_on_and_what_is_decided_elsewhere_is_taken_away() {
    let (desk, hits) = desk();
    runtime().block_on(async {
        let mut screen = Screen::on(&desk.bus, ALL).await;
        let child = asking(&desk.home);
        let (number, ..) = screen.shown().await;
        Server::notification_closed(&screen.emitter(), number, 2).await.unwrap();
        // Too late: it is no longer there.
        Server::action_invoked(&screen.emitter(), number, "allow").await.unwrap();
        let request = waiting(&desk.home);
        assert_eq!(hits.load(Ordering::SeqCst), 0);
        desk.home.ok(&["approvals", "deny", request["id"].as_str().unwrap()]);
        assert!(ended(child).0.status.success());
        nothing_waits(&desk);
        let child = asking(&desk.home);
        let (number, ..) = screen.shown().await;
        let request = waiting(&desk.home);
        desk.home.ok(&["approvals", "deny", request["id"].as_str().unwrap()]);
        assert_eq!(screen.next().await, Told::Close(number));
        assert!(ended(child).0.status.success());
        assert_eq!(hits.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn without_a_server_everything_goes_on_and_one_that_comes_is_told() {
    let (desk, hits) = desk();
    runtime().block_on(async {
        let child = asking(&desk.home);
        waiting(&desk.home);
        wait_for("a word in the log", || {
            desk.home.log().contains("no notifications are shown").then_some(())
        });
        let mut plain = Screen::on(&desk.bus, &["body"]).await;
        let (_, _, body, actions) = plain.shown().await;
        assert!(actions.is_empty() && body.contains("familiar approvals allow "), "{body}");
        plain.connection.close().await.unwrap();
        let mut screen = Screen::on(&desk.bus, ALL).await;
        let (number, ..) = screen.shown().await;
        screen.choose(number, "allow").await;
        assert!(ended(child).0.status.success());
        assert_eq!(hits.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn plugins_notices_are_shown_as_text() {
    let desk = Desk::new("");
    let send = format!(
        "(call $send (local.get $args) (local.get $args_len) (local.get $args) (local.get $args_len) {ANSWER})
        (i32.const 1024)"
    );
    let guest = Guest::new(&send).own("notify", "send", "(param i32 i32 i32 i32 i32)");
    let takes = r#"{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": false}"#;
    let tool = format!(r#"{{"name": "say", "description": "Says it.", "parameters": {takes}}}"#);
    put(&desk.home, "herald", &guest, "notify]\nwhy = \"To tell you.\"", &[tool]);
    runtime().block_on(async {
        let mut screen = Screen::on(&desk.bus, ALL).await;
        by_hand(&desk.home, "herald__say", r#"{"text": "<b>tea</b> & cake"}"#);
        let (_, summary, body, actions) = screen.shown().await;
        assert!(summary.contains("tea") && summary.ends_with("(herald)"), "{summary}");
        assert!(body.contains("&lt;b&gt;tea&lt;/b&gt; &amp; cake") && actions.is_empty(), "{body}");
    });
}

#[test]
fn what_was_learned_is_told_to_who_wants_it() {
    let desk = Desk::new(&format!("{OPEN}[desktop]\ntell_learned = true\n"));
    notes(&desk.home);
    allow_folders(&desk.home);
    runtime().block_on(async {
        let mut screen = Screen::on(&desk.bus, ALL).await;
        let mut client = desk.client().await;
        let id: String = client.call("LearnNow", &()).await.unwrap();
        // A cycle takes as long as it takes.
        let done = client.signal_within(LIMIT * 5).await;
        assert_eq!((done.member.as_str(), done.id), ("Done", id), "{:?}", done.rest);
        let ended: Json = serde_json::from_str(&done.rest[0]).unwrap();
        assert_eq!((&ended["accepted"], &ended["generation"]), (&json!(true), &json!(1)), "{ended}");
        client.until("AdapterGeneration", "generation 1").await;
        let (_, summary, body, actions) = screen.shown().await;
        assert_eq!(summary, "Learned something new");
        assert!(body.contains("Generation 1: ") && actions.is_empty(), "{body}");
    });
}

#[test]
fn the_owner_can_switch_notifications_off() {
    let (port, _) = counting_server();
    let desk = Desk::new(&format!("{}[desktop]\nnotifications = false\n", settings(port)));
    obey(&desk.home, port);
    runtime().block_on(async {
        let mut screen = Screen::on(&desk.bus, ALL).await;
        let child = asking(&desk.home);
        let request = waiting(&desk.home);
        desk.home.ok(&["approvals", "deny", request["id"].as_str().unwrap()]);
        assert!(ended(child).0.status.success());
        assert!(screen.told.try_recv().is_err());
    });
}
