//! How work is split over threads: a matrix cut into strips that no two tasks share. Where the cuts fall
//! may follow the number of threads; in which order a value's terms are summed never does.

use rayon::prelude::*;

/// Below this many operations (some tens of microseconds), waking another thread costs more than it saves.
const WORTH_WAKING: usize = 4_000_000;

/// How wide strips of `total` should be: at most about `most`, a multiple of `grain`, and as many as the
/// threads can share evenly.
pub fn width(total: usize, grain: usize, most: usize) -> usize {
    let tasks = total.div_ceil(most).next_multiple_of(rayon::current_num_threads());
    total.div_ceil(tasks.max(1)).next_multiple_of(grain).max(grain)
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
            assert_eq!(width(2048, 8, 128), 128);
            assert_eq!(width(192, 8, 128), 96);
            assert_eq!(width(576, 8, 128), 96);
            assert_eq!(width(1, 8, 128), 8);
            assert_eq!(width(0, 8, 128), 8);
        });
    }
}
