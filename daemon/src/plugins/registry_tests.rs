use super::*;
use crate::plugins::keys::Author;
use crate::plugins::package::pack;
use crate::plugins::package::tests::{MANIFEST_TEXT, TOOLS_TEXT, component_of, key, packed};
use crate::policy::grants::Kv;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    registry: Registry,
}

const ALL: Terms = Terms { consent: Consent::All, dev: false, new_author: false, digest: None };

fn no_consent() -> Terms {
    Terms { consent: Consent::No, ..ALL }
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path().join("plugins")).unwrap();
        Place { folder, registry }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let file = self.folder.path().join("package.wasm");
        fs::write(&file, bytes).unwrap();
        file
    }

    fn install(&mut self, bytes: &[u8], terms: &Terms) -> Result<Installed, PluginsError> {
        let file = self.file(bytes);
        let prepared = self.registry.prepare(&file, terms)?;
        self.registry.install(prepared)
    }

    fn reopen(&mut self) {
        self.registry = Registry::open(self.folder.path().join("plugins")).unwrap();
    }

    fn get(&mut self) -> Installed {
        self.registry.get("echo").unwrap()
    }
}

fn manifest_with(more: &str) -> String {
    format!("{MANIFEST_TEXT}{more}")
}

fn signed(seed: u8, inside: &[u8], manifest: &str) -> Vec<u8> {
    pack(&component_of(inside), manifest, TOOLS_TEXT, Some(&key(seed))).unwrap()
}

#[test]
fn what_is_installed_is_what_the_owner_granted() {
    let mut place = Place::new();
    let installed = place.install(&packed(1), &ALL).unwrap();
    assert!(installed.active());
    assert_eq!(installed.in_force().kv, Some(Kv { quota: 1000 }));
    place.reopen();
    assert_eq!(place.get().in_force(), installed.in_force());
    place.registry.revoke("echo", Some(Interface::Kv)).unwrap();
    let left = place.get();
    assert!(left.active() && left.in_force().kv.is_none() && left.in_force().log);
    let less = Consent::These(Grants { kv: Some(Kv { quota: 10 }), ..Grants::default() });
    place.registry.grant("echo", &less).unwrap();
    place.reopen();
    assert_eq!((place.get().in_force().kv, place.get().in_force().log), (Some(Kv { quota: 10 }), true));
    let none = place.registry.revoke("echo", None).unwrap();
    assert!(!none.active() && none.in_force() == Grants::default());
    place.registry.remove("echo").unwrap();
    assert!(place.registry.all().is_empty());
    place.reopen();
    assert!(place.registry.all().is_empty());
    assert!(matches!(place.registry.remove("echo"), Err(PluginsError::NotInstalled(_))));
}

#[test]
fn without_a_yes_it_waits() {
    let mut place = Place::new();
    let installed = place.install(&packed(1), &no_consent()).unwrap();
    assert!(installed.inactive.unwrap().contains("waits for your yes"));
    assert_eq!(place.get().in_force(), Grants::default());
    assert!(place.registry.grant("echo", &Consent::All).unwrap().active());
    assert!(place.install(&packed(1), &no_consent()).unwrap().active(), "the very same package");
}

