use super::*;
use proptest::prelude::*;
use std::io::Write;

const LIMIT: u64 = 4 << 20;

fn extract(name: &str, bytes: &[u8]) -> Extracted {
    document(name, bytes, LIMIT).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn refused(name: &str, bytes: &[u8]) -> String {
    document(name, bytes, LIMIT).unwrap_err().to_string()
}

/// Where the map says that a word of the text stands in the content.
fn source_of(extracted: &Extracted, word: &str) -> usize {
    let at = extracted.text.find(word).unwrap() as u64;
    let run = extracted.map.iter().rev().find(|run| run.0 <= at).copied().unwrap_or((0, 0));
    (run.1 + at - run.0) as usize
}

#[test]
fn plain_text_is_its_own_content() {
    let text = "A title line\n\nThe first paragraph is here.\n\nThe second one follows.\n";
    let extracted = extract("notes.txt", text.as_bytes());
    assert_eq!(extracted.text, text);
    assert_eq!(extracted.title, "A title line");
    assert!(extracted.map.is_empty());
    assert_eq!(extracted.hash, blake3::hash(text.as_bytes()).to_hex().to_string());
    assert_eq!(extracted.chunks.len(), 1);
}

#[test]
fn markdown_headings_become_breadcrumbs_and_fences_are_no_headings() {
    let body = "Words about it. ".repeat(30);
    let text = format!(
        "# Top\n\n{body}\n\n```sh\n# not a heading\n```\n\n## Inner\n\n{body}\n\nSide\n====\n\n{body}\n"
    );
    let extracted = extract("guide.md", text.as_bytes());
    let crumbs: Vec<&str> = extracted.chunks.iter().map(|c| c.breadcrumb.as_str()).collect();
    assert!(crumbs.contains(&"Top > Inner"), "{crumbs:?}");
    assert_eq!(crumbs.last(), Some(&"Side"));
    assert!(!crumbs.iter().any(|c| c.contains("not a heading")));
    let inner = extracted.chunks.iter().find(|c| c.breadcrumb == "Top > Inner").unwrap();
    assert_eq!(inner.line, 9);
}

#[test]
fn underlined_and_capital_headings_of_readmes_are_found() {
    let body = "Plain words stand here. ".repeat(20);
    let text = format!(
        "bash for Debian\n---------------\n\n{body}\n\nINSTALLATION\n\n{body}\n\nDetails\n~~~~~~~\n\n{body}\n"
    );
    let crumbs: Vec<String> =
        extract("README.Debian", text.as_bytes()).chunks.into_iter().map(|c| c.breadcrumb).collect();
    assert_eq!(crumbs.first().map(String::as_str), Some("bash for Debian"));
    assert!(crumbs.contains(&"INSTALLATION".to_string()), "{crumbs:?}");
}

#[test]
fn html_loses_its_tags_and_keeps_the_way_back() {
    let page = "<!DOCTYPE html><html><head><title>The &amp; Page</title><style>p{}</style></head>\r\n\
        <body><h1>Caf&eacute; times</h1><p>Open   from <b>nine</b> &mdash; to five.</p>\n<script>alert('x')</script>\
        <h2>Prices</h2><pre>a  b\n  c</pre></body></html>";
    let extracted = extract("cafe.html", page.as_bytes());
    assert_eq!(extracted.title, "The & Page");
    assert_eq!(extracted.text, "Café times\n\nOpen from nine — to five.\n\nPrices\n\na  b\n  c");
    for word in ["times", "Open", "from", "nine", "to five", "Prices", "a  b"] {
        let at = source_of(&extracted, word);
        assert!(page[at..].starts_with(word), "{word} leads to {:?}", &page[at..at + 10]);
    }
    assert_eq!(extracted.chunks[0].line, 2);
}

#[test]
fn gzip_is_unpacked_and_hashed_as_it_lies_on_the_disk() {
    let packed = gzip(b"<html><body><h1>Packed</h1><p>words</p></body></html>");
    let extracted = extract("page.html.gz", &packed);
    assert_eq!(extracted.title, "Packed");
    assert_eq!(extracted.hash, blake3::hash(&packed).to_hex().to_string());
    let twice = [gzip(b"one member\n"), gzip(b"two members\n")].concat();
    assert_eq!(extract("log.gz", &twice).text, "one member\ntwo members\n");
}

#[test]
fn a_gzip_bomb_stays_small_and_is_named() {
    let bomb = gzip(&vec![b'a'; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(refused("bomb.txt.gz", &bomb), "bomb.txt.gz holds more than 4 MB of text");
}

#[test]
fn what_is_not_text_is_refused_with_its_name() {
    assert_eq!(refused("x.bin", b"ELF\0\x01\x02"), "x.bin is a binary file");
    assert_eq!(refused("x.bin.gz", &gzip(b"ELF\0\x01\x02")), "x.bin is a binary file");
    assert_eq!(
        refused("paper.pdf", b"%PDF-1.7\n"),
        "paper.pdf is a damaged PDF document: there are no objects in it"
    );
    assert!(refused("cut.gz", &gzip(b"hello hello hello")[..12]).contains("damaged gzip"));
}

#[test]
fn other_encodings_are_read_and_lead_back_line_by_line() {
    let (latin, _, _) =
        encoding_rs::WINDOWS_1252.encode("Grüße aus Köln, schöne Straße\nzweite Zeile über Öl\n");
    let extracted = extract("brief.txt", &latin);
    assert!(extracted.text.contains("schöne Straße"), "{}", extracted.text);
    assert!(latin[source_of(&extracted, "zweite")..].starts_with(b"zweite"));
    let wide: Vec<u8> = "\u{feff}Hello wide\nsecond line".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let extracted = extract("wide.txt", &wide);
    assert_eq!(extracted.text, "Hello wide\nsecond line");
    assert_eq!(source_of(&extracted, "second"), 2 + 11 * 2);
    let extracted = extract("bom.txt", b"\xef\xbb\xbfmarked");
    assert_eq!(extracted.text, "marked");
    assert_eq!(source_of(&extracted, "marked"), 3);
    let stray = "ein schöner größerer Text über Äpfel\n".repeat(5) + "x";
    let mut stray = stray.into_bytes();
    stray.push(0xff);
    assert!(extract("stray.txt", &stray).text.contains("größerer"));
}

#[test]
fn an_empty_file_has_no_passages_and_its_name_as_title() {
    let extracted = extract("empty.txt", b"");
    assert!(extracted.chunks.is_empty());
    assert_eq!(extracted.title, "empty.txt");
}

#[test]
fn long_paragraphs_are_cut_at_sentences() {
    let text = "This is one sentence of the long paragraph. ".repeat(100);
    let extracted = extract("long.txt", text.as_bytes());
    assert!(extracted.chunks.len() > 3);
    for chunk in &extracted.chunks {
        let passage = &extracted.text[chunk.start as usize..chunk.end as usize];
        assert!(passage.ends_with('.') && passage.len() <= 900, "{passage}");
    }
}

fn check(name: &str, bytes: &[u8]) {
    let Ok(extracted) = document(name, bytes, 1 << 20) else { return };
    let mut end = 0;
    let mut line = 1;
    for chunk in &extracted.chunks {
        assert!(chunk.start >= end && chunk.start < chunk.end && chunk.line >= line);
        (end, line) = (chunk.end, chunk.line);
        assert!(extracted.text.get(chunk.start as usize..chunk.end as usize).is_some());
    }
    assert!(extracted.map.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1), "{:?}", extracted.map);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000), kind in 0..5usize) {
        check(["a.txt", "a.md", "a.html", "a.rs", "a.gz"][kind], &bytes);
    }

    #[test]
    fn any_markup_is_read(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "<h1>", "</h1>", "<p>", "&amp;", "&eacute;", "&#x41;", "&", "&notanentity;", "<pre>", "</pre>", "<b",
                "<!--", "-->", "<title>", "</title>", "<script>", "</script>", "é", "日本", "\r\n", "\n\n", " ",
                "word", "# ", "===\n", "----\n", "1. ", "```\n", "TITLE\n", "\u{301}", "<svg>", "\u{feff}", ". ",
            ]),
            0..200,
        ),
        kind in 0..4usize,
        packed in any::<bool>(),
        wide in any::<bool>(),
    ) {
        let text = parts.concat();
        let bytes = if wide {
            std::iter::once(0xfeffu16).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()
        } else {
            text.into_bytes()
        };
        let bytes = if packed { gzip(&bytes) } else { bytes };
        check(["a.txt", "a.md", "a.html", "a.rs"][kind], &bytes);
    }
}
