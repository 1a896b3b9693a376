use super::*;
use crate::testkit::{Tiny, tiny};

fn place() -> (tempfile::TempDir, Models, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let models = Models::new(folder.path().join("models"));
    let file = tiny(&Tiny::default()).write(folder.path(), "small").unwrap();
    (folder, models, file)
}

#[test]
fn a_model_is_imported_listed_and_removed() {
    let (_folder, models, file) = place();
    let mut seen = Vec::new();
    let entry = models.import(&file, None, |done, all| seen.push((done, all))).unwrap();
    assert_eq!((entry.name.as_str(), entry.architecture.as_str(), entry.embedded), ("small", "llama", false));
    assert_eq!(entry.hash, blake3::hash(&fs::read(&file).unwrap()).to_hex().to_string());
    assert_eq!(seen.last(), Some(&(entry.size_bytes, entry.size_bytes)));
    let names: Vec<String> = models.list("small").unwrap().into_iter().map(|model| model.name).collect();
    assert_eq!(names, [EMBEDDED, "small"]);
    assert!(models.info("small", "small").unwrap().in_use);
    assert!(matches!(models.import(&file, None, |_, _| ()), Err(ModelsError::Exists { .. })));
    assert!(matches!(models.remove("small", "small"), Err(ModelsError::InUse { .. })));
    models.remove("small", EMBEDDED).unwrap();
    assert!(matches!(models.info("small", ""), Err(ModelsError::NotFound { .. })));
    models.import(&file, Some("other.gguf"), |_, _| ()).unwrap();
    assert!(models.path("other").is_ok());
}

#[test]
fn names_stay_in_the_folder() {
    let (_folder, models, file) = place();
    for name in
        ["", ".", "..", "../up", "a/b", "/etc/passwd", ".hidden", "-rf", "a b", "é", "nul\0", &"x".repeat(65)]
    {
        assert!(
            matches!(models.import(&file, Some(name), |_, _| ()), Err(ModelsError::BadName(_))),
            "{name:?}"
        );
        assert!(matches!(models.path(name), Err(ModelsError::BadName(_))), "{name:?}");
        assert!(matches!(models.remove(name, ""), Err(ModelsError::BadName(_))), "{name:?}");
    }
    assert!(matches!(models.import(&file, Some("ember"), |_, _| ()), Err(ModelsError::Embedded)));
    assert!(matches!(models.remove("ember", ""), Err(ModelsError::Embedded)));
}

#[test]
fn bad_files_are_refused_and_leave_nothing() {
    let (folder, models, file) = place();
    let import = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        models.import(&path, None, |_, _| ()).unwrap_err().to_string()
    };
    let good = fs::read(&file).unwrap();
    assert!(import("cut.gguf", &good[..good.len() / 2]).contains("truncated: needs"));
    assert!(import("noise.gguf", &[7; 5000]).contains("not a GGUF file"));
    assert!(
        import("strange.gguf", &tiny(&Tiny { architecture: "strange", ..Tiny::default() }).bytes())
            .contains("`strange`")
    );
    assert!(
        import("bytes.gguf", &tiny(&Tiny { byte_tokens: false, ..Tiny::default() }).bytes())
            .contains("<0x00>")
    );
    assert!(matches!(models.import(folder.path(), Some("folder"), |_, _| ()), Err(ModelsError::Io { .. })));
    assert!(matches!(
        models.import(Path::new("/nowhere/x.gguf"), None, |_, _| ()),
        Err(ModelsError::Io { .. })
    ));
    assert!(matches!(models.import(Path::new("/dev/zero"), None, |_, _| ()), Err(ModelsError::Io { .. })));
    assert_eq!(models.list("").unwrap().len(), 1);
}

#[test]
fn the_embedded_model_is_written_once_and_mended() {
    let (_folder, models, _) = place();
    let path = models.path(EMBEDDED).unwrap();
    assert_eq!(fs::read(&path).unwrap(), EMBER);
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    models.path(EMBEDDED).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    fs::write(&path, b"something else").unwrap();
    models.path(EMBEDDED).unwrap();
    assert_eq!(fs::read(&path).unwrap(), EMBER);
    let entry = models.info(EMBEDDED, EMBEDDED).unwrap();
    assert!(entry.embedded && entry.in_use);
}

#[test]
fn the_embedded_model_is_found_in_the_program() {
    let (program, offset) = embedded_in_program().unwrap();
    let mut head = vec![0; 4096];
    program.read_exact_at(&mut head, offset).unwrap();
    assert_eq!(head, EMBER[..4096]);
}

#[test]
fn a_file_put_there_by_hand_is_hashed_when_first_seen() {
    let (_folder, models, file) = place();
    fs::create_dir_all(models.folder.as_path()).unwrap();
    fs::copy(&file, models.file("hand")).unwrap();
    fs::write(models.folder.join("broken.gguf"), b"GGUF").unwrap();
    let first = models.info("hand", "").unwrap();
    assert_eq!(first.hash, blake3::hash(&fs::read(&file).unwrap()).to_hex().to_string());
    let other = tiny(&Tiny { seed: 8, ..Tiny::default() }).bytes();
    fs::write(models.file("hand"), &other).unwrap();
    assert_eq!(models.info("hand", "").unwrap().hash, blake3::hash(&other).to_hex().to_string());
    assert_eq!(models.list("").unwrap().len(), 2);
    assert!(models.info("broken", "").unwrap_err().to_string().contains("truncated"));
}
