//! Measures the trainer's arithmetic on the machine at hand, beside what the machine could do at most and
//! what ggml does. Times are a thread's own CPU time, the best of several: other programs disturb them little.
#![allow(unsafe_code)]

mod ggml;
mod noise;
mod training;

pub use ggml::Gradient;
pub use noise::Noise;
pub use training::Training;

use crate::acts::{Acts, LANES};
use crate::kernel::{Kernels, Strided};
use crate::weight::{Operand, Precision, Weight};
use familiar_gguf::{Kind, Tensor};
use std::time::{Duration, Instant};

/// How long one figure is measured.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the micro-kernels reach with all data in the nearest cache: the roof over all else, in 10^9
/// operations a second and core.
#[derive(Debug, Clone, Copy)]
pub struct Peak {
    /// The instruction set.
    pub kernels: &'static str,
    pub f32: f64,
    /// `None` on a CPU without such instructions.
    pub bf16: Option<f64>,
}

/// The speed of products with one weight, in 10^9 operations a second and core.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// `y += W x`
    pub forward: f64,
    /// `dx += transpose(W) dy`
    pub gradient: f64,
}

pub fn peak() -> Peak {
    let (m, k, repeat) = (64, 128, 100);
    let operations = (repeat * 2 * m * k * LANES) as f64;
    let (a, b, mut c) = (vec![0.5; m * k], vec![0.5; k * LANES], vec![0.0; m * LANES]);
    let kernels = Kernels::best();
    let seconds =
        best(|| (0..repeat).for_each(|_| kernels.multiply_add(m, k, Strided::rows(&a, k), &b, &mut c)));
    let f32 = operations / seconds / 1e9;
    let bf16 = kernels.bf16().then(|| {
        let (a, b) = (vec![0x3f00_3f00; m * k / 2], vec![0x3f00_3f00; k / 2 * LANES]);
        let a = Strided::rows(&a, k / 2);
        let seconds = best(|| (0..repeat).for_each(|_| kernels.multiply_add_pairs(m, k / 2, a, &b, &mut c)));
        operations / seconds / 1e9
    });
    Peak { kernels: kernels.name, f32, bf16 }
}

/// A random weight of one type and shape, to measure products with.
pub struct Sample {
    kind: Kind,
    shape: [u64; 2],
    bytes: Vec<u8>,
}

impl Sample {
    /// `None` for a type that cannot be dequantized, or when `inputs` are no whole number of its blocks.
    pub fn new(kind: Kind, inputs: usize, outputs: usize) -> Option<Sample> {
        let shape = [inputs as u64, outputs as u64];
        let zeros = vec![0; kind.size(shape[0].checked_mul(shape[1])?)? as usize];
        Weight::new(Tensor { shape: &shape, kind, bytes: &zeros })?;
        drop(zeros);
        Some(Sample { kind, shape, bytes: Noise::new(1).blocks(kind, inputs * outputs) })
    }

    pub fn weight(&self) -> Weight<'_> {
        let tensor = Tensor { shape: &self.shape, kind: self.kind, bytes: &self.bytes };
        Weight::new(tensor).expect("checked when it was made")
    }

    /// On one thread, the operand made anew each time.
    pub fn rates(&self, tokens: usize, precision: Precision) -> Rates {
        alone(|| {
            let weight = self.weight();
            let operations = 2.0 * (weight.inputs * weight.outputs * tokens) as f64;
            let (mut x, mut y) = (noise(weight.inputs, tokens), noise(weight.outputs, tokens));
            let forward = best(|| weight.forward(&Operand::new(&x, precision), &mut y));
            y.values_mut().fill(0.5);
            let gradient = best(|| weight.backward(&Operand::new(&y, precision), &mut x));
            Rates { forward: operations / forward / 1e9, gradient: operations / gradient / 1e9 }
        })
    }

    /// The gradient by ggml's backward pass. A few tokens do: it does the same again for each.
    /// `None` where ggml has none.
    pub fn ggml_gradient(&self, tokens: usize) -> Option<f64> {
        let weight = self.weight();
        let mut gradient = Gradient::new(&weight, &noise(weight.outputs, tokens))?;
        let seconds = best_of(8, || gradient.compute());
        Some(2.0 * (weight.inputs * weight.outputs * tokens) as f64 / seconds / 1e9)
    }

    /// Wall time of a forward product and a gradient on `threads` threads, in seconds.
    pub fn wall(&self, tokens: usize, precision: Precision, threads: usize) -> f64 {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        pool.install(|| {
            let weight = self.weight();
            let (mut x, mut y) = (noise(weight.inputs, tokens), noise(weight.outputs, tokens));
            let mut fastest = f64::MAX;
            let start = Instant::now();
            while start.elapsed() < 2 * PATIENCE {
                let start = Instant::now();
                weight.forward(&Operand::new(&x, precision), &mut y);
                y.values_mut().fill(0.5);
                weight.backward(&Operand::new(&y, precision), &mut x);
                x.values_mut().fill(0.5);
                fastest = fastest.min(start.elapsed().as_secs_f64());
            }
            fastest
        })
    }
}

/// How many values a second one thread dequantizes, in 10^9.
pub fn dequantize_rate(kind: Kind) -> f64 {
    let values = 1 << 18;
    let bytes = Noise::new(1).blocks(kind, values);
    let mut out = vec![0.0; 512];
    let part = kind.size(512).expect("small") as usize;
    let seconds =
        best(|| bytes.chunks_exact(part).for_each(|part| crate::weight::dequantize(kind, part, &mut out)));
    values as f64 / seconds / 1e9
}

fn noise(features: usize, tokens: usize) -> Acts {
    let mut acts = Acts::zeros(features, tokens);
    let values = Noise::new(3).values(acts.values().len());
    acts.values_mut().copy_from_slice(&values);
    acts
}

/// Runs `work` where parallel work finds one thread only.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started").install(work)
}

/// The shortest CPU time of `work` in seconds, of as many runs as there is patience for.
fn best(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut shortest = f64::MAX;
    while start.elapsed() < PATIENCE {
        shortest = shortest.min(timed(&mut work));
    }
    shortest
}

fn best_of(runs: usize, mut work: impl FnMut()) -> f64 {
    (0..runs).map(|_| timed(&mut work)).fold(f64::MAX, f64::min)
}

fn timed(work: &mut impl FnMut()) -> f64 {
    let start = cpu_seconds();
    work();
    cpu_seconds() - start
}

/// CPU time that the calling thread has used.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is what the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