#[test]
fn only_what_is_asked_for_can_be_granted() {
    let mut place = Place::new();
    place.install(&packed(1), &no_consent()).unwrap();
    for (grants, says) in [
        (Grants { clock: true, ..Grants::default() }, "does not ask for `clock`"),
        (Grants { kv: Some(Kv { quota: 0 }), ..Grants::default() }, "between 1 and"),
    ] {
        let error = place.registry.grant("echo", &Consent::These(grants)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    assert!(!place.get().active());
}

#[test]
fn unsigned_packages_need_dev() {
    let mut place = Place::new();
    let unsigned = pack(&component_of(b"x"), MANIFEST_TEXT, TOOLS_TEXT, None).unwrap();
    assert!(matches!(place.install(&unsigned, &ALL), Err(PluginsError::Unsigned { .. })));
    let dev = Terms { dev: true, ..ALL };
    assert!(place.install(&unsigned, &dev).unwrap().active());
}

#[test]
fn an_author_is_trusted_on_first_use_and_remembered() {
    let mut place = Place::new();
    place.install(&packed(1), &ALL).unwrap();
    for _ in 0..2 {
        let error = place.install(&packed(2), &ALL).unwrap_err();
        assert!(matches!(error, PluginsError::OtherAuthor { .. }), "{error}");
        // Its author stays known when the plugin is gone.
        place.registry.remove("echo").unwrap_or(());
        place.reopen();
    }
    let offer = place.registry.consider(&place.file(&packed(1)), false, false).unwrap();
    assert_eq!((offer.known, offer.current.is_some()), (Some(Author::of(&key(1))), false));
    place.install(&packed(2), &Terms { new_author: true, ..ALL }).unwrap();
    assert!(place.install(&packed(1), &ALL).is_err(), "the new author is the author now");
    fs::write(place.folder.path().join("plugins").join(AUTHORS), "echo = 1").unwrap();
    assert!(matches!(place.install(&packed(2), &ALL), Err(PluginsError::Damaged { .. })));
    assert!(place.get().active(), "what was installed goes on");
}

#[test]
fn any_change_of_the_package_asks_again() {
    let mut place = Place::new();
    place.install(&signed(1, b"one", MANIFEST_TEXT), &ALL).unwrap();
    // No new wish, other code; the same code, another word; another description of the tool.
    let told = TOOLS_TEXT.replace("Says it.", "Says it, and more.");
    let retold = pack(&component_of(b"one"), MANIFEST_TEXT, &told, Some(&key(1))).unwrap();
    let reworded = MANIFEST_TEXT.replace("To remember.", "To remember you.");
    for changed in [signed(1, b"two", MANIFEST_TEXT), signed(1, b"one", &reworded), retold] {
        let offer = place.registry.consider(&place.file(&changed), false, false).unwrap();
        assert_eq!(offer.before.unwrap().kv, Some(Kv { quota: 1000 }), "to show the difference");
        let installed = place.install(&changed, &no_consent()).unwrap();
        assert!(!installed.active() && installed.in_force() == Grants::default());
        place.registry.grant("echo", &Consent::All).unwrap();
    }
    let seen = Terms { digest: Some("0".repeat(64)), ..ALL };
    assert!(matches!(place.install(&packed(1), &seen), Err(PluginsError::OtherDigest { .. })));
}

/// Line 2 of what plugins promise: one changed byte anywhere in what is installed, and it is not used.
#[test]
fn one_changed_byte_on_disk_asks_again() {
    let mut place = Place::new();
    let bytes = packed(1);
    let file = place.install(&bytes, &ALL).unwrap().file;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&file, &changed).unwrap();
        let found = place.get();
        assert!(!found.active() && found.in_force() == Grants::default(), "byte {at}");
        assert!(found.inactive.unwrap().contains("not the one that you said yes to"), "byte {at}");
        assert!(place.registry.grant("echo", &Consent::All).is_err(), "byte {at}");
    }
    for (what, changed) in [
        ("cut", bytes[..bytes.len() - 1].to_vec()),
        ("longer", [&bytes[..], &[0]].concat()),
        ("empty", vec![]),
        ("re-signed", packed(2)),
        ("unsigned", pack(&component_of(&[7; 300]), MANIFEST_TEXT, TOOLS_TEXT, None).unwrap()),
    ] {
        fs::write(&file, &changed).unwrap();
        assert!(!place.get().active(), "{what}");
        place.reopen();
        assert!(!place.get().active(), "{what}, after a restart");
    }
    fs::remove_file(&file).unwrap();
    assert!(!place.get().active());
    fs::write(&file, &bytes).unwrap();
    assert!(place.get().active(), "it is again what the owner saw");
}

/// A way to change a package.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    SwapSections(usize, usize),
    RepeatSection(usize, usize),
    DropSection(usize),
    OtherSignature(u8),
    Resigned(u8),
    MovedSignature(usize),
    Spliced(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = || any::<usize>();
    prop_oneof![
        4 => (at(), 1..=255_u8).prop_map(|(at, by)| Mutation::Flip(at, by)),
        2 => at().prop_map(Mutation::Cut),
        2 => (at(), proptest::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, more)| Mutation::Insert(at, more)),
        1 => (at(), 1..50_usize).prop_map(|(at, n)| Mutation::Remove(at, n)),
        1 => (at(), 1..50_usize).prop_map(|(at, n)| Mutation::Repeat(at, n)),
        1 => (at(), at()).prop_map(|(a, b)| Mutation::SwapSections(a, b)),
        1 => (at(), at()).prop_map(|(a, b)| Mutation::RepeatSection(a, b)),
        1 => at().prop_map(Mutation::DropSection),
        1 => (3..=255_u8).prop_map(Mutation::OtherSignature),
        1 => (3..=255_u8).prop_map(Mutation::Resigned),
        1 => at().prop_map(Mutation::MovedSignature),
        1 => at().prop_map(Mutation::Spliced),
    ]
}

