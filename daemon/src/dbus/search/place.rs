//! Programs that can be told where in a file to begin, and how each is told. Which program opens a file is the owner's
//! choice, as `xdg-mime` knows it; one that is not here opens the file at its beginning. Pure.

/// Where in a file a passage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u64,
    /// From 1, in a file that has pages.
    pub page: Option<u32>,
}

/// Desktop entry, program, and what stands before the page's number.
const BY_PAGE: [(&str, &str, &str); 5] = [
    ("org.gnome.Evince", "evince", "--page-index="),
    ("org.kde.okular", "okular", "--page="),
    ("atril", "atril", "--page-index="),
    ("xreader", "xreader", "--page-index="),
    ("org.pwmt.zathura", "zathura", "--page="),
];

/// The same for the line's number.
const BY_LINE: [(&str, &str, &str); 9] = [
    ("org.kde.kate", "kate", "--line="),
    ("org.kde.kwrite", "kwrite", "--line="),
    ("org.gnome.gedit", "gedit", "+"),
    ("xed", "xed", "+"),
    ("pluma", "pluma", "+"),
    ("org.xfce.mousepad", "mousepad", "--line="),
    ("geany", "geany", "--line="),
    ("emacs", "emacs", "+"),
    ("gvim", "gvim", "+"),
];

/// The program of a desktop entry, as `xdg-mime query default` names it, and the argument that leads to the place.
pub fn told(entry: &str, place: Place) -> Option<(&'static str, String)> {
    let entry = entry.trim().strip_suffix(".desktop")?;
    let (table, number) = match place.page {
        Some(page) => (&BY_PAGE[..], u64::from(page)),
        None => (&BY_LINE[..], place.line),
    };
    let (_, program, before) = table.iter().find(|(name, ..)| *name == entry)?;
    Some((program, format!("{before}{number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_gets_the_page_and_an_editor_the_line() {
        let (paged, plain) = (Place { line: 70, page: Some(3) }, Place { line: 70, page: None });
        assert_eq!(told("org.kde.okular.desktop\n", paged), Some(("okular", "--page=3".into())));
        assert_eq!(told("org.gnome.gedit.desktop", plain), Some(("gedit", "+70".into())));
        for (entry, place) in [
            ("org.gnome.gedit.desktop", paged),
            ("org.kde.okular.desktop", plain),
            ("firefox.desktop", plain),
            ("gedit", plain),
            ("", plain),
        ] {
            assert_eq!(told(entry, place), None, "{entry}");
        }
    }
}
