//! Which examples a micro-batch holds, and in which order they are seen: shuffled anew each epoch, then put
//! behind one another as long as they fit. The same examples, recipe and seed give the same plan.

use crate::random::{Stream, mix};
use crate::recipe::Recipe;
use crate::run::Batch;

/// Something to learn from, in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub tokens: Vec<u32>,
    /// Of each token, how much its prediction counts; 0 = only read. The first is never predicted.
    pub weights: Vec<f32>,
    /// Above 0: the learned tokens are held to what the base model predicts there (replay), with this
    /// weight, and not to the tokens themselves.
    pub kl: f32,
    /// The learned tokens are to become less likely: an answer that was rejected.
    pub avoid: bool,
    /// What stands in front of the learned tokens when the base model teaches them, such as the prompt with
    /// a document in it. The learned tokens are then held to that prediction (distillation).
    pub teacher: Option<Vec<u32>>,
}

impl Example {
    /// The first token that is learned.
    pub fn first_learned(&self) -> Option<usize> {
        self.weights.iter().skip(1).position(|weight| *weight > 0.0).map(|at| at + 1)
    }

    /// The tokens that are learned, with their weights.
    pub fn learned(&self) -> impl Iterator<Item = (usize, f32)> {
        self.weights.iter().copied().enumerate().skip(1).filter(|(_, weight)| *weight > 0.0)
    }
}

/// How far ahead an example is looked for that fits the room left in a micro-batch.
const LOOK_AHEAD: usize = 64;

/// The micro-batches of all epochs, each as places in `examples`; none is longer than `recipe.tokens`
/// unless one example alone is.
pub fn plan(examples: &[Example], recipe: &Recipe) -> Vec<Vec<usize>> {
    let epoch = |epoch: usize| {
        let mut order: Vec<usize> = (0..examples.len()).collect();
        Stream::new(mix(recipe.seed, epoch as u64)).shuffle(&mut order);
        packed(order, |at| examples[at].tokens.len(), recipe.tokens)
    };
    (0..recipe.epochs).flat_map(epoch).collect()
}

fn packed(mut order: Vec<usize>, length: impl Fn(usize) -> usize, room: usize) -> Vec<Vec<usize>> {
    order.reverse();
    let mut batches = Vec::new();
    while let Some(first) = order.pop() {
        let mut left = room.saturating_sub(length(first));
        let mut batch = vec![first];
        // The next that fits, from the end: the order is reversed.
        let next = |order: &[usize], left: usize| {
            let far = order.len().saturating_sub(LOOK_AHEAD);
            (far..order.len()).rev().find(|&at| length(order[at]) <= left)
        };
        while let Some(at) = next(&order, left) {
            let example = order.remove(at);
            left -= length(example);
            batch.push(example);
        }
        batches.push(batch);
    }
    batches
}

/// Puts sequences of tokens behind one another, each a segment of its own.
pub fn batch<'a>(sequences: impl IntoIterator<Item = &'a [u32]>) -> Batch {
    let mut batch = Batch::default();
    for (segment, tokens) in sequences.into_iter().enumerate() {
        batch.tokens.extend(tokens);
        batch.positions.extend(0..tokens.len() as u32);
        batch.segments.extend(std::iter::repeat_n(segment as u32, tokens.len()));
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn examples(lengths: &[usize]) -> Vec<Example> {
        let example = |&length: &usize| Example {
            tokens: vec![1; length],
            weights: vec![1.0; length],
            kl: 0.0,
            avoid: false,
            teacher: None,
        };
        lengths.iter().map(example).collect()
    }

    proptest! {
        #[test]
        fn each_epoch_sees_each_example_once_and_no_batch_is_too_long(
            lengths in proptest::collection::vec(2usize..200, 1..100),
            seed in 0u64..1000,
        ) {
            let recipe = Recipe { epochs: 2, tokens: 256, seed, ..Recipe::default() };
            let examples = examples(&lengths);
            let plan = plan(&examples, &recipe);
            for batch in &plan {
                prop_assert!(batch.iter().map(|&at| lengths[at]).sum::<usize>() <= 256);
            }
            let mut seen: Vec<usize> = plan.concat();
            seen.sort_unstable();
            let twice: Vec<usize> = (0..lengths.len()).flat_map(|at| [at, at]).collect();
            prop_assert_eq!(seen, twice);
        }
    }

    #[test]
    fn epochs_differ_and_a_seed_repeats() {
        let examples = examples(&[100; 20]);
        let recipe = Recipe { epochs: 2, tokens: 100, ..Recipe::default() };
        let one = plan(&examples, &recipe);
        assert_eq!(one, plan(&examples, &recipe));
        assert_ne!(one[..20], one[20..]);
        assert_ne!(one, plan(&examples, &Recipe { seed: 1, ..recipe }));
    }

    #[test]
    fn gaps_are_filled_by_what_fits() {
        let batches = packed(vec![0, 1, 2, 3], |at| [60, 60, 30, 10][at], 100);
        assert_eq!(batches, [vec![0, 2, 3], vec![1]]);
    }

    #[test]
    fn a_batch_starts_each_sequence_anew() {
        let batch = batch([&[5, 6, 7][..], &[8, 9]]);
        assert_eq!(batch.tokens, [5, 6, 7, 8, 9]);
        assert_eq!(batch.positions, [0, 1, 2, 0, 1]);
        assert_eq!(batch.segments, [0, 0, 0, 1, 1]);
    }
}
