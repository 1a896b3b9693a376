//! How work is split over threads: a matrix cut into strips that no two tasks share. Where the cuts fall
//! may follow the number of threads; in which order a value's terms are summed never does.

use rayon::prelude::*;

/// Below this many operations (some ten microseconds), waking another thread costs more than it saves.
const WORTH_WAKING: usize = 1_000_000;

/// What beginning a strip costs, in columns of work.
const START: usize = 4;

/// How wide strips of `total` should be so that the threads are done with them soonest: a multiple of
/// `grain`, and not much more than `most`.
pub fn width(total: usize, grain: usize, most: usize) -> usize {
    let threads = rayon::current_num_threads();
    let widths = (1..=(most + most / 4) / grain).rev().map(|n| n * grain);
    let time = |width: &usize| total.div_ceil(*width).div_ceil(threads) * (width + START);
    widths.min_by_key(time).unwrap_or(grain)
}

/// Cuts each row of `row` values into strips of `width`: item `n` holds the `n`-th strip of every row.
pub fn strips(data: &mut [f32], row: usize, width: usize) -> Vec<Vec<&mut [f32]>> {
    let mut strips: Vec<Vec<&mut [f32]>> = Vec::new();
    strips.resize_with(row.div_ceil(width), || Vec::with_capacity(data.len() / row));
    for row in data.chunks_exact_mut(row) {
        for (strip, part) in strips.iter_mut().zip(row.chunks_mut(width)) {
            strip.push(part);
        }
    }
    strips
}

/// Calls `work` with each item and its place, on all threads where the `operations` of them all are worth it.
pub fn each<T: Send>(items: Vec<T>, operations: usize, work: impl Fn(usize, T) + Sync) {
    if operations < WORTH_WAKING || items.len() < 2 || rayon::current_num_threads() == 1 {
        items.into_iter().enumerate().for_each(|(i, item)| work(i, item));
    } else {
        items.into_par_iter().enumerate().with_max_len(1).for_each(|(i, item)| work(i, item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_cover_everything_once() {
        for (rows, row, width) in [(3, 10, 4), (1, 5, 5), (2, 7, 1), (4, 3, 8), (0, 6, 2)] {
            let mut data = vec![0.0; rows * row];
            for (n, strip) in strips(&mut data, row, width).into_iter().enumerate() {
                assert_eq!(strip.len(), rows);
                strip.into_iter().flatten().for_each(|value| *value += 1.0 + n as f32);
            }
            let want: Vec<f32> = (0..rows * row).map(|at| 1.0 + (at % row / width) as f32).collect();
            assert_eq!(data, want);
        }
    }

    #[test]
    fn widths_share_the_work_evenly() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            // Few strips, the same for each thread, not much wider than asked for.
            assert_eq!(width(2048, 8, 128), 128);
            assert_eq!(width(192, 8, 128), 96);
            assert_eq!(width(576, 8, 128), 144);
            assert_eq!(width(576, 32, 256), 288);
            assert_eq!(width(1536, 32, 256), 256);
            assert_eq!(width(1, 8, 128), 8);
            for total in 1..2000 {
                let width = width(total, 8, 128);
                let share = total.div_ceil(width).div_ceil(2) * width;
                assert!(width <= 160 && share <= total / 2 + 160, "{total}: {width}");
            }
        });
    }
}
