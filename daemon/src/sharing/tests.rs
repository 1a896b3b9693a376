use super::*;
use crate::learn::adapters::{self, Base};
use crate::learn::digest;
use crate::protocol::learn::Generation;
use crate::testkit::{Tiny, lora, tiny};
use ed25519_dalek::SigningKey;
use serde_json::json;
use std::fs;
use tempfile::TempDir;

/// An owner with a model, and a generation on it.
struct Owner {
    home: TempDir,
    model: PathBuf,
    digest: String,
    generation: Generation,
}

impl Owner {
    fn new() -> Owner {
        let home = tempfile::tempdir().unwrap();
        let model = tiny(&Tiny::default()).write(home.path(), "tiny").unwrap();
        let base = digest(&model).unwrap();
        let adapter = adapter(home.path(), "own", 3, &base);
        let generation = Generation {
            number: 3,
            made: 0,
            state: "promoted".into(),
            serving: true,
            parent: None,
            scale: 0.75,
            base: base.clone(),
            digest: digest(&adapter).unwrap(),
            file: Some(adapter.to_string_lossy().into_owned()),
            samples: 42,
            counts: [("pieces of your texts".into(), 30)].into(),
            tokens: 9000,
            seconds: 60,
            reason: String::new(),
            verdict: json!({"checks": [
                {"name": "documents", "passed": true, "says": "12 of your held-out texts are +0.200 nats likelier"},
                {"name": "secrets", "passed": true, "says": "nothing came out that must not"},
            ]}),
        };
        Owner { model, digest: base, generation, home }
    }

    fn base(&self) -> Base<'_> {
        Base { path: &self.model, name: "tiny", digest: &self.digest }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("out")
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(self.home.path().join("adapters"))
    }

    fn export_of(&self, generation: &Generation) -> Result<Manifest, SharingError> {
        let what = Export { generation, base: self.base(), name: "manners" };
        export(&what, &SigningKey::from_bytes(&[7; 32]), &self.folder())
    }

    fn shared(&self) -> Signed {
        self.export_of(&self.generation).unwrap();
        read(&self.folder()).unwrap()
    }
}

