//! Every rule of the decision, over all effects, labels, grants and standing rules.

use super::super::grants::{Generate, Http, Kv, Search};
use super::*;
use crate::types::Origin;
use proptest::prelude::*;

fn all_granted() -> Grants {
    Grants {
        log: true,
        clock: true,
        kv: Some(Kv { quota: 1000 }),
        search: Some(Search::default()),
        generate: Some(Generate { tokens: 100 }),
        http: Some(Http { hosts: vec!["*".into()], methods: vec!["GET".into()] }),
        notify: true,
        ask_user: true,
        progress: true,
    }
}

fn plugin<'a>(digest: &'a str, grants: &'a Grants) -> Caller<'a> {
    Caller::Plugin { digest, tool: "run", grants }
}

fn decide(path: &str) -> Decision {
    let roots = ["/home/a/notes".into()];
    let known = Known { roots: &roots, rules: &[] };
    check(Caller::BuiltIn, &Effect::Read(path.into()), &Label::owner(), known)
}

#[test]
fn only_files_below_an_indexed_folder_are_read() {
    assert_eq!(decide("/home/a/notes/x/y.md"), Decision::Allow);
    for path in ["/etc/passwd", "/home/a/notes2/x", "/home/a/notes/../.ssh/id", "notes/x", ""] {
        assert!(matches!(decide(path), Decision::Deny(_)), "{path}");
    }
}

#[test]
fn secrets_below_an_indexed_folder_stay_out() {
    for path in ["/home/a/notes/.ssh/id_ed25519", "/home/a/notes/.env", "/home/a/notes/p.kdbx"] {
        assert!(matches!(decide(path), Decision::Deny(_)), "{path}");
    }
}

#[test]
fn a_plugin_reads_only_below_its_own_granted_folders() {
    let roots = [PathBuf::from("/home/a")];
    let known = Known { roots: &roots, rules: &[] };
    let grants = Grants { search: Some(Search { paths: vec!["/home/a/cal".into()] }), ..Grants::default() };
    let read = |path: &str| check(plugin("d", &grants), &Effect::Read(path.into()), &Label::owner(), known);
    assert_eq!(read("/home/a/cal/x.ics"), Decision::Allow);
    assert!(matches!(read("/home/a/other/x"), Decision::Deny(_)));
    assert!(matches!(read("/home/a/cal/.env"), Decision::Deny(_)));
}

#[test]
fn a_tool_that_nobody_knows_is_denied() {
    let effect = Effect::Unknown("grant".into());
    for label in [Label::owner(), Label::from(Origin::Web, "x")] {
        let decision = check(Caller::BuiltIn, &effect, &label, Known::default());
        assert_eq!(decision, Decision::Deny("there is no tool named grant".into()));
    }
}

#[test]
fn the_owners_own_words_go_where_the_owner_granted() {
    let grants = all_granted();
    let send =
        Effect::Egress { method: "GET".into(), host: "example.org".into(), credential: None, bytes: 10 };
    for effect in [send, Effect::Keep { key: "k".into() }, Effect::Schedule] {
        assert_eq!(check(plugin("d", &grants), &effect, &Label::owner(), Known::default()), Decision::Allow);
    }
}

#[test]
fn private_text_is_kept_without_and_sent_only_with_a_yes() {
    let grants = all_granted();
    let label = Label { private: true, ..Label::default() };
    let ask = |effect: Effect| check(plugin("d", &grants), &effect, &label, Known::default());
    assert_eq!(ask(Effect::Keep { key: "k".into() }), Decision::Allow);
    let send =
        Effect::Egress { method: "GET".into(), host: "example.org".into(), credential: None, bytes: 10 };
    assert!(matches!(ask(send), Decision::Ask(_)));
}

#[test]
fn the_model_writes_no_more_than_is_left_and_notices_are_limited() {
    let grants = all_granted();
    let label = Label::from(Origin::Web, "x");
    let ask = |effect: Effect| check(plugin("d", &grants), &effect, &label, Known::default());
    assert_eq!(ask(Effect::Spend { tokens: 10, left: 10 }), Decision::Allow);
    assert!(matches!(ask(Effect::Spend { tokens: 11, left: 10 }), Decision::Deny(_)));
    assert_eq!(ask(Effect::Tell { recent: NOTICES_AN_HOUR - 1 }), Decision::Allow);
    assert!(matches!(ask(Effect::Tell { recent: NOTICES_AN_HOUR }), Decision::Deny(_)));
}

