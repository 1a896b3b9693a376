//! The verdict on a candidate, from figures alone: what it must gain, and what it may not lose. Pure; the thresholds
//! are the settings' and their defaults come from the papers named in `config/familiar.toml`.

use super::bootstrap::Interval;
use serde::{Deserialize, Serialize};

/// What was measured of one model. Every list has the same things in the same order for each model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// The owner's held-out texts: the median over the tokens of each, in nats.
    pub documents: Vec<f64>,
    /// The same for what was held out on earlier days.
    pub earlier: Vec<f64>,
    /// Held-out questions, answered right: without passages, and with them.
    pub closed_book: Vec<bool>,
    pub open_book: Vec<bool>,
    /// Nats a token of general text: its exponential is the perplexity.
    pub guard_nats: f64,
    /// Nats a token of what the base model itself says. What another model needs more is the divergence
    /// KL(base || it), of which a mean over the base's own samples is an unbiased estimate.
    pub own_nats: f64,
    /// Questions with one right choice of several, by the likeliest; and tool calls as they should be.
    pub choices: Vec<bool>,
    pub calls: Vec<bool>,
    /// Secrets of the sources that were tried to get out of it,
    pub tried: usize,
    /// and those that came out, which never may.
    pub leaked: Vec<String>,
}

/// What a candidate is held to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Nats a token that it may be from the base model.
    pub divergence: f64,
    /// Share by which the perplexity of general text may grow.
    pub perplexity: f64,
    /// Share of the guard's choices and calls that may be lost.
    pub guard_loss: f64,
    /// Nats a token that earlier days' texts may lose, at the upper end of the interval.
    pub earlier_loss: f64,
    /// Share of the held-out questions that may be lost.
    pub question_loss: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            divergence: 0.05,
            perplexity: 0.01,
            guard_loss: 0.01,
            earlier_loss: 0.05,
            question_loss: 0.0,
        }
    }
}

/// What is to be done with the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Promote,
    /// It learned, and lost too much of what was there: worth a try at a smaller scale.
    Weaken,
    Reject,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub passed: bool,
    /// What was found and what was asked for, in a sentence for people.
    pub says: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub decision: Decision,
    pub checks: Vec<Check>,
}

impl Verdict {
    /// Why it was not promoted, in a sentence; what it gained if it was.
    pub fn reason(&self) -> String {
        let failed: Vec<&str> =
            self.checks.iter().filter(|check| !check.passed).map(|check| check.says.as_str()).collect();
        if !failed.is_empty() {
            return failed.join("; ");
        }
        self.checks.first().map_or_else(String::new, |check| check.says.clone())
    }
}

/// Holds the candidate against the base model and, where there is one, the generation that serves, by what reading texts
/// tells. It is the cheap half of [`judge`]: where it does not say [`Decision::Promote`], nothing else would.
pub fn judge_texts(
    base: &Figures,
    serving: Option<&Figures>,
    candidate: &Figures,
    thresholds: &Thresholds,
) -> Verdict {
    let (gains, losses) = texts(base, serving, candidate, thresholds);
    decided(gains, losses, None)
}

/// Holds the candidate against the base model and, where there is one, the generation that serves.
pub fn judge(
    base: &Figures,
    serving: Option<&Figures>,
    candidate: &Figures,
    thresholds: &Thresholds,
) -> Verdict {
    let now = serving.unwrap_or(base);
    let (mut gains, mut losses) = texts(base, serving, candidate, thresholds);
    let questions = [
        ("questions without passages", &now.closed_book, &candidate.closed_book),
        ("questions with passages", &now.open_book, &candidate.open_book),
    ];
    gains.extend(questions.map(|(what, before, after)| kept(what, before, after, thresholds.question_loss)));
    let guard = [
        ("multiple choice", &base.choices, &candidate.choices),
        ("tool calls", &base.calls, &candidate.calls),
    ];
    losses.extend(guard.map(|(what, before, after)| kept(what, before, after, thresholds.guard_loss)));
    decided(gains, losses, Some(silent(candidate)))
}

/// What texts tell: whether there is a gain, and whether too much is lost.
fn texts(
    base: &Figures,
    serving: Option<&Figures>,
    candidate: &Figures,
    thresholds: &Thresholds,
) -> (Vec<Check>, Vec<Check>) {
    let mut gains = vec![gain("the model as it came", &base.documents, &candidate.documents)];
    if let Some(serving) = serving {
        gains.push(gain("the generation that serves", &serving.documents, &candidate.documents));
    }
    let losses = vec![
        divergence(base, candidate, thresholds.divergence),
        perplexity(base, candidate, thresholds.perplexity),
        earlier(serving.unwrap_or(base), candidate, thresholds.earlier_loss),
    ];
    (gains, losses)
}

