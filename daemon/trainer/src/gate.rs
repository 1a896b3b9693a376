//! The gate of a feed-forward network: the up projection times an activation of the gate projection
//! (GLU variants: Shazeer, arXiv 2002.05202). Both activations have the form `x sigmoid(f(x))`.

use crate::acts::Acts;
use crate::math::{fma, sigmoid};
use rayon::prelude::*;

/// The activation of the gate projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// `x sigmoid(x)`: SwiGLU.
    Silu,
    /// GELU in its tanh approximation: GeGLU.
    Gelu,
}

/// Values that one thread works on at a time.
const RUN: usize = 1 << 14;

impl Gate {
    /// `activation(gate) * up`.
    pub fn forward(self, gate: &Acts, up: &Acts) -> Acts {
        match self {
            Gate::Silu => forward(gate, up, silu),
            Gate::Gelu => forward(gate, up, gelu),
        }
    }

    /// Turns `gate` and `up` into the gradients by them, where `dy` is that by the product.
    pub fn backward(self, gate: &mut Acts, up: &mut Acts, dy: &Acts) {
        match self {
            Gate::Silu => backward(gate, up, dy, silu),
            Gate::Gelu => backward(gate, up, dy, gelu),
        }
    }
}

/// `f(x)` and its derivative.
#[inline(always)]
fn silu(x: f32) -> (f32, f32) {
    (x, 1.0)
}

/// `(1 + tanh z) / 2 = sigmoid(2 z)` with `z = sqrt(2/pi) (x + 0.044715 x^3)`.
#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    const SCALE: f32 = 2.0 * 0.797_884_6;
    const CUBE: f32 = 0.044_715;
    let square = x * x;
    (SCALE * x * fma(CUBE, square, 1.0), SCALE * fma(3.0 * CUBE, square, 1.0))
}

fn forward(gate: &Acts, up: &Acts, f: impl Fn(f32) -> (f32, f32) + Sync) -> Acts {
    let mut y = Acts::zeros(gate.features(), gate.tokens());
    let runs = y.values_mut().par_chunks_mut(RUN).zip(gate.values().par_chunks(RUN));
    runs.zip(up.values().par_chunks(RUN)).for_each(|((y, gate), up)| {
        for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
            *y = g * sigmoid(f(*g).0) * u;
        }
    });
    y
}

fn backward(gate: &mut Acts, up: &mut Acts, dy: &Acts, f: impl Fn(f32) -> (f32, f32) + Sync) {
    let changed = gate.values_mut().par_chunks_mut(RUN).zip(up.values_mut().par_chunks_mut(RUN));
    changed.zip(dy.values().par_chunks(RUN)).for_each(|((gate, up), dy)| {
        for ((g, u), dy) in gate.iter_mut().zip(up).zip(dy) {
            let (inner, slope) = f(*g);
            let s = sigmoid(inner);
            let active = *g * s;
            *g = dy * *u * fma(active * (1.0 - s), slope, s);
            *u = dy * active;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: f32) -> Acts {
        let mut acts = Acts::zeros(1, 1);
        acts.set(0, 0, value);
        acts
    }

    #[test]
    fn the_activations_are_those_of_their_papers() {
        for i in -80..80 {
            let x = f64::from(i) * 0.1;
            let silu = x / (1.0 + (-x).exp());
            let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            let gelu = 0.5 * x * (1.0 + z.tanh());
            for (gate, exact) in [(Gate::Silu, silu), (Gate::Gelu, gelu)] {
                let y = gate.forward(&one(x as f32), &one(2.0)).get(0, 0);
                assert!((f64::from(y) - 2.0 * exact).abs() < 3e-6, "{gate:?} {x}: {y} and {exact}");
            }
        }
    }
}
