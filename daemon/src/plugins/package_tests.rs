use super::*;
use crate::keys::SIGNATURE_LENGTH;
use ed25519_dalek::Signer;
use proptest::prelude::*;

pub const MANIFEST_TEXT: &str = "[plugin]\nname = \"echo\"\nversion = \"1.0.0\"\ndescription = \"Says it again.\"\n\n\
    [wants.kv]\nwhy = \"To remember.\"\nquota = 1000\n\n[wants.log]\nwhy = \"To be mended.\"\n";
pub const TOOLS_TEXT: &str = r#"[{"name":"say","description":"Says it.","parameters":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}]"#;

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A component by its frames: what is in the sections is nobody's business here.
pub fn component_of(inside: &[u8]) -> Vec<u8> {
    let mut bytes = COMPONENT.to_vec();
    bytes.push(1);
    push_leb(&mut bytes, inside.len());
    bytes.extend(inside);
    push(&mut bytes, "producers", b"a compiler");
    bytes
}

pub fn packed(seed: u8) -> Vec<u8> {
    pack(&component_of(&[7; 300]), MANIFEST_TEXT, TOOLS_TEXT, Some(&key(seed))).unwrap()
}

/// `bytes` with the custom sections called so taken out, and their bytes.
fn lift(bytes: &[u8], name: &str) -> (Vec<u8>, Vec<u8>) {
    let sections = walk(bytes).unwrap();
    let at = sections.iter().position(|section| section.is(name)).unwrap();
    let end = sections.get(at + 1).map_or(bytes.len(), |next| next.start);
    let start = sections[at].start;
    ([&bytes[..start], &bytes[end..]].concat(), bytes[start..end].to_vec())
}

#[test]
fn a_package_tells_what_it_holds() {
    let component = component_of(b"code");
    let signed = pack(&component, MANIFEST_TEXT, TOOLS_TEXT, Some(&key(1))).unwrap();
    let package = read(&signed).unwrap();
    assert_eq!((package.manifest.name.as_str(), package.tools[0].name.as_str()), ("echo", "say"));
    assert_eq!(package.author, Some(Author::of(&key(1))));
    assert_eq!(super::component(&signed).unwrap(), component);
    let (before, _) = lift(&signed, SIGNATURE);
    assert_eq!(package.digest, blake3::hash(&before).to_hex().as_str());
    assert_eq!(package.file_digest, blake3::hash(&signed).to_hex().as_str());
    let unsigned = read(&pack(&component, MANIFEST_TEXT, TOOLS_TEXT, None).unwrap()).unwrap();
    assert_eq!((unsigned.author, &unsigned.digest), (None, &package.digest));
    let again = pack(&component, MANIFEST_TEXT, TOOLS_TEXT, Some(&key(2))).unwrap();
    assert_eq!(read(&again).unwrap().digest, package.digest, "the digest is of what is signed");
    assert_eq!(pack(&signed, MANIFEST_TEXT, TOOLS_TEXT, None), Err(PackageError::Packed));
}

#[test]
fn files_that_are_no_packages_are_told_apart() {
    let component = component_of(b"code");
    assert_eq!(read(b""), Err(PackageError::NotAComponent));
    assert_eq!(read(b"\0asm\x01\0\0\0more"), Err(PackageError::CoreModule));
    assert_eq!(read(b"\x7fELF............"), Err(PackageError::NotAComponent));
    assert_eq!(read(&component), Err(PackageError::NotPacked));
    let mut unknown = packed(1);
    unknown[8] = 13;
    assert_eq!(read(&unknown), Err(PackageError::Broken(8)));
    assert!(matches!(pack(&component, "x", TOOLS_TEXT, None), Err(PackageError::Manifest(_))));
    assert!(matches!(pack(&component, MANIFEST_TEXT, "[]", None), Err(PackageError::Tools(_))));
}

