//! The services over a real database, index and log, without a sandbox: every import's rule, its label, its
//! place on record. A scripted owner decides.

use super::services::Services;
use super::*;
use crate::config::IndexConfig;
use crate::engine::{Adapters, Models};
use crate::plugins::{Calling, HostServices, Runtime};
use crate::policy::grants::{self, Grants};
use crate::protocol::approvals::{Approval, DecideRequest};
use crate::protocol::plugins::{Answer, Ask, HttpRequest, Notice, Refusal, TextRequest};
use crate::worker::{Jail, Kind, Spec, Worker};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Place {
    folder: TempDir,
    tools: Tools,
    services: Services,
    _settings: channel::Sender<Arc<Config>>,
}

async fn place(change: impl FnOnce(&mut Config)) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut config = Config::default();
    change(&mut config);
    let (settings, config) = channel::channel(Arc::new(config));
    let store = Store::open(&at("data/familiar.db")).unwrap();
    let extract = Worker::new(Spec::new(Kind::Extract, Jail::default()));
    let index = Index::open(at("index"), IndexConfig::default(), extract).await.unwrap();
    let engine = Engine::new(Models::new(at("models")), Adapters::new(at("adapters")), config.clone());
    let runtime = Runtime::new(at("compiled"), None);
    let plugins = Plugins::open(at("plugins"), at("secrets.toml"), runtime).unwrap();
    let audit = Audit::open(&at("audit.jsonl"), store.clone()).await.unwrap();
    let approvals = Approvals::new(store.clone());
    let tools = Tools::new(Rooms { index, engine, store, approvals, audit, plugins, config });
    let services = Services::new(tools.house.clone());
    Place { folder, tools, services, _settings: settings }
}

fn everything() -> Grants {
    Grants {
        clock: true,
        kv: Some(grants::Kv { quota: 100 }),
        search: Some(grants::Search::default()),
        generate: Some(grants::Generate { tokens: 10 }),
        http: Some(grants::Http { hosts: vec!["127.0.0.1".into()], methods: vec!["POST".into()] }),
        notify: true,
        ask_user: true,
        progress: true,
        ..Grants::default()
    }
}

fn calling(label: Label) -> Arc<Calling> {
    Arc::new(Calling::new("notes", "d1", "run", "s1", everything(), label))
}

fn from_web() -> Label {
    Label::from(Origin::Web, "evil.test")
}

impl Place {
    async fn answer(&self, calling: &Arc<Calling>, ask: Ask) -> Answer {
        self.services.answer(calling.clone(), ask).await
    }

    /// The answer to an ask during which the owner decides everything that comes, and what came.
    async fn decided(
        &self,
        calling: &Arc<Calling>,
        ask: Ask,
        decision: DecideRequest,
    ) -> (Answer, Vec<Approval>) {
        let approvals = &self.tools.house.approvals;
        let mut changes = approvals.changes();
        let (mut asked, mut answer) = (Vec::new(), self.services.answer(calling.clone(), ask));
        loop {
            tokio::select! {
                answer = &mut answer => return (answer, asked),
                _ = changes.changed() => for approval in approvals.pending() {
                    approvals.decide(&approval.id, &decision).await.unwrap();
                    asked.push(approval);
                },
            }
        }
    }

    async fn events(&self) -> Vec<String> {
        let lines = self.tools.house.audit.last(100).await.unwrap();
        let word = |line: &serde_json::Value| {
            let more =
                ["action", "decision", "allowed", "status"].iter().find_map(|name| line[name].as_str());
            format!("{} {}", line["event"].as_str().unwrap(), more.unwrap_or_default())
        };
        lines.iter().map(word).collect()
    }
}

fn yes() -> DecideRequest {
    DecideRequest { allow: true, ..DecideRequest::default() }
}

fn set(key: &str, value: &str) -> Ask {
    Ask::KvSet { key: key.into(), value: value.into() }
}

fn get(key: &str) -> Ask {
    Ask::KvGet { key: key.into() }
}

#[tokio::test]
async fn the_owners_own_words_are_kept_without_asking() {
    let place = place(|_| {}).await;
    let call = calling(Label::owner());
    assert_eq!(place.answer(&call, set("a", "mine")).await, Answer::Done);
    assert_eq!(place.answer(&call, get("a")).await, Answer::Value(Some(b"mine".to_vec())));
    assert!(call.label().private && !call.label().untrusted, "what is kept is the owner's alone");
    assert_eq!(place.events().await, ["write set"]);
}

