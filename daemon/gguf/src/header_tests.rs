use super::*;
use crate::Writer;
use proptest::prelude::*;
use testkit::{Tiny, tiny};

#[allow(dead_code)]
#[path = "../../src/testkit.rs"]
mod testkit;

fn read(bytes: &[u8]) -> Result<Header, GgufError> {
    let header = Header::read(bytes, bytes.len() as u64)?;
    header.check().map(|()| header)
}

#[test]
fn a_model_is_described() {
    let header = read(&tiny(&Tiny::default()).bytes()).unwrap();
    assert_eq!(header.architecture(), "llama");
    assert_eq!(header.train_context(), 512);
    assert_eq!(header.quantization, "F32");
    assert_eq!(header.vocabulary, 5 + 256 + 1 + 26 + 9);
    assert!(header.text("tokenizer.chat_template").unwrap().contains("<tool_call>"));
}

#[test]
fn a_cut_anywhere_is_named() {
    let bytes = tiny(&Tiny::default()).bytes();
    let step = bytes.len() / 200;
    for length in (0..bytes.len()).step_by(step).chain([1, 3, 4, 7, 8, 23, 24, bytes.len() - 1]) {
        let error = read(&bytes[..length]).unwrap_err();
        match error {
            GgufError::Truncated { needs, has } => assert!(has == length as u64 && needs > has),
            GgufError::NotGguf => assert_eq!(length, 0),
            other => panic!("cut at {length}: {other}"),
        }
    }
    let error = read(&bytes[..bytes.len() - 1]).unwrap_err().to_string();
    assert!(error.contains(&format!("needs {} bytes, has {}", bytes.len(), bytes.len() - 1)), "{error}");
}

#[test]
fn what_is_no_model_is_told_apart() {
    assert!(matches!(read(b"hello, this is a text file"), Err(GgufError::NotGguf)));
    assert!(matches!(read(b""), Err(GgufError::NotGguf)));
    assert!(matches!(read(b"GGUF\x01\0\0\0"), Err(GgufError::Version(1))));
    let unknown = tiny(&Tiny { architecture: "mystery", ..Tiny::default() }).bytes();
    assert!(matches!(read(&unknown), Err(GgufError::UnknownArchitecture(name)) if name == "mystery"));
    let embedder = tiny(&Tiny { architecture: "bert", ..Tiny::default() }).bytes();
    assert!(matches!(read(&embedder), Err(GgufError::NotGenerative(_))));
    let bytes = tiny(&Tiny { byte_tokens: false, ..Tiny::default() }).bytes();
    assert!(matches!(read(&bytes), Err(GgufError::NoByteTokens(0))));
    let part = tiny(&Tiny::default()).u32("split.count", 3).bytes();
    assert!(matches!(read(&part), Err(GgufError::Split(3))));
    assert!(matches!(read(&Writer::default().bytes()), Err(GgufError::Malformed(_))));
}

#[test]
fn lies_about_sizes_are_caught() {
    let good = tiny(&Tiny::default()).bytes();
    for (at, value) in
        [(8, u64::MAX), (8, 1 << 40), (16, u64::MAX), (16, 1 << 16), (24, u64::MAX), (24, 1 << 50)]
    {
        let mut bytes = good.clone();
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        assert!(
            matches!(read(&bytes), Err(GgufError::Malformed(_) | GgufError::Truncated { .. })),
            "{value} at {at}"
        );
    }
    let huge = Writer::default().text("general.architecture", "llama").tensor("t", &[1], vec![0.0]).bytes();
    let mut wide = huge.clone();
    let shape = huge.len() - 4 - 28 - 8;
    wide[shape..].fill(0xFF);
    assert!(read(&wide).is_err());
    assert!(read(&tiny(&Tiny::default()).u32("general.alignment", 0).bytes()).is_err());
    assert!(read(&tiny(&Tiny::default()).text("general.alignment", "x").bytes()).is_err());
    assert!(read(&tiny(&Tiny::default()).text("general.name", "twice").bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let _ = read(&[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat());
    }

    #[test]
    fn no_changed_byte_makes_it_panic(changes in prop::collection::vec((0usize..6000, any::<u8>()), 1..8)) {
        let mut bytes = tiny(&Tiny::default()).bytes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = read(&bytes);
    }
}
