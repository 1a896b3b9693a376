//! Activations put away between the forward and the backward pass, whole or rounded to bfloat16.

use crate::acts::Acts;
use crate::weight::Precision;
use rayon::prelude::*;

/// Values that one thread works on at a time.
const RUN: usize = 1 << 15;

pub enum Kept {
    Whole(Acts),
    Half { values: Vec<u16>, features: usize, tokens: usize },
}

impl Kept {
    pub fn new(acts: Acts, precision: Precision) -> Kept {
        if precision == Precision::F32 {
            return Kept::Whole(acts);
        }
        let mut values = vec![0; acts.values().len()];
        let runs = values.par_chunks_mut(RUN).zip(acts.values().par_chunks(RUN));
        runs.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to = rounded(*from)));
        Kept::Half { values, features: acts.features(), tokens: acts.tokens() }
    }

    pub fn take(self) -> Acts {
        let (values, features, tokens) = match self {
            Kept::Whole(acts) => return acts,
            Kept::Half { values, features, tokens } => (values, features, tokens),
        };
        let mut acts = Acts::zeros(features, tokens);
        let runs = acts.values_mut().par_chunks_mut(RUN).zip(values.par_chunks(RUN));
        runs.for_each(|(to, from)| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = f32::from_bits(u32::from(*from) << 16));
        });
        acts
    }
}

/// The nearest bfloat16, the even one of two; not-a-number stays so.
#[inline(always)]
fn rounded(value: f32) -> u16 {
    let bits = value.to_bits();
    let up = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let quiet = (bits >> 16) | 0x40;
    (if value.is_nan() { quiet } else { up }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_nearest_ones() {
        let cases = [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.1 / 256.0, 1.0 + 2.0 / 256.0),
            (-3.0e-38, -3.0e-38),
            (f32::INFINITY, f32::INFINITY),
        ];
        for (value, expected) in cases {
            let half = f32::from_bits(u32::from(rounded(value)) << 16);
            assert!(half == expected || ((half - expected) / expected).abs() < 1.0 / 256.0 && value < 0.0);
        }
        assert!(f32::from_bits(u32::from(rounded(f32::NAN)) << 16).is_nan());
    }

    #[test]
    fn whole_ones_come_back_as_they_were() {
        let mut acts = Acts::zeros(3, 40);
        acts.values_mut().iter_mut().enumerate().for_each(|(i, value)| *value = i as f32 * 0.37);
        assert_eq!(Kept::new(acts.clone(), Precision::F32).take(), acts);
        let half = Kept::new(acts.clone(), Precision::Bf16).take();
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= b.abs() / 256.0;
        assert!(half.values().iter().zip(acts.values()).all(near));
    }
}