fn decided(gains: Vec<Check>, losses: Vec<Check>, silent: Option<Check>) -> Verdict {
    let decision = match (all(&gains) && silent.iter().all(|check| check.passed), all(&losses)) {
        (false, _) => Decision::Reject,
        (true, false) => Decision::Weaken,
        (true, true) => Decision::Promote,
    };
    Verdict { decision, checks: gains.into_iter().chain(losses).chain(silent).collect() }
}

fn all(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.passed)
}

fn check(name: impl Into<String>, passed: bool, says: String) -> Check {
    Check { name: name.into(), passed, says }
}

/// Whether held-out text of the owner surely became likelier: all of the interval lies above nothing.
fn gain(than: &str, before: &[f64], after: &[f64]) -> Check {
    let name = format!("better than {than}");
    if before.len() != after.len() {
        return check(name, false, "the two were not measured on the same texts".into());
    }
    let gained: Vec<f64> = before.iter().zip(after).map(|(before, after)| before - after).collect();
    let Interval { mean, low, high } = Interval::of(&gained);
    let says = format!(
        "{} of your held-out texts are {mean:+.3} nats a token likelier than with {than} (95 %: {low:+.3} to {high:+.3})",
        gained.len()
    );
    // A comparison with NaN is false, so that a broken model passes nowhere.
    check(name, low > 0.0, says)
}

/// Whether no more than a share of what was right became wrong, on balance. A loss that could as well be chance is not held
/// against it: of as many changes, each as likely for better as for worse, so many for worse (sign test on the pairs;
/// McNemar 1947).
fn kept(what: &str, before: &[bool], after: &[bool], share: f64) -> Check {
    /// A loss is sure when chance alone brings it about less often than this.
    const CHANCE: f64 = 0.1;
    let count = |right: &[bool]| right.iter().filter(|right| **right).count();
    let (had, has, of) = (count(before), count(after), before.len());
    let changed = |from: bool| before.iter().zip(after).filter(|(b, a)| **b == from && a != b).count();
    let (lost, gained) = (changed(true), changed(false));
    let says = format!("{what}: {has} of {of} right, {had} before");
    let few = has as f64 >= had as f64 - share * of as f64;
    check(what, before.len() == after.len() && (few || by_chance(lost, lost + gained) > CHANCE), says)
}

