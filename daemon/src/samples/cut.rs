//! Cuts a text into pieces of a paragraph or several, at borders that a reader would choose. Arithmetic on text only.

/// Characters that a piece has at most, unless it is one long word.
const MOST: usize = 900;
/// Characters below which a piece is not worth learning.
const LEAST: usize = 12;

/// The pieces of a text in order, each trimmed: whole paragraphs where they fit, then whole lines, sentences, words.
pub fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut piece = String::new();
    for part in parts(text) {
        if !piece.is_empty() && length(&piece) + length(part) > MOST {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push_str(part);
    }
    pieces.push(piece);
    let trimmed = pieces.into_iter().map(|piece| piece.trim().to_owned());
    trimmed.filter(|piece| length(piece) >= LEAST).collect()
}

/// Stretches that are never cut, each no longer than a piece where it can be.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = vec![text];
    for border in ["\n\n", "\n", ". ", " "] {
        parts = parts
            .into_iter()
            .flat_map(
                |part| if length(part) > MOST { part.split_inclusive(border).collect() } else { vec![part] },
            )
            .collect();
    }
    parts
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paragraphs_stay_whole_where_they_fit() {
        let paragraph = |c: &str| c.repeat(400);
        let text = [paragraph("a"), paragraph("b"), paragraph("c")].join("\n\n");
        let pieces = pieces(&text);
        assert_eq!(pieces, [format!("{}\n\n{}", paragraph("a"), paragraph("b")), paragraph("c")]);
        assert_eq!(super::pieces("short"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_word_is_lost_or_cut(words in prop::collection::vec("[a-zé]{1,30}[.]?", 0..400)) {
            let text = words.join(" ");
            let pieces = pieces(&text);
            prop_assert!(pieces.iter().all(|piece| length(piece) <= MOST));
            let again: Vec<&str> = pieces.iter().flat_map(|piece| piece.split(' ')).collect();
            // Only what is too short to learn may go.
            prop_assert!(words.len() - again.len() <= LEAST);
        }
    }
}
