//! How much of what goes into a cycle, in tokens. Arithmetic only.

/// Parts of the training tokens, against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub distilled: u32,
    pub style: u32,
    pub earlier: u32,
    pub replay: u32,
}

/// Chooses rows by their tokens: every new one `rounds` times, and of the other kinds as many as the shares ask for, none again
/// before all were taken. Gives for each kind which rows, in order; a kind without rows gives its part up.
pub fn mix(
    distilled: &[usize],
    style: &[usize],
    earlier: &[usize],
    replay: &[usize],
    shares: Shares,
    rounds: usize,
) -> [Vec<usize>; 4] {
    let kinds = [
        (distilled, shares.distilled),
        (style, shares.style),
        (earlier, shares.earlier),
        (replay, shares.replay),
    ];
    // What is new is learned whole: the larger of its two kinds, by its share, sets the size of the cycle.
    let size = |(rows, share): (&[usize], u32)| match share {
        0 => 0.0,
        share => rows.iter().sum::<usize>() as f64 / f64::from(share),
    };
    let unit = size(kinds[0]).max(size(kinds[1])) * rounds as f64;
    kinds.map(|(rows, share)| taken(rows, (unit * f64::from(share)).round() as usize, rounds))
}

/// Rows one after the other, and again from the first, until they hold so many tokens.
fn taken(rows: &[usize], tokens: usize, rounds: usize) -> Vec<usize> {
    /// A row that stands so often in a round is no longer replay but a habit.
    const MOST: usize = 4;
    let (mut chosen, mut sum) = (Vec::new(), 0);
    for (at, row) in rows.iter().enumerate().cycle().take(rows.len() * MOST * rounds) {
        if sum >= tokens {
            break;
        }
        chosen.push(at);
        sum += row;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: Shares = Shares { distilled: 50, style: 20, earlier: 10, replay: 30 };

    #[test]
    fn tokens_are_shared_out() {
        let [distilled, style, earlier, replay] = mix(&[10; 50], &[20; 5], &[5; 9], &[30; 100], SHARES, 1);
        assert_eq!((distilled.len(), style.len(), earlier.len(), replay.len()), (50, 10, 20, 10));
        assert_eq!(style, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn in_more_rounds_the_new_comes_again_and_the_rest_goes_on() {
        let [distilled, style, _, replay] = mix(&[10; 50], &[20; 5], &[], &[30; 100], SHARES, 3);
        assert_eq!((distilled.len(), style.len(), replay.len()), (150, 30, 30));
        assert_eq!(replay, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_new_is_never_left_out() {
        let [distilled, style, _, replay] = mix(&[10; 2], &[20; 50], &[], &[30; 100], SHARES, 1);
        assert_eq!((distilled.len(), style.len(), replay.len()), (8, 50, 50));
        let [distilled, style, _, replay] = mix(&[], &[20; 5], &[], &[], SHARES, 1);
        assert_eq!((distilled.len(), style.len(), replay.len()), (0, 5, 0));
        let nothing: [Vec<usize>; 4] = Default::default();
        assert_eq!(mix(&[], &[], &[5; 9], &[5; 9], SHARES, 1), nothing);
    }
}
