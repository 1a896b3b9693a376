//! Activations put away between the forward and the backward pass, whole or rounded to bfloat16.

use crate::acts::Acts;
use crate::kernel::bf16;
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
        runs.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to = bf16(*from) as u16));
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

#[cfg(test)]
mod tests {
    use super::*;

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
