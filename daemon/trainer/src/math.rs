//! Functions of one `f32` that the compiler turns into vector code when they are called along lanes.
//! They are written without tables and branches for that reason; the standard library's are not.

/// `a * b + c`, fused where the processor does that in one instruction.
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { a * b + c }
}

/// e to the x, to a relative error of 2e-7; x is bounded to where the result is a normal number.
/// The polynomial is that of Cephes' `expf` (Moshier, netlib.org/cephes).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding and taking away this number rounds to an integer, which its lowest bits then hold.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; products of the first with small integers are exact.
    const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    // `clamp` hands NaN on; `max` and `min` would hide it.
    let x = x.clamp(-87.3, 88.3);
    let shifted = fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma(n, -LN2[1], fma(n, -LN2[0], x));
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = fma(p, r, c);
    }
    let fraction = fma(p, r * r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    fraction * power
}

/// The logistic function.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// To an absolute error of 2e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> impl Iterator<Item = f32> {
        (-870_000..880_000).map(|i| i as f32 * 1e-4)
    }

    #[test]
    fn exp_is_that_of_double_precision() {
        let worst = points().map(|x| {
            let exact = f64::from(x).exp();
            ((f64::from(exp(x)) - exact) / exact).abs()
        });
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn sigmoid_and_tanh_are_those_of_double_precision() {
        for x in points().filter(|x| x.abs() < 40.0) {
            let wide = f64::from(x);
            assert!((f64::from(tanh(x)) - wide.tanh()).abs() < 2e-7, "{x}");
            assert!((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-wide).exp())).abs() < 2e-7, "{x}");
        }
    }

    #[test]
    fn far_values_stay_finite_and_nan_stays_nan() {
        assert!(exp(f32::INFINITY).is_finite() && exp(f32::NEG_INFINITY) < 1e-37);
        assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!((sigmoid(1e30), sigmoid(-1e30) < 1e-37), (1.0, true));
        assert_eq!((tanh(1e30), tanh(-1e30)), (1.0, -1.0));
    }
}
