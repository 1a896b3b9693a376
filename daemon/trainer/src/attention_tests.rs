use super::*;
use crate::random::Stream;

fn acts(features: usize, tokens: usize, seed: u64) -> Acts {
    let mut acts = Acts::zeros(features, tokens);
    let mut stream = Stream::new(seed);
    // Padding too: it must not matter.
    acts.values_mut().iter_mut().for_each(|value| *value = 1.5 * stream.signed());
    acts
}

fn segments(lengths: &[usize]) -> Vec<u32> {
    lengths.iter().enumerate().flat_map(|(i, n)| vec![i as u32; *n]).collect()
}

const HEADS: Heads = Heads { query: 6, key: 2, size: 10, scale: 0.4, softcap: None };

struct Case {
    heads: Heads,
    segments: Vec<u32>,
    window: Option<usize>,
}

fn cases() -> Vec<Case> {
    let case = |softcap, lengths: &[usize], window| Case {
        heads: Heads { softcap, ..HEADS },
        segments: segments(lengths),
        window,
    };
    vec![
        case(None, &[1], None),
        case(None, &[32], None),
        case(None, &[70, 3, 40], None),
        case(None, &[5, 100], Some(7)),
        case(Some(2.0), &[90], Some(40)),
    ]
}

/// Attention by its definition, in f64: mixed values `[token][head * size]`.
fn plain(case: &Case, q: &Acts, k: &Acts, v: &Acts) -> Vec<Vec<f64>> {
    let Heads { query, key, size, scale, softcap } = case.heads;
    let mix = |t: usize, head: usize| {
        let group = head / (query / key);
        let seen: Vec<usize> = (0..=t)
            .filter(|s| case.segments[*s] == case.segments[t] && case.window.is_none_or(|w| t - s < w))
            .collect();
        let score = |s: usize| {
            let at = |i| f64::from(q.get(head * size + i, t)) * f64::from(k.get(group * size + i, s));
            let score: f64 = (0..size).map(at).sum::<f64>() * f64::from(scale);
            softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
        };
        let weights: Vec<f64> = seen.iter().map(|s| score(*s).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let value = |i| {
            let parts =
                seen.iter().zip(&weights).map(|(s, w)| w / sum * f64::from(v.get(group * size + i, *s)));
            parts.sum::<f64>()
        };
        (0..size).map(value).collect::<Vec<f64>>()
    };
    let tokens = case.segments.len();
    (0..tokens).map(|t| (0..query).flat_map(|head| mix(t, head)).collect()).collect()
}

#[test]
fn forward_is_attention_by_its_definition() {
    for case in cases() {
        let tokens = case.segments.len();
        let (q, k, v) = (acts(60, tokens, 1), acts(20, tokens, 2), acts(20, tokens, 3));
        let reach = Reach::new(&case.segments, case.window);
        let (out, _) = forward(&case.heads, &reach, &q, &k, &v);
        for (t, expected) in plain(&case, &q, &k, &v).iter().enumerate() {
            for (i, expected) in expected.iter().enumerate() {
                assert!((f64::from(out.get(i, t)) - expected).abs() < 3e-6, "{i} {t}");
            }
        }
    }
}

#[test]
fn backward_equals_central_differences_of_the_definition() {
    for case in cases() {
        let tokens = case.segments.len();
        let given = [acts(60, tokens, 1), acts(20, tokens, 2), acts(20, tokens, 3)];
        let weights = {
            let mut weights = acts(60, tokens, 4);
            // As in the model: padding brings no gradient.
            let all = weights.clone();
            weights.values_mut().fill(0.0);
            (0..tokens).for_each(|t| (0..60).for_each(|i| weights.set(i, t, all.get(i, t))));
            weights
        };
        let reach = Reach::new(&case.segments, case.window);
        let [q, k, v] = &given;
        let (out, sums) = forward(&case.heads, &reach, q, k, v);
        let seen = Seen { q, k, v, out: &out, sums: &sums };
        let (dq, dk, dv) = backward(&case.heads, &reach, &seen, &weights);
        let loss = |given: &[Acts; 3]| -> f64 {
            let mixed = plain(&case, &given[0], &given[1], &given[2]);
            let of = |(t, row): (usize, &Vec<f64>)| {
                row.iter().enumerate().map(|(i, y)| y * f64::from(weights.get(i, t))).sum::<f64>()
            };
            mixed.iter().enumerate().map(of).sum()
        };
        let mut stream = Stream::new(5);
        for (which, gradient) in [&dq, &dk, &dv].into_iter().enumerate() {
            for _ in 0..4 {
                let (t, i) = (stream.below(tokens), stream.below(gradient.features()));
                let around = |h: f32| {
                    let mut moved = given.clone();
                    moved[which].set(i, t, given[which].get(i, t) + h);
                    let h = f64::from(moved[which].get(i, t)) - f64::from(given[which].get(i, t));
                    (loss(&moved), h)
                };
                let ((up, a), (down, b)) = (around(1e-3), around(-1e-3));
                let numeric = (up - down) / (a - b);
                let ours = f64::from(gradient.get(i, t));
                assert!(
                    (numeric - ours).abs() < 1e-4 * (1.0 + ours.abs()),
                    "{which} {i} {t}: {numeric} {ours}"
                );
            }
        }
    }
}

#[test]
fn tiles_that_no_pair_touches_are_skipped() {
    let reach = Reach::new(&segments(&[64, 40]), None);
    assert_eq!((reach.panels(1), reach.panels(2), reach.panels(3)), (0..=1, 2..=2, 2..=3));
    let reach = Reach::new(&segments(&[128]), Some(33));
    assert_eq!((reach.panels(1), reach.panels(3)), (0..=1, 2..=3));
}