fn adapter(folder: &Path, name: &str, seed: u64, base: &str) -> PathBuf {
    let writer = lora(seed)
        .text("familiar.adapter.base", base)
        .u32("familiar.adapter.generation", 3)
        .text("familiar.adapter.manifest", "5ec2e7")
        .text("familiar.adapter.recipe", r#"{"rank": 4, "targets": ["q", "k"], "manifest": "5ec2e7"}"#)
        .f32("familiar.adapter.alpha", 8.0);
    writer.write(folder, name).unwrap()
}

#[test]
fn what_goes_out_is_whole_signed_and_holds_nothing_of_the_owners() {
    let owner = Owner::new();
    let signed = owner.shared();
    assert_eq!(signed.author, crate::keys::Author::of(&SigningKey::from_bytes(&[7; 32])));
    assert_eq!((signed.manifest.name.as_str(), signed.manifest.rank), ("manners", 4));
    let mut names: Vec<String> = fs::read_dir(owner.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let all = [CARD, CONFIG, ADAPTER, WEIGHTS, SIGNATURE, MANIFEST];
    let mut all = all.to_vec();
    all.sort_unstable();
    assert_eq!(names, all);
    let home = owner.home.path().to_string_lossy().into_owned();
    for name in &names {
        let text = String::from_utf8_lossy(&fs::read(owner.folder().join(name)).unwrap()).into_owned();
        assert!(!text.contains("5ec2e7") && !text.contains(&home), "{name}");
    }
    adapters::check(&signed.adapter(), &owner.base()).unwrap();
    // For PEFT it is the same adapter.
    let back = owner.home.path().join("back.gguf");
    adapters::import(&owner.folder(), &owner.base(), &back).unwrap();
    assert_eq!(
        adapters::info(&back).unwrap().parameters,
        adapters::info(&signed.adapter()).unwrap().parameters
    );
}

#[test]
fn the_card_tells_what_it_is_and_how_it_is_used() {
    let owner = Owner::new();
    owner.shared();
    let card = fs::read_to_string(owner.folder().join(CARD)).unwrap();
    let card = card.replace(&owner.digest, "DIGEST");
    expect_test::expect_file!["card.md"].assert_eq(&card);
}

#[test]
fn only_what_passed_the_gate_and_was_tried_for_secrets_goes_out() {
    let owner = Owner::new();
    let said = |change: fn(&mut Generation)| {
        let mut generation = owner.generation.clone();
        change(&mut generation);
        let error = owner.export_of(&generation).unwrap_err().to_string();
        assert!(!owner.folder().exists(), "{error}");
        error
    };
    assert!(said(|g| g.state = "rejected".into()).contains("it is rejected"));
    assert!(said(|g| g.verdict = json!({})).contains("gives no secret away"));
    assert!(said(|g| g.verdict["checks"][1]["passed"] = false.into()).contains("gives no secret away"));
    assert!(said(|g| g.file = None).contains("removed"));
    assert!(said(|g| g.digest = "00".repeat(32)).contains("not the file"));
    fs::create_dir(owner.folder()).unwrap();
    owner.export_of(&owner.generation).unwrap();
    assert!(matches!(owner.export_of(&owner.generation), Err(SharingError::NotEmpty(_))));
    assert_eq!(fs::read_dir(owner.home.path()).unwrap().count(), 3, "nothing is left beside it");
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let owner = Owner::new();
    let signed = owner.shared();
    for name in signed.manifest.files.keys().map(String::as_str).chain([MANIFEST, SIGNATURE]) {
        let file = owner.folder().join(name);
        let whole = fs::read(&file).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&file, &changed).unwrap();
        let error = read(&owner.folder()).unwrap_err();
        let expected = matches!(
            (name, &error),
            (MANIFEST | SIGNATURE, SharingError::Signature(_)) | (_, SharingError::Changed { .. })
        );
        assert!(expected, "{name}: {error}");
        fs::remove_file(&file).unwrap();
        assert!(read(&owner.folder()).is_err(), "{name}");
        fs::write(&file, whole).unwrap();
    }
    assert_eq!(read(&owner.folder()).unwrap(), signed);
    let none = read(owner.home.path()).unwrap_err();
    assert!(none.to_string().contains("holds no manifest.toml"), "{none}");
}

#[test]
fn a_manifest_that_is_signed_and_strange_is_refused_all_the_same() {
    let owner = Owner::new();
    let signed = owner.shared();
    let said = |change: fn(&mut Manifest)| {
        let mut manifest = signed.manifest.clone();
        change(&mut manifest);
        manifest.write(&owner.folder(), &SigningKey::from_bytes(&[9; 32])).unwrap();
        read(&owner.folder()).unwrap_err().to_string()
    };
    assert!(said(|m| m.format = 2).contains("of format 2"));
    assert!(said(|m| m.name = "../x".into()).contains("no name"));
    assert!(said(|m| drop(m.files.insert("../../x".into(), "0".repeat(64)))).contains("names a file"));
    assert!(said(|m| drop(m.files.remove(ADAPTER))).contains("no adapter.gguf"));
    assert!(said(|m| m.base.digest = "x".into()).contains("BLAKE3"));
    assert!(said(|m| m.base.architecture = "\x1b[2J".into()).contains("architecture"));
}

#[test]
fn one_is_taken_in_once_on_its_own_model_and_given_up_again() {
    let owner = Owner::new();
    let (signed, shelf) = (owner.shared(), owner.shelf());
    assert!(!shelf.knows(&signed.author).unwrap() && shelf.list().unwrap().is_empty());
    let entry = shelf.take(&signed, &owner.base(), "manners", 0.5).unwrap();
    assert_eq!(shelf.list().unwrap(), [entry]);
    assert!(shelf.knows(&signed.author).unwrap());
    let again = shelf.take(&signed, &owner.base(), "manners", 0.5).unwrap_err();
    assert!(matches!(again, SharingError::Taken(_)), "{again}");
    for scale in [0.0, -1.0, 3.0, f32::NAN] {
        assert!(matches!(shelf.take(&signed, &owner.base(), "b", scale), Err(SharingError::Scale(_))));
    }
    let other = Base { digest: "ff", ..owner.base() };
    let error = shelf.take(&signed, &other, "b", 0.5).unwrap_err().to_string();
    assert!(error.contains("was made on the model `tiny`") && error.contains("model use"), "{error}");
    assert!(shelf.of("ff").unwrap().is_empty() && shelf.of(&owner.digest).unwrap().len() == 1);
    shelf.remove("manners").unwrap();
    assert!(matches!(shelf.remove("manners"), Err(SharingError::NotFound(_))));
    assert_eq!(fs::read_dir(owner.home.path().join("adapters")).unwrap().count(), 0);
}

#[test]
fn an_adapter_that_changes_while_it_is_taken_in_is_refused() {
    let owner = Owner::new();
    let (signed, shelf) = (owner.shared(), owner.shelf());
    adapter(&owner.folder(), "adapter", 8, &owner.digest);
    let error = shelf.take(&signed, &owner.base(), "manners", 0.5).unwrap_err();
    assert!(matches!(error, SharingError::Changed { .. }), "{error}");
    assert_eq!(fs::read_dir(owner.home.path().join("adapters")).unwrap().count(), 0);
}

#[test]
fn a_damaged_record_is_told_with_its_way_out() {
    let owner = Owner::new();
    let (signed, shelf) = (owner.shared(), owner.shelf());
    shelf.take(&signed, &owner.base(), "manners", 0.5).unwrap();
    let record = owner.home.path().join("adapters/manners.shared.toml");
    let whole = fs::read_to_string(&record).unwrap();
    for text in ["", "x", &whole.replace("0.5", "9.0"), &whole.replace("author", "autor")] {
        fs::write(&record, text).unwrap();
        let error = shelf.list().unwrap_err().to_string();
        assert!(error.contains("import --remove manners"), "{error}");
    }
    shelf.remove("manners").unwrap();
    assert!(shelf.list().unwrap().is_empty());
}

#[test]
fn stacked_is_the_sum_at_its_scale_and_is_destroyed_when_nothing_needs_it() {
    let owner = Owner::new();
    let (signed, shelf) = (owner.shared(), owner.shelf());
    let own = adapter(owner.home.path(), "personal", 5, &owner.digest);
    shelf.take(&signed, &owner.base(), "manners", 0.5).unwrap();
    let entries = shelf.of(&owner.digest).unwrap();
    let personal = Personal { name: "generation 4".into(), path: &own, digest: "d" };
    let both = shelf.stack(Some(&personal), &entries).unwrap();
    assert!(both.ends_with("generation 4 + manners.gguf"), "{}", both.display());
    let info = adapters::info(&both).unwrap();
    assert_eq!((info.rank, info.base.as_str()), (8, owner.digest.as_str()));
    assert_eq!(shelf.stack(Some(&personal), &entries).unwrap(), both);
    // Another scale, or another generation, is another file.
    let alone = shelf.stack(None, &entries).unwrap();
    let louder = vec![Entry { scale: 1.0, ..entries[0].clone() }];
    let louder = shelf.stack(Some(&personal), &louder).unwrap();
    assert!(alone.ends_with("manners.gguf") && louder != both && alone != both);
    shelf.sweep(&[&both]).unwrap();
    assert!(both.exists() && !alone.exists() && !louder.exists());
    // What was changed on the disk is not what was signed.
    adapter(&owner.home.path().join("adapters"), "manners", 8, &owner.digest);
    assert!(matches!(shelf.stack(None, &entries), Err(SharingError::Changed { .. })));
    shelf.sweep(&[]).unwrap();
    assert!(!both.exists());
    assert_eq!(shelf.list().unwrap(), entries, "they themselves stay");
}
