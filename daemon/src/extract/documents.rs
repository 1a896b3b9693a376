//! Real documents, each made by the tool that people use for its kind, held against what was read of them
//! before; and the same documents damaged in many ways, with what somebody would build to harm a reader.

use super::*;
use expect_test::expect_file;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use std::io::Write;
use std::path::PathBuf;

const LIMIT: u64 = 1 << 20;
/// Ways in which each document is damaged.
const MUTATIONS: u64 = 16;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documents"))
}

/// The documents, by their names.
fn documents() -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_none_or(|end| end != "txt")).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// Everything that was read, as a person would look at it.
fn shown(name: &str, bytes: &[u8]) -> String {
    let extracted = match document(name, bytes, LIMIT) {
        Ok(extracted) => extracted,
        Err(fault) => return format!("{fault}\n"),
    };
    let mut shown = format!("title: {}\n", extracted.title);
    for chunk in &extracted.chunks {
        let page = chunk.page.map(|page| format!(", page {page}")).unwrap_or_default();
        let text = &extracted.text[chunk.start as usize..chunk.end as usize];
        shown += &format!("\n== line {}{page}: {}\n{text}\n", chunk.line, chunk.breadcrumb);
    }
    shown
}

#[test]
fn documents_are_read_as_before() {
    let documents = documents();
    assert!(documents.len() >= 20);
    for (name, bytes) in documents {
        expect_file![folder().join(format!("{name}.txt"))].assert_eq(&shown(&name, &bytes));
    }
}

#[test]
fn what_a_file_is_does_not_hang_on_its_name() {
    for (name, bytes) in documents() {
        let marked = kind::binary(&bytes).is_some();
        if !marked || document(&name, &bytes, LIMIT).is_err() {
            continue;
        }
        let named = document(&name, &bytes, LIMIT).unwrap();
        let other = document("misnamed.txt", &bytes, LIMIT).unwrap();
        assert_eq!(named.text, other.text, "{name}");
    }
}

/// Holds for all that is ever read, of whatever file.
fn check(name: &str, bytes: &[u8], limit: u64) {
    let Ok(extracted) = document(name, bytes, limit) else { return };
    assert!(extracted.text.len() as u64 <= limit, "{name}: {} bytes of text", extracted.text.len());
    let mut end = 0;
    for chunk in &extracted.chunks {
        assert!(chunk.start >= end && chunk.start < chunk.end, "{name}");
        assert!(extracted.text.get(chunk.start as usize..chunk.end as usize).is_some(), "{name}");
        end = chunk.end;
    }
}

/// Numbers that look random and are always the same (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

