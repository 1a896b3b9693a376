use super::*;
use crate::random::Stream;
use familiar_gguf::{Kind, Tensor};

const WIDTH: usize = 24;
const VOCABULARY: usize = 300;

struct Case {
    bytes: Vec<u8>,
    hidden: Acts,
    base: Acts,
}

impl Case {
    fn new(tokens: usize) -> Case {
        let mut stream = Stream::new(7);
        let mut bytes = Vec::new();
        (0..WIDTH * VOCABULARY).for_each(|_| bytes.extend((1.5 * stream.signed()).to_le_bytes()));
        let mut acts = || {
            let mut acts = Acts::zeros(WIDTH, tokens);
            (0..tokens).for_each(|t| (0..WIDTH).for_each(|f| acts.set(f, t, stream.signed())));
            acts
        };
        Case { hidden: acts(), base: acts(), bytes }
    }

    fn head(&self, softcap: Option<f32>) -> Head<'_> {
        let tensor =
            Tensor { shape: &[WIDTH as u64, VOCABULARY as u64], kind: Kind::F32, bytes: &self.bytes };
        Head { weight: Weight::new(tensor).unwrap(), softcap, precision: Precision::F32 }
    }

    /// Log-probabilities of all words, by definition and in f64.
    fn log_softmax(&self, acts: &Acts, token: usize, softcap: Option<f32>) -> Vec<f64> {
        let mut row = vec![0.0; WIDTH];
        let logits: Vec<f64> = (0..VOCABULARY)
            .map(|id| {
                self.head(None).weight.row(id, &mut row);
                let logit: f64 =
                    row.iter().enumerate().map(|(f, w)| f64::from(*w) * f64::from(acts.get(f, token))).sum();
                softcap.map_or(logit, |cap| f64::from(cap) * (logit / f64::from(cap)).tanh())
            })
            .collect();
        let max = logits.iter().copied().fold(f64::MIN, f64::max);
        let log_sum = max + logits.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
        logits.into_iter().map(|logit| logit - log_sum).collect()
    }

    fn loss(&self, hidden: &Acts, row: &Row, softcap: Option<f32>) -> f64 {
        let log = self.log_softmax(hidden, row.token, softcap);
        match &row.goal {
            Goal::Next(id) => -log[*id as usize],
            Goal::Avoid(id) => -(1.0 - log[*id as usize].exp()).ln(),
            Goal::Match(shares) => shares.iter().map(|(id, q)| -f64::from(*q) * log[*id as usize]).sum(),
            Goal::Base => {
                let base = self.log_softmax(&self.base, row.token, softcap);
                base.iter().zip(&log).map(|(b, l)| b.exp() * (b - l)).sum()
            }
        }
    }
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = (0..40)
        .map(|i| Row {
            token: (i * 7) % 45,
            weight: 0.5 + i as f32 / 10.0,
            goal: Goal::Next((i * 13 % 300) as u32),
        })
        .collect();
    rows[3].goal = Goal::Base;
    rows[35].goal = Goal::Base;
    rows[7].goal = Goal::Avoid(100);
    rows[20].goal = Goal::Avoid(260);
    rows[11].goal = Goal::Match(vec![(3, 0.5), (299, 0.3), (127, 0.1), (128, 0.05)]);
    rows
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn losses_and_gradients_are_those_of_the_definition() {
    let case = Case::new(45);
    for (softcap, threads) in [(None, 1), (None, 2), (Some(3.0), 3)] {
        let rows = rows();
        let mut d = Acts::zeros(WIDTH, 45);
        let head = case.head(softcap);
        let losses =
            on_threads(threads, || head.losses_and_gradient(&case.hidden, Some(&case.base), &rows, &mut d));
        for (row, loss) in rows.iter().zip(&losses) {
            let exact = case.loss(&case.hidden, row, softcap);
            assert!((f64::from(*loss) - exact).abs() < 1e-5 * exact.max(1.0), "{row:?}: {loss}, {exact}");
        }
        for (f, t) in [(0, 0), (5, 21), (23, 35), (11, rows[11].token), (2, 1)] {
            let around = |h: f32| {
                let mut moved = case.hidden.clone();
                moved.set(f, t, moved.get(f, t) + h);
                let of_row = |row: &Row| f64::from(row.weight) * case.loss(&moved, row, softcap);
                rows.iter().map(of_row).sum::<f64>()
            };
            let numeric = (around(1e-3) - around(-1e-3)) / 2e-3;
            let analytic = f64::from(d.get(f, t));
            assert!(
                (numeric - analytic).abs() < 1e-3 * numeric.abs().max(0.1),
                "{f} {t}: {numeric}, {analytic}"
            );
        }
    }
}

#[test]
fn without_a_gradient_the_losses_are_the_same() {
    let case = Case::new(45);
    let rows = rows();
    let mut d = Acts::zeros(WIDTH, 45);
    let with = case.head(None).losses_and_gradient(&case.hidden, Some(&case.base), &rows, &mut d);
    assert_eq!(with, case.head(None).losses(&case.hidden, Some(&case.base), &rows));
}

#[test]
fn a_model_does_not_diverge_from_itself() {
    let case = Case::new(8);
    let rows: Vec<Row> = (0..8).map(|token| Row { token, weight: 1.0, goal: Goal::Base }).collect();
    let mut d = Acts::zeros(WIDTH, 8);
    let losses = case.head(None).losses_and_gradient(&case.hidden, Some(&case.hidden), &rows, &mut d);
    assert!(losses.iter().all(|loss| loss.abs() < 1e-6), "{losses:?}");
    assert!(d.values().iter().all(|value| value.abs() < 1e-6));
}

#[test]
fn the_likeliest_are_those_of_the_definition() {
    let case = Case::new(40);
    let tokens = [0, 39, 17];
    let found = on_threads(2, || case.head(None).likeliest(&case.hidden, &tokens, 4));
    for (token, found) in tokens.into_iter().zip(found) {
        let log = case.log_softmax(&case.hidden, token, None);
        let mut order: Vec<usize> = (0..VOCABULARY).collect();
        order.sort_by(|a, b| log[*b].total_cmp(&log[*a]));
        assert_eq!(found.iter().map(|(id, _)| *id as usize).collect::<Vec<_>>(), order[..4]);
        let sum: f64 = order[..4].iter().map(|id| log[*id].exp()).sum();
        for (id, p) in found {
            assert!((f64::from(p) - log[id as usize].exp() / sum).abs() < 1e-5);
        }
    }
    assert_eq!(case.head(None).likeliest(&case.hidden, &[1], 1000)[0].len(), VOCABULARY);
}

#[test]
fn sums_survive_logits_that_grow_and_grow() {
    let mut case = Case::new(2);
    for id in 0..VOCABULARY {
        let at = id * WIDTH * 4;
        case.bytes[at..at + 4].copy_from_slice(&(id as f32).to_le_bytes());
    }
    let row = Row { token: 0, weight: 1.0, goal: Goal::Next(5) };
    let loss = case.head(None).losses(&case.hidden, None, std::slice::from_ref(&row))[0];
    let exact = case.loss(&case.hidden, &row, None);
    assert!((f64::from(loss) - exact).abs() < 1e-4 * exact.max(1.0), "{loss}, {exact}");
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    let mut case = Case::new(1);
    case.hidden.set(3, 0, f32::NAN);
    let row = Row { token: 0, weight: 1.0, goal: Goal::Next(5) };
    assert!(case.head(None).losses(&case.hidden, None, &[row])[0].is_nan());
}
