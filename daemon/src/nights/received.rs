//! Whether a generation's answers are rejected more often than those of the one before. Arithmetic only.

use crate::store::Reception;

/// Rejections below which nothing can be said.
const LEAST: u32 = 4;
/// 95 %, of one side.
const Z: f64 = 1.644_853_627;

/// Whether the rate of rejected answers surely rose: the lower end of the one's interval lies above the other's rate.
/// Wilson's score interval; a generation without answers before it is held against one rejection in twenty.
pub(super) fn worse(now: Reception, before: Reception) -> bool {
    let usual = if before.answers < 20 { 0.05 } else { f64::from(before.bad) / f64::from(before.answers) };
    now.bad >= LEAST && lower(now.bad, now.answers) > usual
}

fn lower(bad: u32, of: u32) -> f64 {
    let (n, p) = (f64::from(of.max(1)), f64::from(bad) / f64::from(of.max(1)));
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    middle - Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bad: u32, answers: u32) -> Reception {
        Reception { answers, good: 0, bad }
    }

    #[test]
    fn a_few_rejections_are_no_reason_and_many_are() {
        assert!(!worse(of(3, 3), of(0, 100)) && !worse(of(4, 60), of(3, 50)));
        assert!(worse(of(6, 20), of(1, 50)) && worse(of(5, 10), of(0, 0)));
        assert!(!worse(of(12, 40), of(30, 100)), "no worse than before");
    }
}