/// Damages a file in one of the ways that files are damaged, or are made to harm.
fn damaged(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len());
        let length = random.below(64).min(bytes.len() - at);
        match random.below(7) {
            0 => bytes.truncate(at.max(1)),
            1 => drop(bytes.drain(at..at + length)),
            2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at..at + length].fill(random.below(256) as u8),
            4 => {
                let copy = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => bytes[at..at + length.min(8)].fill(0xff),
            _ => {
                // Another number where a number stands.
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    bytes[at + digit] = b'0' + random.below(10) as u8;
                }
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

#[test]
fn damaged_documents_are_read_or_refused() {
    let mut count = 0;
    for (at, (name, bytes)) in documents().into_iter().enumerate() {
        for seed in 0..MUTATIONS {
            check(&name, &damaged(&bytes, &mut Random(seed << 8 | at as u64)), 1 << 16);
            count += 1;
        }
    }
    assert!(count >= 200, "{count}");
}

#[test]
fn damage_inside_of_a_package_is_read_or_refused() {
    for (at, (name, bytes)) in documents().into_iter().enumerate() {
        let Ok(archive) = zip::Archive::open(&bytes) else { continue };
        let parts: Vec<(String, Vec<u8>)> = archive
            .entries()
            .iter()
            .map(|entry| (entry.name.clone(), archive.part(&entry.name).unwrap().unwrap()))
            .collect();
        for seed in 0..MUTATIONS {
            let mut random = Random(seed << 16 | at as u64);
            let broken: Vec<(String, Vec<u8>)> = parts
                .iter()
                .map(|(name, part)| match random.below(3) {
                    0 if !part.is_empty() => (name.clone(), damaged(part, &mut random)),
                    _ => (name.clone(), part.clone()),
                })
                .collect();
            let broken: Vec<(&str, &[u8])> = broken.iter().map(|(n, p)| (n.as_str(), p.as_slice())).collect();
            check(&name, &packed(&broken), 1 << 16);
        }
    }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A ZIP file of these parts.
fn packed(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let deflated: Vec<(&str, Vec<u8>)> = parts.iter().map(|(name, part)| (*name, deflated(part))).collect();
    zipped(&deflated)
}

/// A ZIP file of parts that are packed already.
fn zipped(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in parts {
        let place = file.len() as u32;
        let (size, length) = (data.len() as u32, name.len() as u16);
        // Version, flags, method, time, date, checksum, sizes: the last is what it unpacks to, by its own word.
        let fixed =
            [&[20, 0, 0, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &size.to_le_bytes(), &[0xff; 4]].concat();
        file.extend(
            [b"PK\x03\x04", &fixed[..], &length.to_le_bytes(), &[0, 0], name.as_bytes(), data].concat(),
        );
        directory.extend(
            [b"PK\x01\x02\x14\x00", &fixed[..], &length.to_le_bytes(), &[0; 12], &place.to_le_bytes()]
                .concat(),
        );
        directory.extend(name.as_bytes());
    }
    let (place, size, count) = (file.len() as u32, directory.len() as u32, parts.len() as u16);
    file.extend(directory);
    let counts = [count.to_le_bytes(), count.to_le_bytes()].concat();
    file.extend(
        [b"PK\x05\x06\0\0\0\0", &counts[..], &size.to_le_bytes(), &place.to_le_bytes(), &[0, 0]].concat(),
    );
    file
}

fn refused(name: &str, bytes: &[u8]) -> String {
    document(name, bytes, LIMIT).unwrap_err().to_string()
}

fn text(name: &str, bytes: &[u8]) -> String {
    document(name, bytes, LIMIT).unwrap().text
}

fn docx(body: &str) -> Vec<u8> {
    packed(&[("word/document.xml", body.as_bytes())])
}

#[test]
fn bombs_of_zip_are_named_and_stay_small() {
    let zeros = vec![b' '; 140 << 20];
    let bomb = packed(&[("word/document.xml", &zeros)]);
    assert!(bomb.len() < LIMIT as usize);
    assert_eq!(refused("bomb.docx", &bomb), "bomb.docx unpacks to more than 128 MB");
    // One that unpacks to no end is listed by its names alone.
    assert_eq!(text("bomb.zip", &packed(&[("inner.zip", &zeros)])), "inner.zip");
    let mut tar = GzEncoder::new(Vec::new(), Compression::fast());
    let mut head = [0u8; 512];
    head[..5].copy_from_slice(b"a.txt");
    head[124..135].copy_from_slice(b"77777777777");
    head[257..262].copy_from_slice(b"ustar");
    head[148..156].fill(b' ');
    let sum: u64 = head.iter().map(|byte| u64::from(*byte)).sum();
    head[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    tar.write_all(&head).unwrap();
    tar.write_all(&zeros[..8 << 20]).unwrap();
    assert_eq!(text("bomb.tar.gz", &tar.finish().unwrap()), "a.txt");
}

#[test]
fn sizes_that_lie_are_not_believed() {
    let word = deflated(b"<w:p><w:t>here</w:t></w:p>");
    let file = zipped(&[("word/document.xml", word)]);
    assert_eq!(text("a.docx", &file), "here");
    let wide = file.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut lying = file.clone();
    lying[wide + 20..wide + 28].fill(0xff);
    check("lying.docx", &lying, LIMIT);
    let pdf = b"%PDF-1.4\n1 0 obj <</Length 4294967295>> stream\nx\nendstream endobj\n2 0 obj <</Type/ObjStm/N 4294967295/First 4294967295/Length 1>> stream\n1 endstream endobj";
    check("lying.pdf", pdf, LIMIT);
}

#[test]
fn nesting_without_end_is_read_or_refused() {
    let deep = |open: &str, close: &str| open.repeat(10_000) + "word" + &close.repeat(10_000);
    for (name, file) in [
        ("p.docx", docx(&deep("<w:p><w:t>", "</w:t></w:p>"))),
        ("tables.docx", docx(&deep("<w:tbl><w:tr><w:tc><w:p><w:r>", "</w:r></w:p></w:tc></w:tr></w:tbl>"))),
        ("deep.html", deep("<div><b>", "</b></div>").into_bytes()),
        ("deep.json", deep("[", "]").into_bytes()),
        ("deep.ipynb", format!("{{\"nbformat\": 4, \"cells\": {}}}", deep("[", "]")).into_bytes()),
        ("array.pdf", format!("%PDF-1.4\n1 0 obj {} endobj", deep("[", "]")).into_bytes()),
        ("dict.pdf", format!("%PDF-1.4\n1 0 obj {} endobj", deep("<</a ", ">>")).into_bytes()),
        ("text.pdf", format!("%PDF-1.4\n1 0 obj {} endobj", deep("(", ")")).into_bytes()),
    ] {
        check(name, &file, LIMIT);
    }
    let mut mail = String::from("From: a@b\nDate: x\nMessage-ID: <x>\n");
    for at in 0..2000 {
        mail += &format!("Content-Type: multipart/mixed; boundary=\"{at}\"\n\n--{at}\n");
    }
    check("deep.eml", mail.as_bytes(), LIMIT);
    let mail = "From: a@b\nDate: x\nContent-Type: message/rfc822\n\n".repeat(2000);
    check("nested.eml", mail.as_bytes(), LIMIT);
}

#[test]
fn entities_are_not_expanded() {
    let mut bomb = String::from("<!DOCTYPE a [<!ENTITY e0 \"ha\">");
    for at in 1..30 {
        bomb += &format!("<!ENTITY e{at} \"{}\">", format!("&e{};", at - 1).repeat(10));
    }
    bomb += "<!ENTITY file SYSTEM \"file:///etc/passwd\">]><w:p><w:t>&e29; &file; end</w:t></w:p>";
    assert_eq!(text("laughs.docx", &docx(&bomb)), "&e29; &file; end");
}

/// A PDF document of these objects, numbered from 1, the first of which is the catalog.
fn pdf(objects: &[&str]) -> Vec<u8> {
    let body: Vec<String> = objects
        .iter()
        .enumerate()
        .map(|(at, object)| format!("{} 0 obj\n{object}\nendobj\n", at + 1))
        .collect();
    format!("%PDF-1.4\n{}trailer <</Root 1 0 R>>\n%%EOF", body.concat()).into_bytes()
}

fn stream(content: &str) -> String {
    format!("<</Length {}>> stream\n{content}\nendstream", content.len())
}

#[test]
fn references_in_circles_end() {
    let page =
        "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>";
    let content = stream("BT /F 12 Tf 72 700 Td (Round and round) Tj ET /X Do");
    let form =
        "<</Subtype/Form/Resources<</XObject<</X 6 0 R>>>>/Length 12>> stream\n/X Do /X Do \nendstream";
    let font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding 7 0 R/ToUnicode 7 0 R>>";
    let file =
        pdf(&["<</Pages 2 0 R>>", "<</Kids[3 0 R 2 0 R 1 0 R 3 0 R]>>", page, &content, font, form, "7 0 R"]);
    let read = document("round.pdf", &file, LIMIT).unwrap();
    assert_eq!((read.text.as_str(), read.chunks[0].page), ("Round and round", Some(1)));
    let endless = pdf(&["<</Pages 2 0 R>>", "<</Kids 2 0 R>>", "<</Length 3 0 R>> stream\n"]);
    assert_eq!(refused("endless.pdf", &endless), "endless.pdf is a damaged PDF document: it has no pages");
}

#[test]
fn streams_that_swell_stay_small() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..90 {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let data = encoder.finish().unwrap();
    let mut file = pdf(&["<</Pages 2 0 R>>", "<</Kids[3 0 R 3 0 R]>>", "<</Type/Page/Contents 4 0 R>>"]);
    let head = format!("\n4 0 obj <</Filter/FlateDecode/Length {}>> stream\n", data.len());
    file.extend([head.as_bytes(), &data, b"\nendstream endobj"].concat());
    assert_eq!(refused("swollen.pdf", &file), "swollen.pdf holds no text: its pages are pictures");
}

#[test]
fn more_text_than_is_taken_in_is_cut_and_said() {
    let body = format!("<w:p><w:t>{}</w:t></w:p>", "wörter ".repeat(100)).repeat(100);
    let read = document("long.docx", &docx(&body), 10_000).unwrap();
    assert!(read.text.len() <= 10_000 && read.text.len() > 9_990);
    assert_eq!(read.partial.as_deref(), Some("only its first 10000 bytes of text are indexed"));
    let cells = format!(
        "<table:table-row><table:table-cell table:number-columns-repeated=\"16384\"><text:p>{}</text:p></table:table-cell></table:table-row>",
        "x".repeat(100)
    );
    let sheet = format!("<table:table table:name=\"a\">{}</table:table>", cells.repeat(100));
    let kind = "application/vnd.oasis.opendocument.spreadsheet";
    let ods = packed(&[("mimetype", kind.as_bytes()), ("content.xml", sheet.as_bytes())]);
    assert!(document("wide.ods", &ods, 10_000).unwrap().partial.is_some());
}

#[test]
fn a_cell_far_out_costs_nothing() {
    let book = "<sheets><sheet name=\"s\" sheetId=\"1\" r:id=\"r\"/></sheets>";
    let relations = "<Relationship Id=\"r\" Target=\"s.xml\"/>";
    let sheet = "<row r=\"1\"><c r=\"A1\"><v>1</v></c><c r=\"XFD1\"><v>2</v></c></row><row r=\"1048576\"><c r=\"ZZZZZZZZ1048576\"><v>3</v></c></row>";
    let file = packed(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/s.xml", sheet.as_bytes()),
    ]);
    let text = text("far.xlsx", &file);
    assert!(text.starts_with("1 |") && text.ends_with('3') && text.len() < 200, "{text}");
}

#[test]
fn a_wrong_mark_is_told() {
    assert_eq!(
        refused("a.docx", b"PK\x03\x04nothing"),
        "a.docx is a damaged ZIP file: its directory is missing"
    );
    assert_eq!(
        refused("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on"),
        "a.doc is a damaged Office document of before 2007: its table of sectors is missing"
    );
    assert_eq!(text("a.pdf", b"only words"), "only words");
    assert_eq!(
        refused("b.ipynb", b"{\"nbformat\": 4, \"cells\": 1}"),
        "b.ipynb is a damaged notebook: its JSON cannot be read"
    );
}
