//! The way from a text back to what it was made of: runs in which both sides advance alike.
//! Pure data; the broker reads it as the pairs of [`crate::protocol::frames::Extracted::map`].

/// More runs than this are not kept, so that a document of nothing but entities cannot make the
/// reply larger than a frame. Past the last run, positions are approximate.
const MAX_RUNS: usize = 1 << 20;

/// `text[a..]` comes from `source[b..]` for each run `(a, b)`. No runs: both are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Map {
    runs: Vec<(u64, u64)>,
}

impl Map {
    /// Says that the text from `at` on comes from the source from `source` on. `at` may only grow; a
    /// source that lies before the last one is taken as that one.
    pub(super) fn push(&mut self, at: usize, source: usize) {
        let at = at as u64;
        let source = self.runs.last().map_or(0, |run| run.1).max(source as u64);
        if self.source(at as usize) == source {
            return;
        }
        let full = self.runs.len() >= MAX_RUNS;
        match self.runs.last_mut() {
            Some(last) if last.0 == at => last.1 = source,
            _ if full => {}
            _ => self.runs.push((at, source)),
        }
    }

    /// Where the text's byte `at` comes from.
    pub(super) fn source(&self, at: usize) -> u64 {
        let at = at as u64;
        match self.runs.partition_point(|run| run.0 <= at) {
            0 => at,
            n => {
                let (text, source) = self.runs[n - 1];
                let position = source + (at - text);
                // A run that shrank (an entity, a collapsed blank) never reaches past the next.
                self.runs.get(n).map_or(position, |next| position.min(next.1))
            }
        }
    }

    /// This map's sources led on through `next`, whose text they are positions of.
    pub(super) fn then(&self, next: &Map) -> Map {
        if next.runs.is_empty() {
            return self.clone();
        }
        let mut outer = self.runs.clone();
        if outer.first().is_none_or(|run| run.0 > 0) {
            outer.insert(0, (0, 0));
        }
        let mut joined = Map::default();
        for (i, &(text, source)) in outer.iter().enumerate() {
            joined.push(text as usize, next.source(source as usize) as usize);
            // Turns of the second map that fall inside this run.
            let end = outer.get(i + 1).map_or(u64::MAX, |run| run.1.min(source + (run.0 - text)));
            let first = next.runs.partition_point(|turn| turn.0 <= source);
            for turn in next.runs[first..].iter().take_while(|turn| turn.0 < end) {
                joined.push((text + turn.0 - source) as usize, turn.1 as usize);
            }
        }
        joined
    }

    pub(super) fn into_pairs(self) -> Vec<(u64, u64)> {
        self.runs
    }
}