#[tokio::test]
async fn what_others_wrote_is_kept_only_with_a_yes_and_stays_theirs() {
    let place = place(|_| {}).await;
    let call = calling(from_web());
    let (answer, asked) = place.decided(&call, set("a", "poison"), DecideRequest::default()).await;
    assert!(matches!(answer, Answer::Refused(Refusal::Denied(_))), "{answer:?}");
    assert_eq!(
        (asked.len(), asked[0].content.as_deref(), asked[0].kind.as_str()),
        (1, Some("poison"), "write")
    );
    assert_eq!(asked[0].sources, ["evil.test"]);
    assert_eq!(place.answer(&call, get("a")).await, Answer::Value(None));
    assert_eq!(place.decided(&call, set("a", "poison"), yes()).await.0, Answer::Done);
    // Another call, by the owner's hand, that reads it is no longer trusted.
    let other = calling(Label::owner());
    place.answer(&other, get("a")).await;
    assert!(other.label().untrusted && other.label().sources.contains("evil.test"));
    let (_, asked) = place.decided(&other, set("b", "x"), yes()).await;
    assert_eq!(asked.len(), 1);
    // So is one that only sees its key, or only learns whether it is this value.
    for ask in [
        Ask::KvKeys { prefix: String::new() },
        Ask::KvSwap { key: "a".into(), old: None, new: b"x".to_vec() },
    ] {
        let other = calling(Label::owner());
        place.decided(&other, ask, yes()).await;
        assert!(other.label().untrusted);
    }
    assert_eq!(place.events().await[..3], ["approval write", "approval write", "write set"]);
    assert!(place.tools.house.audit.verify().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn always_is_for_this_key_of_this_package() {
    let place = place(|_| {}).await;
    let always = || DecideRequest { allow: true, always: true, choice: None };
    let (_, asked) = place.decided(&calling(from_web()), set("a", "1"), always()).await;
    assert_eq!(asked.len(), 1);
    let (answer, asked) = place.decided(&calling(from_web()), set("a", "2"), always()).await;
    assert_eq!((answer, asked.len()), (Answer::Done, 0));
    let (_, asked) = place.decided(&calling(from_web()), set("b", "2"), yes()).await;
    assert_eq!(asked.len(), 1);
    let changed = Arc::new(Calling::new("notes", "d2", "run", "s1", everything(), from_web()));
    let (_, asked) = place.decided(&changed, set("a", "3"), yes()).await;
    assert_eq!(asked.len(), 1, "a changed package is asked about again");
    assert!(place.events().await.contains(&"write set".to_owned()));
}

#[tokio::test]
async fn the_quota_counts_keys_and_values_and_plugins_are_apart() {
    let place = place(|_| {}).await;
    let call = calling(Label::owner());
    assert_eq!(place.answer(&call, set("k", &"x".repeat(60))).await, Answer::Done);
    let full = place.answer(&call, set("l", &"x".repeat(60))).await;
    assert_eq!(full, Answer::Refused(Refusal::Quota(100)));
    assert_eq!(place.answer(&call, set("k", &"y".repeat(99))).await, Answer::Done);
    let other = Arc::new(Calling::new("other", "d9", "run", "", everything(), Label::owner()));
    assert_eq!(place.answer(&other, get("k")).await, Answer::Value(None));
    let swap = |old: Option<&str>| Ask::KvSwap {
        key: "k".into(),
        old: old.map(|old| old.as_bytes().to_vec()),
        new: b"z".to_vec(),
    };
    assert_eq!(place.answer(&call, swap(Some("no"))).await, Answer::Flag(false));
    assert_eq!(place.answer(&call, swap(Some(&"y".repeat(99)))).await, Answer::Flag(true));
    assert_eq!(place.answer(&call, Ask::KvDelete { key: "k".into() }).await, Answer::Flag(true));
    place.answer(&call, set("k", "again")).await;
    place.tools.forget("notes").await.unwrap();
    assert_eq!(place.answer(&call, get("k")).await, Answer::Value(None));
}

/// A host of one's own that takes one request and answers it.
async fn listening() -> (u16, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (port, served)
}

fn post(port: u16) -> Ask {
    Ask::Send(HttpRequest {
        method: "POST".into(),
        url: format!("http://127.0.0.1:{port}/in"),
        headers: Vec::new(),
        body: Some(b"the owner's secret".to_vec()),
        credential: None,
    })
}

#[tokio::test]
async fn what_the_owner_has_alone_goes_out_only_with_a_yes_to_the_bytes() {
    let (port, served) = listening().await;
    let host = format!("127.0.0.1:{port}");
    let place = place(|config| config.plugins.private_hosts = vec![host.clone()]).await;
    let grants = Grants {
        http: Some(grants::Http { hosts: vec![host.clone()], methods: vec!["POST".into()] }),
        ..everything()
    };
    let private = Label { private: true, ..Label::default() };
    let call = Arc::new(Calling::new("notes", "d1", "run", "s1", grants, private));
    let (answer, asked) = place.decided(&call, post(port), DecideRequest::default()).await;
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    assert_eq!(asked[0].destination, format!("POST http://{host}"));
    let content = asked[0].content.as_deref().unwrap();
    assert!(content.starts_with(&format!("POST http://{host}/in\n")), "{content}");
    assert!(content.ends_with("\n\nthe owner's secret"), "{content}");
    assert!(!served.is_finished(), "nothing was sent");
    let (answer, asked) = place.decided(&call, post(port), yes()).await;
    assert!(matches!(&answer, Answer::Response(response) if response.body == b"ok"), "{answer:?}");
    assert_eq!(asked.len(), 1);
    assert!(served.await.unwrap().ends_with("the owner's secret"));
    assert!(call.label().untrusted && call.label().sources.contains(&format!("http://{host}")));
    assert_eq!(place.events().await, ["approval egress", "approval egress", "egress once"]);
    let log = std::fs::read_to_string(place.folder.path().join("audit.jsonl")).unwrap();
    assert!(!log.contains("secret") && log.contains(&host), "{log}");
}

#[tokio::test]
async fn the_owner_can_cut_all_plugins_off_the_web() {
    let place = place(|config| config.plugins.http = false).await;
    let answer = place.answer(&calling(Label::owner()), post(1)).await;
    assert!(matches!(&answer, Answer::Refused(Refusal::Denied(why)) if why.contains("cut")), "{answer:?}");
}

#[tokio::test]
async fn the_model_is_not_asked_for_more_than_is_left() {
    let place = place(|_| {}).await;
    let request = TextRequest {
        system: String::new(),
        prompt: "Hi".into(),
        max_tokens: 11,
        temperature: 0.0,
        schema: None,
    };
    let answer = place.answer(&calling(Label::owner()), Ask::Generate(request)).await;
    assert_eq!(answer, Answer::Refused(Refusal::Budget(10)));
}

#[tokio::test]
async fn a_planned_notice_needs_a_yes_and_comes_also_after_a_restart() {
    let place = place(|_| {}).await;
    let call = calling(from_web());
    let notice = Notice { title: "Pay".into(), body: "this bill".into() };
    let plan = |at| Ask::Schedule { notice: notice.clone(), at };
    let (answer, asked) = place.decided(&call, plan(253_000_000_000), yes()).await;
    let Answer::Id(id) = answer else { panic!("{answer:?}") };
    assert_eq!(asked[0].content.as_deref(), Some("Pay\n\nthis bill"));
    let Answer::Pending(pending) = place.answer(&call, Ask::Pending).await else { panic!() };
    assert_eq!((pending.len(), &pending[0].notice), (1, &notice));
    let (answer, asked) = place.decided(&call, Ask::Unschedule { id: id.clone() }, yes()).await;
    assert_eq!((answer, asked.len()), (Answer::Flag(true), 1));
    assert_eq!(place.answer(&call, Ask::Unschedule { id }).await, Answer::Flag(false));
    for at in [-1, i64::MAX, i64::MIN] {
        assert!(matches!(place.answer(&call, plan(at)).await, Answer::Refused(_)));
    }
    // One whose time is past is sent at once.
    let mut watch = place.tools.watch(None).await;
    let (_, _) = place.decided(&call, plan(1), yes()).await;
    let seen = loop {
        if let crate::protocol::approvals::OwnerEvent::Notice(seen) = watch.next().await {
            break seen;
        }
    };
    assert_eq!((seen.title.as_str(), seen.at), ("Pay", 1));
    assert_eq!(place.tools.notices(10).await.unwrap().0.len(), 1);
}

#[tokio::test]
async fn notices_need_no_yes_and_have_a_limit() {
    let place = place(|_| {}).await;
    let call = calling(from_web());
    let notice = || Ask::Notify(Notice { title: "Hi".into(), body: String::new() });
    for _ in 0..30 {
        assert_eq!(place.answer(&call, notice()).await, Answer::Done);
    }
    assert!(matches!(place.answer(&call, notice()).await, Answer::Refused(Refusal::Denied(_))));
}

#[tokio::test]
async fn questions_are_answered_by_the_owner_or_not_at_all() {
    let place = place(|_| {}).await;
    let call = calling(Label::owner());
    let confirm = || Ask::Confirm { question: "Really?".into() };
    assert_eq!(place.decided(&call, confirm(), yes()).await.0, Answer::Flag(true));
    assert_eq!(place.decided(&call, confirm(), DecideRequest::default()).await.0, Answer::Flag(false));
    let choose = Ask::Choose { question: "Which?".into(), options: vec!["a".into(), "b".into()] };
    let second = DecideRequest { choice: Some(1), ..yes() };
    let (answer, asked) = place.decided(&call, choose, second).await;
    assert_eq!((answer, asked[0].always), (Answer::Chosen(Some(1)), false));
}

#[tokio::test]
async fn files_are_read_below_the_granted_folders_and_label_the_call() {
    let place = place(|_| {}).await;
    let docs = place.folder.path().canonicalize().unwrap().join("docs");
    std::fs::create_dir(&docs).unwrap();
    place.tools.house.index.add(&docs).await.unwrap();
    let call = calling(Label::owner());
    let read = |path: String| Ask::Read { path, start: 0, length: 10 };
    for path in ["/etc/passwd".into(), format!("{}/.env", docs.display()), "relative".into()] {
        let answer = place.answer(&call, read(path)).await;
        assert!(matches!(answer, Answer::Refused(Refusal::Denied(_))), "{answer:?}");
    }
    let answer = place.answer(&call, read(format!("{}/none.txt", docs.display()))).await;
    assert!(matches!(answer, Answer::Refused(Refusal::NotFound(_))), "{answer:?}");
    assert!(call.label().private, "that there is no such file is the owner's to know");
    let fresh = calling(Label::owner());
    let answer = place.answer(&fresh, Ask::Find { query: "nothing".into(), limit: 5 }).await;
    assert_eq!(answer, Answer::Hits(vec![]));
    assert!(fresh.label().private && !fresh.label().untrusted);
    let answer = place.answer(&call, Ask::Find { query: "word ".repeat(1000), limit: 5 }).await;
    let Answer::Refused(Refusal::Invalid(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("5000 bytes and 4096 are allowed"), "{why}");
    assert_eq!(place.events().await, ["denied read"; 3]);
    place.tools.house.index.close().await;
}

#[tokio::test]
async fn a_link_leads_out_of_no_granted_folder() {
    let place = place(|_| {}).await;
    let docs = place.folder.path().canonicalize().unwrap().join("docs");
    for folder in ["notes", "private"] {
        std::fs::create_dir_all(docs.join(folder)).unwrap();
    }
    std::fs::write(docs.join("private/diary.md"), "dear diary").unwrap();
    std::os::unix::fs::symlink("../private/diary.md", docs.join("notes/x")).unwrap();
    std::os::unix::fs::symlink("../private", docs.join("notes/y")).unwrap();
    place.tools.house.index.add(&docs).await.unwrap();
    let search = Some(grants::Search { paths: vec![docs.join("notes")] });
    let grants = Grants { search, ..everything() };
    let call = Arc::new(Calling::new("notes", "d1", "run", "s1", grants, Label::owner()));
    for link in ["notes/x", "notes/y/diary.md"] {
        let path = docs.join(link).display().to_string();
        let answer = place.answer(&call, Ask::Read { path, start: 0, length: 10 }).await;
        let Answer::Refused(Refusal::Denied(why)) = answer else { panic!("{link}: {answer:?}") };
        assert!(!why.contains("private"), "{why}");
    }
    place.tools.house.index.close().await;
}

#[tokio::test]
async fn what_an_earlier_call_decided_makes_a_call_private() {
    let place = place(|_| {}).await;
    let asks = [
        get("none"),
        Ask::KvKeys { prefix: "none".into() },
        Ask::KvDelete { key: "none".into() },
        Ask::KvSwap { key: "none".into(), old: Some(b"x".to_vec()), new: b"y".to_vec() },
        Ask::KvSet { key: "k".into(), value: vec![0; 99] },
        Ask::Pending,
        Ask::Unschedule { id: "7".into() },
        Ask::Schedule { notice: Notice { title: "t".into(), body: String::new() }, at: 253_000_000_000 },
        Ask::Notify(Notice { title: "t".into(), body: String::new() }),
        Ask::Files { suffix: ".none".into(), after: None },
    ];
    place.answer(&calling(Label::owner()), set("a", &"x".repeat(50))).await;
    for ask in asks {
        let call = calling(Label::owner());
        let answer = place.answer(&call, ask.clone()).await;
        assert!(call.label().private && !call.label().untrusted, "{ask:?}: {answer:?}");
    }
}

#[tokio::test]
async fn three_noes_are_enough() {
    let place = place(|_| {}).await;
    let call = calling(from_web());
    for _ in 0..3 {
        let (_, asked) = place.decided(&call, set("a", "poison"), DecideRequest::default()).await;
        assert_eq!(asked.len(), 1);
    }
    let (answer, asked) = place.decided(&call, set("a", "poison"), yes()).await;
    assert!(
        matches!(&answer, Answer::Refused(Refusal::Denied(why)) if why.contains("3 times")),
        "{answer:?}"
    );
    assert!(asked.is_empty());
}

#[tokio::test]
async fn large_texts_of_a_guest_stay_small() {
    let place = place(|_| {}).await;
    let huge = "\u{7f}".repeat(1 << 20);
    let call = calling(Label::owner());
    for ask in [get(&huge), Ask::KvDelete { key: huge.clone() }, Ask::KvKeys { prefix: huge.clone() }] {
        assert!(matches!(place.answer(&call, ask).await, Answer::Refused(Refusal::Failed(_))));
    }
    let mut reports = place.tools.house.progress.subscribe();
    place.answer(&call, Ask::Progress { done: 1, total: 2, message: huge.clone() }).await;
    assert!(reports.try_recv().unwrap().message.len() < 1000);
    // Labels take no room without end beside small values.
    let mut far = calling(Label::owner()).label();
    far.sources = (0..64).map(|n| format!("{n}{}", "s".repeat(500))).collect();
    let mut full = 0;
    for n in 0..50 {
        full += u32::from(place.answer(&calling(far.clone()), set(&n.to_string(), "")).await != Answer::Done);
    }
    assert!(full > 20, "{full}");
}

#[tokio::test]
async fn unknown_tools_and_plugins_are_denied_and_on_record() {
    let place = place(|_| {}).await;
    for name in ["grant", "familiar_plugin_grant", "web-fetch__fetch", "notes__"] {
        let call = ToolCall { id: "1".into(), name: name.into(), arguments: "{}".into() };
        let outcome = place.tools.execute(&call, "s1", &from_web()).await;
        assert_eq!(outcome.status, ToolStatus::Denied, "{name}: {}", outcome.text);
    }
    assert_eq!(place.events().await, ["call ", "ended denied"].repeat(4));
    let names: Vec<String> = place.tools.specs(true).await.into_iter().map(|spec| spec.name).collect();
    assert_eq!(names, builtin::NAMES);
    assert!(place.tools.specs(false).await.is_empty(), "no plugin is installed");
}

fn found(start: u64, text: &str) -> Passage {
    Passage {
        path: "/a".into(),
        title: String::new(),
        breadcrumb: String::new(),
        text: text.into(),
        start,
        end: start + text.len() as u64,
        line: 3,
        page: None,
        hash: "h".into(),
        score: 1.0,
    }
}

#[test]
fn only_what_search_gave_is_a_source() {
    let output = |sources: &[(&str, u64, u64)]| Output {
        text: "t".into(),
        data: None,
        sources: sources
            .iter()
            .map(|(path, start, end)| Source { path: (*path).into(), start: *start, end: *end })
            .collect(),
    };
    let seen = [found(10, "one\ntwo"), found(50, "ä")];
    let cited = sources(&output(&[("/a", 14, 17), ("/a", 14, 17)]), &seen);
    assert_eq!(cited.len(), 1);
    assert_eq!((cited[0].text.as_str(), cited[0].start, cited[0].end, cited[0].line), ("two", 14, 17, 4));
    for place in [("/b", 14, 17), ("/a", 9, 17), ("/a", 14, 18), ("/a", 17, 14), ("/a", u64::MAX, 0)] {
        let cited = sources(&output(&[place]), &seen);
        assert!(cited.iter().all(|passage| seen.contains(passage)), "{place:?}: {cited:?}");
    }
    assert_eq!(sources(&output(&[("/a", 51, 52)]), &seen)[0], seen[1]);
}

#[test]
fn a_locale_is_a_language() {
    let with = |value: &str| language(|name| (name == "LANG").then(|| value.to_owned()));
    assert_eq!(with("de_AT.UTF-8"), "de-AT");
    assert_eq!(with("sr_RS@latin"), "sr-RS");
    for other in ["C", "C.UTF-8", "POSIX", "", "../x"] {
        assert_eq!(with(other), "en", "{other}");
    }
}