#[test]
fn a_standing_rule_answers_for_exactly_what_it_names() {
    let grants = all_granted();
    let label = Label::from(Origin::File, "/a");
    let target = Target::Egress { method: "GET".into(), host: "api.example.org".into(), credential: None };
    let rules = [Rule { plugin: "p".into(), digest: "d".into(), tool: "run".into(), target }];
    let known = Known { roots: &[], rules: &rules };
    let send = |digest, tool, method: &str, host: &str| {
        let effect = Effect::Egress { method: method.into(), host: host.into(), credential: None, bytes: 1 };
        check(Caller::Plugin { digest, tool, grants: &grants }, &effect, &label, known)
    };
    assert_eq!(send("d", "run", "get", "API.example.org"), Decision::Allow);
    for (digest, tool, method, host) in [
        ("e", "run", "GET", "api.example.org"),
        ("d", "other", "GET", "api.example.org"),
        ("d", "run", "POST", "api.example.org"),
        ("d", "run", "GET", "example.org"),
        ("d", "run", "GET", "x.api.example.org"),
        ("d", "run", "GET", "api.example.org:8080"),
    ] {
        assert!(
            matches!(send(digest, tool, method, host), Decision::Ask(_)),
            "{digest} {tool} {method} {host}"
        );
    }
    let write = Effect::Keep { key: "api.example.org".into() };
    assert!(matches!(check(plugin("d", &grants), &write, &label, known), Decision::Ask(_)));
}

fn labels() -> impl Strategy<Value = Label> {
    let sources = proptest::collection::btree_set("[a-d]{1,3}", 0..5);
    (any::<bool>(), any::<bool>(), sources).prop_map(|(untrusted, private, sources)| Label {
        untrusted,
        private,
        sources,
    })
}

fn credential() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(Just("token".to_owned()))
}

fn effects() -> impl Strategy<Value = Effect> {
    prop_oneof![
        Just(Effect::Search),
        Just(Effect::Look),
        Just(Effect::AskOwner),
        Just(Effect::Schedule),
        "(/[a-c]{1,2}|/\\.env|\\.\\.){1,3}".prop_map(|path| Effect::Read(path.into())),
        "[a-b]{0,2}".prop_map(|key| Effect::Keep { key }),
        ("GET|POST", "[a-b]\\.test", credential(), any::<u64>())
            .prop_map(|(method, host, credential, bytes)| Effect::Egress { method, host, credential, bytes }),
        (0..60u32).prop_map(|recent| Effect::Tell { recent }),
        (0..9u32, 0..9u32).prop_map(|(tokens, left)| Effect::Spend { tokens, left }),
        "[a-z]{1,4}".prop_map(Effect::Unknown),
    ]
}

