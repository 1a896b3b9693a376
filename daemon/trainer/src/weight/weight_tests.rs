//! Products with every type of weight, against sums written out in `f64`.

use super::*;
use crate::measure::Noise;

fn kinds() -> impl Iterator<Item = Kind> {
    (0..64).filter_map(Kind::of_id).filter(|kind| unpack::supported(*kind))
}

struct Case {
    kind: Kind,
    shape: [u64; 2],
    bytes: Vec<u8>,
}

impl Case {
    fn new(kind: Kind, inputs: usize, outputs: usize) -> Case {
        let bytes = Noise::new(kind.id as u64).blocks(kind, inputs * outputs);
        Case { kind, shape: [inputs as u64, outputs as u64], bytes }
    }

    fn weight(&self) -> Weight<'_> {
        Weight::new(Tensor { shape: &self.shape, kind: self.kind, bytes: &self.bytes }).expect("a matrix")
    }

    fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; (self.shape[0] * self.shape[1]) as usize];
        dequantize(self.kind, &self.bytes, &mut values);
        values
    }
}

/// Random, in the padding too.
fn acts(features: usize, tokens: usize, seed: u64) -> Acts {
    let mut acts = Acts::zeros(features, tokens);
    let values = Noise::new(seed).values(acts.values().len());
    acts.values_mut().copy_from_slice(&values);
    acts
}

/// `out` against `start + m x`, with an error of `relative` to the sum of the terms' sizes.
fn compare(out: &Acts, start: &Acts, x: &Acts, relative: f64, what: &str, m: impl Fn(usize, usize) -> f32) {
    for i in 0..out.features() {
        for t in 0..out.tokens() {
            let terms = || (0..x.features()).map(|j| m(i, j) as f64 * x.get(j, t) as f64);
            let want = start.get(i, t) as f64 + terms().sum::<f64>();
            let size = 1.0 + terms().map(f64::abs).sum::<f64>();
            let got = out.get(i, t) as f64;
            assert!((got - want).abs() <= relative * size, "{what}: ({i}, {t}) is {got} for {want}");
        }
    }
}

/// Both factors of a term are rounded to 8 digits: each by at most 2^-8 of its size.
const BF16_ERROR: f64 = 2.01 / 256.0;
const F32_ERROR: f64 = 2e-6;

fn check(case: &Case, tokens: usize) {
    let (weight, values) = (case.weight(), case.values());
    let (inputs, outputs) = (weight.inputs, weight.outputs);
    let (x, dy) = (acts(inputs, tokens, 1), acts(outputs, tokens, 2));
    let (y, dx) = (acts(outputs, tokens, 3), acts(inputs, tokens, 4));
    for precision in [Precision::F32, Precision::Bf16] {
        let what = format!("{} {outputs} x {inputs}, {tokens} tokens, {precision:?}", case.kind.name);
        let relative = match weight.precision(precision) {
            Precision::F32 => F32_ERROR,
            Precision::Bf16 => BF16_ERROR,
        };
        let (x_operand, dy_operand) = (Operand::new(&x, precision), Operand::new(&dy, precision));
        let mut forward = y.clone();
        weight.forward(&x_operand, &mut forward);
        compare(&forward, &y, &x, relative, &what, |n, k| values[n * inputs + k]);
        let mut backward = dx.clone();
        weight.backward(&dy_operand, &mut backward);
        compare(&backward, &dx, &dy, relative, &what, |k, n| values[n * inputs + k]);

        let mut tile = Tile::default();
        let (mut by_tile, mut gradient) = (y.clone(), dx.clone());
        for rows in parts(outputs, 48) {
            tile.load(&weight, rows.clone(), precision);
            for p in 0..x.panels() {
                let lanes = rows.start * LANES..rows.end * LANES;
                let part = dy.panel(p)[lanes.clone()].to_vec();
                tile.forward(&x_operand, p, &mut by_tile.panel_mut(p)[lanes]);
                let part = Operand::of_panels(&part, rows.len(), precision);
                tile.backward(&part, 0, gradient.panel_mut(p));
            }
        }
        assert_eq!(by_tile, forward, "{what}: by tiles");
        compare(&gradient, &dx, &dy, relative, &what, |k, n| values[n * inputs + k]);
    }
}

#[test]
fn every_type_multiplies_forward_and_backward() {
    for kind in kinds() {
        let block = kind.block as usize;
        check(&Case::new(kind, block, 3), 1);
        check(&Case::new(kind, 3 * block, 37), 33);
    }
}

#[test]
fn odd_shapes_multiply() {
    for (name, inputs, outputs, tokens) in [
        ("F32", 7, 5, 33),
        ("F16", 1031, 131, 40),
        ("F16", 1, 1, 1),
        ("BF16", 33, 300, 65),
        ("Q8_0", 576, 192, 64),
        ("Q5_0", 1536, 259, 31),
        ("Q4_K", 1280, 300, 33),
    ] {
        check(&Case::new(Kind::of_name(name).unwrap(), inputs, outputs), tokens);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let case = Case::new(Kind::of_name("Q6_K").unwrap(), 768, 700);
            let (x, dy) = (acts(768, 70, 1), acts(700, 70, 2));
            [Precision::F32, Precision::Bf16].map(|precision| {
                let (mut y, mut dx) = (Acts::zeros(700, 70), Acts::zeros(768, 70));
                case.weight().forward(&Operand::new(&x, precision), &mut y);
                case.weight().backward(&Operand::new(&dy, precision), &mut dx);
                (y, dx)
            })
        })
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(3));
}

#[test]
fn padding_reaches_no_token() {
    let case = Case::new(Kind::of_name("Q4_0").unwrap(), 64, 40);
    for precision in [Precision::F32, Precision::Bf16] {
        let product = |junk: f32| {
            let mut x = acts(64, 5, 9);
            x.values_mut().chunks_mut(LANES).for_each(|lanes| lanes[5..].fill(junk));
            let mut y = Acts::zeros(40, 5);
            case.weight().forward(&Operand::new(&x, precision), &mut y);
            (0..40).flat_map(|i| (0..5).map(move |t| (i, t))).map(|(i, t)| y.get(i, t)).collect::<Vec<_>>()
        };
        assert_eq!(product(0.0), product(1e30));
    }
}

#[test]
fn what_is_no_matrix_to_multiply_with_is_refused() {
    let refused = |shape: &[u64], name: &str, bytes: usize| {
        let kind = Kind::of_name(name).unwrap();
        Weight::new(Tensor { shape, kind, bytes: &vec![0; bytes] }).is_none()
    };
    assert!(!refused(&[32, 2], "Q8_0", 68));
    assert!(refused(&[32], "Q8_0", 34), "a vector");
    assert!(refused(&[32, 2, 1], "Q8_0", 68), "three dimensions");
    assert!(refused(&[40, 2], "Q8_0", 68), "a part of a block");
    assert!(refused(&[32, 2], "Q8_0", 67), "too few bytes");
    assert!(refused(&[32, 0], "Q8_0", 0), "no rows");
    assert!(refused(&[32, 2], "I32", 256), "integers");
    assert!(refused(&[u64::MAX, 2], "F32", 8), "an absurd size");
}