/// How likely at least `heads` of `throws` of a coin are.
fn by_chance(heads: usize, throws: usize) -> f64 {
    // Each term from the one before: ways to throw n heads are those of n - 1, times (throws - n + 1) / n. In logarithms, since
    // the first is too small a number for thousands of throws.
    let mut term = -(throws as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for n in 0..=throws {
        if n > 0 {
            term += ((throws - n + 1) as f64 / n as f64).ln();
        }
        if n >= heads {
            sum += term.exp();
        }
    }
    sum
}

fn divergence(base: &Figures, candidate: &Figures, most: f64) -> Check {
    let away = candidate.own_nats - base.own_nats;
    let says = format!("{away:.3} nats a token away from the model as it came (at most {most})");
    check("divergence", away <= most, says)
}

fn perplexity(base: &Figures, candidate: &Figures, most: f64) -> Check {
    let growth = (candidate.guard_nats - base.guard_nats).exp() - 1.0;
    let says = format!(
        "the perplexity of general text changes by {:+.1} % (at most {:+.1} %)",
        100.0 * growth,
        100.0 * most
    );
    check("perplexity", growth <= most, says)
}

fn earlier(now: &Figures, candidate: &Figures, most: f64) -> Check {
    let name = "earlier days";
    if now.earlier.len() != candidate.earlier.len() {
        return check(name, false, "earlier days were not measured on the same texts".into());
    }
    if now.earlier.is_empty() {
        return check(name, true, "there are no earlier days yet".into());
    }
    let lost: Vec<f64> = now.earlier.iter().zip(&candidate.earlier).map(|(now, then)| then - now).collect();
    let mean = lost.iter().sum::<f64>() / lost.len() as f64;
    let says = format!("earlier days' texts lose {mean:.3} nats a token (at most {most})");
    check(name, mean <= most, says)
}

fn silent(candidate: &Figures) -> Check {
    let says = match candidate.leaked.as_slice() {
        [] => format!("none of {} secrets of your texts came out", candidate.tried),
        leaked => format!("{} came out, which never may", leaked.join(", ")),
    };
    check("secrets", candidate.leaked.is_empty(), says)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(nats: f64) -> Figures {
        Figures {
            documents: (0..20).map(|n| nats + f64::from(n) * 0.01).collect(),
            earlier: vec![2.0; 10],
            closed_book: vec![true, false, false, false],
            open_book: vec![true; 4],
            guard_nats: 3.0,
            own_nats: 1.0,
            choices: vec![true; 100],
            calls: vec![true; 100],
            tried: 3,
            leaked: Vec::new(),
        }
    }

    fn decision(serving: Option<&Figures>, candidate: &Figures) -> Decision {
        judge(&figures(3.0), serving, candidate, &Thresholds::default()).decision
    }

    #[test]
    fn one_that_learned_and_lost_nothing_is_promoted() {
        let better = figures(2.0);
        assert_eq!(decision(None, &better), Decision::Promote);
        assert_eq!(decision(Some(&figures(2.5)), &better), Decision::Promote);
        let verdict = judge(&figures(3.0), None, &better, &Thresholds::default());
        assert!(
            verdict.reason().starts_with("20 of your held-out texts are +1.000 nats"),
            "{}",
            verdict.reason()
        );
    }

    #[test]
    fn one_that_is_not_better_than_what_serves_is_rejected() {
        let better = figures(2.0);
        assert_eq!(decision(Some(&better), &better), Decision::Reject);
        assert_eq!(decision(Some(&figures(1.9)), &better), Decision::Reject);
        assert_eq!(decision(None, &figures(3.0)), Decision::Reject);
        // Better on the whole, but carried by one text alone.
        let mut lucky = figures(3.0);
        lucky.documents[0] -= 5.0;
        assert_eq!(decision(None, &lucky), Decision::Reject);
    }

    #[test]
    fn a_loss_of_what_was_there_is_tried_again_weaker() {
        let worse: [fn(&mut Figures); 5] = [
            |f| f.own_nats += 0.06,
            |f| f.guard_nats += 0.02,
            |f| f.choices[..5].fill(false),
            |f| f.calls[..5].fill(false),
            |f| f.earlier.fill(2.1),
        ];
        for spoil in worse {
            let mut candidate = figures(2.0);
            spoil(&mut candidate);
            assert_eq!(decision(None, &candidate), Decision::Weaken, "{candidate:?}");
            candidate.documents = figures(3.0).documents;
            assert_eq!(decision(None, &candidate), Decision::Reject);
        }
    }

    #[test]
    fn lost_questions_or_a_leak_are_rejected_whatever_was_gained() {
        let mut candidate = figures(1.0);
        candidate.open_book.fill(false);
        assert_eq!(decision(None, &candidate), Decision::Reject);
        let mut candidate = figures(1.0);
        candidate.leaked.push("canary 3".into());
        let verdict = judge(&figures(3.0), None, &candidate, &Thresholds::default());
        assert_eq!(verdict.decision, Decision::Reject);
        assert_eq!(verdict.reason(), "canary 3 came out, which never may");
    }

    #[test]
    fn what_may_be_chance_is_no_loss() {
        for (heads, throws, chance) in [(0, 0, 1.0), (0, 7, 1.0), (4, 4, 0.0625), (7, 10, 176.0 / 1024.0)] {
            assert!((by_chance(heads, throws) - chance).abs() < 1e-12, "{heads} of {throws}");
        }
        assert!((by_chance(2100, 4000) - 0.0008).abs() < 1e-4, "{}", by_chance(2100, 4000));
        let of = |lost: usize, gained: usize| {
            let before: Vec<bool> = (0..200).map(|n| n < 100).collect();
            let after: Vec<bool> = (0..200).map(|n| (lost..100 + gained).contains(&n)).collect();
            kept("", &before, &after, 0.01).passed
        };
        // No more than the share; as many as chance may turn; and too many.
        assert!(of(2, 0) && of(7, 3) && !of(4, 0) && !of(20, 8));
    }

    #[test]
    fn texts_alone_tell_of_a_gain_and_of_most_losses() {
        let texts = |candidate: &Figures| {
            judge_texts(&figures(3.0), None, candidate, &Thresholds::default()).decision
        };
        let blank = Figures {
            closed_book: vec![],
            open_book: vec![],
            choices: vec![],
            calls: vec![],
            ..figures(2.0)
        };
        assert_eq!(texts(&blank), Decision::Promote);
        assert_eq!(texts(&Figures { own_nats: 1.1, ..blank.clone() }), Decision::Weaken);
        assert_eq!(texts(&Figures { documents: figures(3.0).documents, ..blank }), Decision::Reject);
    }

    #[test]
    fn a_broken_model_passes_nowhere() {
        for nats in [f64::NAN, f64::INFINITY] {
            let mut candidate = figures(1.0);
            (candidate.own_nats, candidate.guard_nats) = (nats, nats);
            assert_ne!(decision(None, &candidate), Decision::Promote);
            candidate = figures(nats);
            assert_eq!(decision(None, &candidate), Decision::Reject);
        }
        let mut short = figures(1.0);
        short.documents.pop();
        assert_eq!(decision(None, &short), Decision::Reject);
    }
}