fn grants() -> impl Strategy<Value = Grants> {
    proptest::collection::vec(any::<bool>(), 9).prop_map(|yes| {
        let all = all_granted();
        Grants {
            log: yes[0],
            clock: yes[1],
            kv: all.kv.filter(|_| yes[2]),
            search: all.search.filter(|_| yes[3]),
            generate: all.generate.filter(|_| yes[4]),
            http: all.http.filter(|_| yes[5]),
            notify: yes[6],
            ask_user: yes[7],
            progress: yes[8],
        }
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let target =
        prop_oneof![
            Just(Target::Schedule),
            "[a-b]{0,2}".prop_map(|key| Target::Write { key }),
            ("GET|POST", "[a-b]\\.test", credential())
                .prop_map(|(method, host, credential)| Target::Egress { method, host, credential }),
        ];
    let rule = ("old|new", "run|other", target).prop_map(|(digest, tool, target)| Rule {
        plugin: "p".into(),
        digest,
        tool,
        target,
    });
    proptest::collection::vec(rule, 0..6)
}

/// How strict a decision is.
fn strictness(decision: &Decision) -> u8 {
    match decision {
        Decision::Allow => 0,
        Decision::Ask(_) => 1,
        Decision::Deny(_) => 2,
    }
}

proptest! {
    #[test]
    fn labels_only_grow(a in labels(), b in labels()) {
        let mut joined = a.clone();
        joined.join(&b);
        prop_assert!(joined.untrusted >= a.untrusted && joined.untrusted >= b.untrusted);
        prop_assert!(joined.private >= a.private && joined.private >= b.private);
        prop_assert!(joined.sources.is_superset(&a.sources) && joined.sources.is_superset(&b.sources));
        let mut other = b.clone();
        other.join(&a);
        prop_assert_eq!(&other, &joined);
        let again = joined.clone();
        joined.join(&b);
        prop_assert_eq!(joined, again);
    }

    #[test]
    fn nothing_untrusted_goes_out_or_is_written_without_a_yes(
        effect in effects(), label in labels(), grants in grants(), rules in rules()
    ) {
        let roots = [PathBuf::from("/a")];
        let known = Known { roots: &roots, rules: &rules };
        let decision = check(plugin("new", &grants), &effect, &label, known);
        let guarded = match effect {
            Effect::Egress { .. } => label.untrusted || label.private,
            Effect::Keep { .. } | Effect::Schedule => label.untrusted,
            _ => false,
        };
        let ruled = rules.iter().any(|rule| {
            rule.digest == "new" && rule.tool == "run" && Some(&rule.target) == effect.target().as_ref()
        });
        if guarded && !ruled {
            prop_assert_ne!(decision, Decision::Allow);
        }
    }

    #[test]
    fn more_to_be_wary_of_never_makes_a_decision_laxer(
        effect in effects(), a in labels(), b in labels(), grants in grants(), rules in rules()
    ) {
        let roots = [PathBuf::from("/a")];
        let known = Known { roots: &roots, rules: &rules };
        let before = check(plugin("new", &grants), &effect, &a, known);
        let mut joined = a;
        joined.join(&b);
        let after = check(plugin("new", &grants), &effect, &joined, known);
        prop_assert!(strictness(&after) >= strictness(&before), "{:?} -> {:?}", before, after);
    }

    #[test]
    fn a_changed_package_forgets_every_rule(
        effect in effects(), label in labels(), grants in grants(), rules in rules()
    ) {
        let known = |rules| Known { roots: &[], rules };
        prop_assert_eq!(
            check(plugin("changed", &grants), &effect, &label, known(&rules)),
            check(plugin("changed", &grants), &effect, &label, known(&[]))
        );
    }

    #[test]
    fn without_a_grant_nothing_happens(effect in effects(), label in labels(), rules in rules()) {
        let nothing = Grants::default();
        let known = Known { roots: &[], rules: &rules };
        let decision = check(plugin("new", &nothing), &effect, &label, known);
        prop_assert_eq!(matches!(decision, Decision::Deny(_)), !matches!(effect, Effect::Look));
    }

    #[test]
    fn built_in_tools_only_search_and_read(effect in effects(), label in labels(), rules in rules()) {
        let known = Known { roots: &[], rules: &rules };
        let decision = check(Caller::BuiltIn, &effect, &label, known);
        prop_assert_eq!(decision == Decision::Allow, matches!(effect, Effect::Search));
    }
}

#[test]
fn a_yes_without_the_owners_credential_is_none_with_it_and_none_unencrypted() {
    let grants = all_granted();
    let label = Label::from(Origin::File, "/a");
    let target = Target::Egress { method: "POST".into(), host: "api.example.org".into(), credential: None };
    let rules = [Rule { plugin: "p".into(), digest: "d".into(), tool: "run".into(), target }];
    let send = |host: &str, credential: Option<&str>| {
        let credential = credential.map(str::to_owned);
        let effect = Effect::Egress { method: "POST".into(), host: host.into(), credential, bytes: 1 };
        check(plugin("d", &grants), &effect, &label, Known { roots: &[], rules: &rules })
    };
    assert_eq!(send("api.example.org", None), Decision::Allow);
    assert!(matches!(send("api.example.org", Some("token")), Decision::Ask(_)));
    assert!(matches!(send("http://api.example.org", None), Decision::Ask(_)));
}
