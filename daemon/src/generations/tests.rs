use super::*;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    generations: Generations,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let generations = Generations::open(folder.path().join("generations")).unwrap();
    Place { folder, generations }
}

impl Place {
    /// A promoted generation that came from what serves now, and serves.
    fn promote(&mut self, samples: &[&str]) -> u32 {
        let parent = self.generations.serving("base").map(|card| card.number);
        let mut all: Vec<String> =
            parent.map_or(Vec::new(), |p| self.generations.get(p).unwrap().samples.clone());
        all.extend(samples.iter().map(ToString::to_string));
        let number = self.keep(Card { parent, samples: all, state: State::Promoted, ..Card::default() });
        self.generations.serve(number, "base").unwrap();
        number
    }

    fn keep(&mut self, card: Card) -> u32 {
        let adapter = self.folder.path().join("candidate.gguf");
        fs::write(&adapter, "weights").unwrap();
        self.generations.keep(&adapter, Card { base: "base".into(), scale: 1.0, ..card }).unwrap()
    }

    fn serving(&self) -> Option<u32> {
        self.generations.serving("base").map(|card| card.number)
    }

    fn reopened(self) -> Place {
        let generations = Generations::open(self.folder.path().join("generations")).unwrap();
        assert_eq!(generations.cards, self.generations.cards);
        assert_eq!(generations.serving, self.generations.serving);
        Place { generations, ..self }
    }
}

#[test]
fn generations_follow_one_another_and_survive_a_restart() {
    let mut place = place();
    assert_eq!((place.promote(&["a"]), place.promote(&["b"])), (1, 2));
    let mut place = place.reopened();
    assert_eq!((place.serving(), place.generations.before("base")), (Some(2), Some(1)));
    assert!(place.generations.adapter(2).is_file());
    place.generations.serve(1, "base").unwrap();
    let mut place = place.reopened();
    assert_eq!((place.serving(), place.generations.before("base")), (Some(1), None));
    // A number is never given twice.
    assert_eq!(place.promote(&["c"]), 3);
    assert_eq!(place.generations.get(3).unwrap().parent, Some(1));
    place.generations.serve_none("base").unwrap();
    assert_eq!(place.reopened().serving(), None);
}

#[test]
fn only_what_passed_the_gate_on_this_model_serves() {
    let mut place = place();
    for (state, why) in [
        (State::Candidate, "not judged"),
        (State::Rejected, "did not pass"),
        (State::Retired, "forgotten"),
        (State::Pruned, "room"),
    ] {
        let number = place.keep(Card { state, ..Card::default() });
        let said = place.generations.serve(number, "base").unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
    let fit = place.keep(Card { state: State::Promoted, ..Card::default() });
    assert!(matches!(place.generations.serve(fit, "other"), Err(GenerationsError::OtherBase(_))));
    assert!(matches!(place.generations.serve(99, "base"), Err(GenerationsError::NotFound(99))));
    assert_eq!(place.serving(), None);
}

#[test]
fn what_saw_a_sample_is_retired_and_the_last_clean_one_serves() {
    let mut place = place();
    place.promote(&["a"]);
    place.promote(&["b"]);
    place.promote(&["c"]);
    assert_eq!(place.generations.retire(|sample| sample == "b").unwrap(), [2, 3]);
    assert_eq!(place.serving(), Some(1));
    for number in [2, 3] {
        assert!(!place.generations.adapter(number).exists());
        assert!(place.generations.get(number).unwrap().samples.is_empty());
    }
    let mut place = place.reopened();
    assert_eq!(place.generations.retire(|_| true).unwrap(), [1]);
    assert_eq!(place.serving(), None);
    assert!(place.generations.retire(|_| true).unwrap().is_empty());
}

#[test]
fn the_way_back_jumps_over_what_is_gone() {
    let mut place = place();
    place.promote(&["a"]);
    place.promote(&["b"]);
    place.promote(&["c"]);
    // Only the one in the middle saw it: its child was made anew without it.
    place.generations.rewrite(3, |card| Card { samples: vec!["c".into()], ..card }).unwrap();
    assert_eq!(place.generations.retire(|sample| sample == "b").unwrap(), [2]);
    assert_eq!((place.serving(), place.generations.before("base")), (Some(3), Some(1)));
}

#[test]
fn old_ones_are_pruned_and_never_the_one_that_serves_or_its_way_back() {
    let mut place = place();
    for _ in 0..6 {
        place.promote(&[]);
    }
    place.generations.serve(2, "base").unwrap();
    place.generations.prune("base", 2).unwrap();
    let fit = |place: &Place| -> Vec<u32> {
        place.generations.of("base").filter(|card| card.unfit().is_none()).map(|card| card.number).collect()
    };
    assert_eq!(fit(&place), [1, 2, 5, 6]);
    assert!(!place.generations.adapter(3).exists() && place.generations.adapter(1).exists());
    assert_eq!(place.serving(), Some(2));
}

#[test]
fn a_kill_anywhere_leaves_what_served_serving() {
    let mut place = place();
    place.promote(&["a"]);
    let folder = place.folder.path().join("generations");
    // Killed while a generation was being kept, and while the list was being written.
    fs::create_dir(folder.join("0002.new")).unwrap();
    fs::write(folder.join("0002.new/adapter.gguf"), "half").unwrap();
    fs::write(folder.join("serving.json.new"), "{\"ba").unwrap();
    let mut place = place.reopened();
    assert_eq!(place.serving(), Some(1));
    assert!(!folder.join("0002.new").exists() && !folder.join("serving.json.new").exists());
    assert_eq!(place.promote(&["b"]), 2);
    // Kept and not yet in use.
    let kept = place.keep(Card { state: State::Candidate, ..Card::default() });
    assert_eq!((kept, place.reopened().serving()), (3, Some(2)));
}

#[test]
fn damage_is_told_and_nothing_is_guessed() {
    for (file, bytes) in [
        ("0001/card.json", &b"{"[..]),
        ("0001/card.json", b"{\"number\": 7}"),
        ("0001/card.json", b"[1, 2"),
        ("serving.json", b"\xff"),
        ("serving.json", b"{\"base\": -1}"),
    ] {
        let mut place = place();
        place.promote(&["a"]);
        let path = place.folder.path().join("generations").join(file);
        fs::write(&path, bytes).unwrap();
        let error = Generations::open(place.folder.path().join("generations")).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains("damaged"), "{error}");
    }
    let mut place = place();
    place.promote(&["a"]);
    let folder = place.folder.path().join("generations");
    fs::remove_file(folder.join("0001/card.json")).unwrap();
    assert!(Generations::open(folder).unwrap_err().to_string().contains("missing"));
}