/// The preamble, then each section with its frame.
fn sections(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![bytes[..8].to_vec()];
    let mut at = 8;
    while at < bytes.len() {
        let mut length = 0;
        let mut used = 1;
        for byte in &bytes[at + 1..] {
            length |= usize::from(byte & 0x7f) << (7 * (used - 1));
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        parts.push(bytes[at..at + used + length].to_vec());
        at += used + length;
    }
    parts
}

fn mutated(bytes: &[u8], other: &[u8], mutation: &Mutation) -> Vec<u8> {
    let length = bytes.len();
    let mut out = bytes.to_vec();
    let mut parts = sections(bytes);
    let count = parts.len() - 1;
    let section = |at: usize| 1 + at % count;
    match mutation {
        Mutation::Flip(at, by) => out[at % length] ^= by,
        Mutation::Cut(at) => out.truncate(at % length),
        Mutation::Insert(at, more) => {
            let at = at % (length + 1);
            out.splice(at..at, more.iter().copied());
        }
        Mutation::Remove(at, n) => {
            let at = at % length;
            out.drain(at..(at + n).min(length));
        }
        Mutation::Repeat(at, n) => {
            let at = at % length;
            let piece = bytes[at..(at + n).min(length)].to_vec();
            out.splice(at..at, piece);
        }
        Mutation::SwapSections(a, b) => {
            parts.swap(section(*a), section(*b));
            out = parts.concat();
        }
        Mutation::RepeatSection(a, b) => {
            let again = parts[section(*a)].clone();
            parts.insert(1 + b % (count + 1), again);
            out = parts.concat();
        }
        Mutation::DropSection(at) => {
            parts.remove(section(*at));
            out = parts.concat();
        }
        Mutation::OtherSignature(seed) => {
            // The right author's key with a signature that another key made.
            let stranger = signed(*seed, &[7; 300], MANIFEST_TEXT);
            out[length - 64..].copy_from_slice(&stranger[stranger.len() - 64..]);
        }
        Mutation::Resigned(seed) => out = signed(*seed, &[7; 300], MANIFEST_TEXT),
        Mutation::MovedSignature(at) => {
            let signature = parts.pop().unwrap();
            parts.insert(1 + at % (count - 1), signature);
            out = parts.concat();
        }
        // One package's signature on another of the same author.
        Mutation::Spliced(at) => {
            let mut others = sections(other);
            let take = 1 + at % (others.len() - 1);
            others[take] = parts[take].clone();
            out = others.concat();
        }
    }
    out
}

/// Line 2 of what plugins promise: 10,000 mutated packages, all refused.
#[test]
fn ten_thousand_mutated_packages_are_refused() {
    let mut place = Place::new();
    let good = packed(1);
    let other = signed(1, &[8; 300], &manifest_with("[wants.clock]\nwhy = \"To know.\"\n"));
    place.install(&good, &ALL).unwrap();
    let authors = place.registry.authors().unwrap();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let mut refused = 0;
    while refused < 10_000 {
        let mutation = mutation().new_tree(&mut runner).unwrap().current();
        let bytes = mutated(&good, &other, &mutation);
        // Two zeros swapped, a section in its own place: the package that it was.
        if bytes == good || bytes == other {
            continue;
        }
        assert!(admit(&bytes, &authors, false, false).is_err(), "{mutation:?} was taken");
        refused += 1;
    }
}

#[test]
fn a_rebuilt_package_serves_if_it_asks_no_more() {
    let mut place = Place::new();
    let dev = Terms { dev: true, ..ALL };
    let first = place.install(&signed(1, b"one", MANIFEST_TEXT), &dev).unwrap();
    let old_file = first.file.clone();
    let digest = |installed: &Installed| installed.record.clone().unwrap().digest;
    place.file(&signed(1, b"two", MANIFEST_TEXT));
    let second = place.get();
    assert!(second.active() && digest(&second) != digest(&first));
    assert!(old_file.exists(), "for the calls that run on it");
    place.file(&signed(1, b"two", MANIFEST_TEXT)[..50]);
    assert_eq!(digest(&place.get()), digest(&second), "half a file is not taken");
    place.file(&signed(2, b"three", MANIFEST_TEXT));
    assert_eq!(digest(&place.get()), digest(&second), "nor another author's");
    place.file(&signed(1, b"x", &MANIFEST_TEXT.replace("\"echo\"", "\"other\"")));
    assert_eq!(digest(&place.get()), digest(&second), "nor another plugin");
    let unsigned = pack(&component_of(b"four"), MANIFEST_TEXT, TOOLS_TEXT, None).unwrap();
    place.file(&unsigned);
    assert!(place.get().active() && !old_file.exists());
    place.file(&signed(1, b"five", &manifest_with("[wants.clock]\nwhy = \"To know.\"\n")));
    let grown = place.get();
    assert!(!grown.active() && grown.in_force() == Grants::default());
    assert_eq!(grown.record.unwrap().before.unwrap().kv, Some(Kv { quota: 1000 }));
    place.reopen();
    assert!(place.registry.grant("echo", &Consent::All).unwrap().in_force().clock);
    // Without --dev, nobody looks there any more.
    place.install(&signed(1, b"five", MANIFEST_TEXT), &ALL).unwrap();
    place.file(&signed(1, b"six", MANIFEST_TEXT));
    assert_eq!(
        place.get().record.unwrap().digest,
        package::read(&signed(1, b"five", MANIFEST_TEXT)).unwrap().digest
    );
}

#[test]
fn what_a_kill_left_is_swept() {
    let mut place = Place::new();
    let file = place.install(&packed(1), &ALL).unwrap().file;
    let folder = file.parent().unwrap().to_owned();
    let plugins = folder.parent().unwrap().to_owned();
    // Killed while the next version was written, and while another plugin was installed first.
    fs::write(folder.join(format!("{}.wasm", "a".repeat(64))), "half").unwrap();
    fs::write(folder.join("installed.toml.new"), "half").unwrap();
    fs::create_dir(plugins.join("half")).unwrap();
    fs::write(plugins.join("half").join(format!("{}.wasm.new", "b".repeat(64))), "half").unwrap();
    place.reopen();
    assert!(place.get().active());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    assert!(!plugins.join("half").exists());
}

#[test]
fn a_damaged_record_is_told_of_and_mended_by_installing() {
    let mut place = Place::new();
    let file = place.install(&packed(1), &ALL).unwrap().file;
    let record = file.with_file_name(RECORD);
    let good = fs::read_to_string(&record).unwrap();
    let digest = place.get().record.unwrap().file;
    for bad in
        ["", "x", "digest = 1", &good.replace(&digest, "../../../etc/passwd"), &format!("{good}more = 1\n")]
    {
        fs::write(&record, bad).unwrap();
        place.reopen();
        let found = place.get();
        assert!(!found.active() && found.in_force() == Grants::default(), "{bad}");
        assert!(found.inactive.unwrap().contains("remove the plugin"), "{bad}");
        assert!(place.registry.grant("echo", &Consent::All).is_err());
    }
    // Installing writes the package anew, too: opening swept nothing that a record might name.
    assert!(place.install(&packed(1), &ALL).unwrap().active());
    fs::write(&record, "x").unwrap();
    place.reopen();
    place.registry.remove("echo").unwrap();
    assert!(place.registry.all().is_empty());
}

#[test]
fn what_is_no_file_is_refused() {
    let mut place = Place::new();
    let folder = place.folder.path().to_owned();
    for path in [folder.clone(), folder.join("absent"), PathBuf::from("/dev/zero")] {
        assert!(matches!(place.registry.prepare(&path, &ALL), Err(PluginsError::Read { .. })), "{path:?}");
    }
    let error = place.install(b"no package", &ALL).unwrap_err();
    assert!(error.to_string().contains("is no plugin"), "{error}");
}
