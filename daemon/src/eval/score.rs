//! A share of cases with how sure one can be of it. Arithmetic only.

use serde::Serialize;

/// `right` of `of` cases, and the 95 % Wilson interval; shares are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    pub right: usize,
    pub of: usize,
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

impl Rate {
    /// Nothing measured gives the widest interval.
    pub fn new(right: usize, of: usize) -> Rate {
        const Z: f64 = 1.959_963_985;
        if of == 0 {
            return Rate { right, of, share: 0.0, low: 0.0, high: 1.0 };
        }
        let (n, p) = (of as f64, right as f64 / of as f64);
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Rate { right, of, share: p, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilsons() {
        let rate = Rate::new(180, 200);
        assert!((rate.low - 0.8506).abs() < 1e-3 && (rate.high - 0.9343).abs() < 1e-3, "{rate:?}");
        let all = Rate::new(200, 200);
        assert!(all.low > 0.98 && (1.0 - all.high).abs() < 1e-9);
        assert_eq!((Rate::new(0, 0).low, Rate::new(0, 0).high), (0.0, 1.0));
    }
}