/// Every place and number of our sections but the right one.
#[test]
fn sections_stand_once_in_order_at_the_end() {
    let good = packed(1);
    for name in [MANIFEST, TOOLS, SIGNATURE] {
        let (without, section) = lift(&good, name);
        assert!(name == SIGNATURE || read(&without).is_err(), "{name} missing");
        assert_eq!(read(&[&good[..], &section].concat()), Err(PackageError::Misplaced), "{name} twice");
        let first = [&COMPONENT[..], &section, &without[8..]].concat();
        assert_eq!(read(&first), Err(PackageError::Misplaced), "{name} first");
        if name != SIGNATURE {
            let last = [&without[..], &section].concat();
            assert_eq!(read(&last), Err(PackageError::Misplaced), "{name} last");
        }
    }
    for (name, data) in [("familiar:more", &b"x"[..]), ("x", b""), ("", b"")] {
        let mut longer = good.clone();
        push(&mut longer, name, data);
        assert_eq!(read(&longer), Err(PackageError::Misplaced), "{name:?} after the signature");
    }
    let mut early = COMPONENT.to_vec();
    push(&mut early, "familiar:other", b"x");
    early.extend(&good[8..]);
    assert_eq!(read(&early), Err(PackageError::Misplaced));
}

/// A length written with more bytes than it needs says the same and is another file.
#[test]
fn our_sections_are_written_in_one_way_only() {
    let good = packed(1);
    let (without, section) = lift(&good, SIGNATURE);
    let (length, used) = leb(&section[1..]).unwrap();
    let mut longer = vec![0];
    push_leb(&mut longer, length as usize);
    *longer.last_mut().unwrap() |= 0x80;
    longer.push(0);
    longer.extend(&section[1 + used..]);
    assert_eq!(read(&[&without[..], &longer].concat()), Err(PackageError::Misplaced));
}

#[test]
fn signatures_that_nobody_made_are_refused() {
    let good = packed(1);
    let (without, _) = lift(&good, SIGNATURE);
    let signed = |data: &[u8]| {
        let mut bytes = without.clone();
        push(&mut bytes, SIGNATURE, data);
        read(&bytes)
    };
    let real = walk(&good).unwrap().last().unwrap().data.to_vec();
    assert!(signed(&real).is_ok());
    let mut other_version = real.clone();
    other_version[0] = 2;
    // A key of small order verifies anything, where it is taken.
    let mut small_order = vec![0; SIGNATURE_LENGTH];
    (small_order[0], small_order[1], small_order[33]) = (1, 1, 1);
    // The same number, with the group's order added to it.
    let mut second_way = real.clone();
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in second_way[65..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    for (what, data) in [
        ("empty", &[][..]),
        ("a byte", &[1]),
        ("cut", &real[..96]),
        ("longer", &[&real[..], &[0]].concat()),
        ("another version", &other_version),
        ("small order", &small_order),
        ("a second way to write it", &second_way),
        ("nothing", &[0; 97]),
        ("all ones", &[0xff; 97]),
    ] {
        assert_eq!(signed(data), Err(PackageError::Signature), "{what}");
    }
    // A signature over the digest alone, made for something else.
    let digest = blake3::hash(&without);
    let bare = [&[1][..], Author::of(&key(1)).bytes(), &key(1).sign(digest.as_bytes()).to_bytes()].concat();
    assert_eq!(signed(&bare), Err(PackageError::Signature));
}

#[test]
fn lengths_are_read_as_they_are_written() {
    for value in [0, 1, 127, 128, 300, 16_383, 16_384, u32::MAX as usize] {
        let mut bytes = Vec::new();
        push_leb(&mut bytes, value);
        assert_eq!(leb(&bytes), Some((value as u32, bytes.len())));
    }
    for bad in
        [&[][..], &[0x80], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0x80, 0x80, 0x80, 0x80, 0x80, 0]]
    {
        assert_eq!(leb(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&[&COMPONENT[..], &bytes].concat());
    }

    #[test]
    fn any_section_is_read_or_refused(inside in proptest::collection::vec((0..14_u8, proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
        let mut bytes = COMPONENT.to_vec();
        for (id, data) in inside {
            bytes.push(id);
            push_leb(&mut bytes, data.len());
            bytes.extend(data);
        }
        prop_assert!(read(&bytes).is_err());
    }
}
