//! One block of the transformer: attention and feed-forward network with their norms and residuals,
//! forward and backward. Base weights, biases and norms are frozen; only an adapter's factors get
//! gradients, which flow through everything.

use crate::acts::Acts;
use crate::attention::{self, Heads, Reach, Seen};
use crate::gate::Gate;
use crate::kept::Kept;
use crate::lanes::{add_to_all, rows_mut};
use crate::lora::{self, Adapter, Dropout, Site, Target};
use crate::norm::Norm;
use crate::rope::{Direction, Rotation};
use crate::run::{How, Stopped};
use crate::weight::{Input, Weight};
use rayon::prelude::*;

/// A frozen linear, where an adapter may sit.
pub struct Linear<'a> {
    pub weight: Weight<'a>,
    pub bias: Option<Vec<f32>>,
}

pub struct Block<'a> {
    pub index: usize,
    /// In the order of [`Target::ALL`].
    pub linears: [Linear<'a>; 7],
    pub attention_norm: Norm,
    pub query_norm: Option<Norm>,
    pub key_norm: Option<Norm>,
    pub attention_post_norm: Option<Norm>,
    pub inner_norm: Norm,
    pub inner_post_norm: Option<Norm>,
    pub heads: Heads,
    pub gate: Gate,
}

/// What a pass through a block needs besides its input.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    pub adapter: Option<&'a Adapter>,
    pub how: &'a How,
    pub reach: &'a Reach,
    pub rotation: &'a Rotation,
}

/// What backward needs of a block's forward pass besides its input.
pub struct Inside<T> {
    /// As the linears gave them: not yet normalized and rotated.
    q: T,
    k: T,
    v: T,
    /// Values mixed by attention, and the log-sums of its scores.
    mixed: T,
    sums: Acts,
    /// What the attention's linear gave, where a norm follows it.
    attended: Option<T>,
    /// The residual after attention.
    middle: T,
    /// The two projections before the gate.
    gate: T,
    up: T,
    /// What the feed-forward network gave, where a norm follows it.
    fed: Option<T>,
}

impl<T> Inside<T> {
    /// Each part turned by `f`, except for the log-sums, which are small.
    pub fn map<U>(self, f: impl Fn(T) -> U) -> Inside<U> {
        Inside {
            q: f(self.q),
            k: f(self.k),
            v: f(self.v),
            mixed: f(self.mixed),
            sums: self.sums,
            attended: self.attended.map(&f),
            middle: f(self.middle),
            gate: f(self.gate),
            up: f(self.up),
            fed: self.fed.map(&f),
        }
    }
}

impl Inside<Kept> {
    pub fn take(self) -> Inside<Acts> {
        self.map(Kept::take)
    }
}

impl Block<'_> {
    /// The block's output `[width x tokens]`, and what its backward pass needs.
    pub fn forward(&self, x: &Acts, step: Step<'_>) -> Result<(Acts, Inside<Acts>), Stopped> {
        let mut inside = self.inside(x, step)?;
        let mut fed = self.feed(&inside, step)?;
        if let Some(norm) = &self.inner_post_norm {
            let normed = norm.forward(&fed);
            inside.fed = Some(std::mem::replace(&mut fed, normed));
        }
        add(&mut fed, &inside.middle);
        Ok((fed, inside))
    }

    /// All that backward needs, computed anew from the block's input.
    pub fn again(&self, x: &Acts, step: Step<'_>) -> Result<Inside<Acts>, Stopped> {
        let mut inside = self.inside(x, step)?;
        if self.inner_post_norm.is_some() {
            inside.fed = Some(self.feed(&inside, step)?);
        }
        Ok(inside)
    }

    /// Everything up to the two projections of the feed-forward network.
    fn inside(&self, x: &Acts, step: Step<'_>) -> Result<Inside<Acts>, Stopped> {
        let [q, k, v] =
            self.project([Target::Q, Target::K, Target::V], &self.attention_norm.forward(x), step)?;
        let (mixed, sums) = {
            let (q, k) = (self.queries(&q, step), self.keys(&k, step));
            attention::forward(&self.heads, step.reach, &q, &k, &v)
        };
        let [mut middle] = self.project([Target::O], &mixed, step)?;
        let mut attended = None;
        if let Some(norm) = &self.attention_post_norm {
            let normed = norm.forward(&middle);
            attended = Some(std::mem::replace(&mut middle, normed));
        }
        add(&mut middle, x);
        let [gate, up] = self.project([Target::Gate, Target::Up], &self.inner_norm.forward(&middle), step)?;
        Ok(Inside { q, k, v, mixed, sums, attended, middle, gate, up, fed: None })
    }

    fn feed(&self, inside: &Inside<Acts>, step: Step<'_>) -> Result<Acts, Stopped> {
        let [fed] = self.project([Target::Down], &self.gate.forward(&inside.gate, &inside.up), step)?;
        Ok(fed)
    }

    fn queries(&self, q: &Acts, step: Step<'_>) -> Acts {
        self.placed(q, &self.query_norm, step)
    }

    fn keys(&self, k: &Acts, step: Step<'_>) -> Acts {
        self.placed(k, &self.key_norm, step)
    }

    /// Heads normalized and rotated.
    fn placed(&self, x: &Acts, norm: &Option<Norm>, step: Step<'_>) -> Acts {
        let mut y = norm.as_ref().map_or_else(|| x.clone(), |norm| norm.forward(x));
        step.rotation.apply(&mut y, self.heads.size, Direction::Forward);
        y
    }

    /// The gradient by what [`Self::placed`] was given, where `dy` is that by what it gave.
    fn placed_backward(&self, x: &Acts, norm: &Option<Norm>, mut dy: Acts, step: Step<'_>) -> Acts {
        step.rotation.apply(&mut dy, self.heads.size, Direction::Backward);
        match norm {
            Some(norm) => through(norm, x, &dy),
            None => dy,
        }
    }

    /// Turns `dy`, the gradient by the block's output, into that by its input `x`, and adds the adapter's to
    /// `grads`. With `last`, no gradient by `x` is wanted, and the one returned is not whole.
    pub fn backward(
        &self,
        x: &Acts,
        inside: Inside<Acts>,
        dy: Acts,
        grads: &mut [f32],
        step: Step<'_>,
        last: bool,
    ) -> Result<Acts, Stopped> {
        let Inside { q, k, v, mixed, sums, attended, middle, mut gate, mut up, fed } = inside;
        let precision = step.how.precision;

        // The feed-forward network: `dy` reaches it and passes by it.
        let d_fed = before(&self.inner_post_norm, fed.as_ref(), &dy);
        drop(fed);
        let gated = self.gate.forward(&gate, &up);
        let mut d_gated = Acts::zeros(gated.features(), gated.tokens());
        let d_fed = d_fed.as_ref().unwrap_or(&dy);
        self.linear_backward(
            Target::Down,
            &Input::new(&gated, precision),
            d_fed,
            &mut d_gated,
            grads,
            step,
            true,
        )?;
        drop(gated);
        self.gate.backward(&mut gate, &mut up, &d_gated);
        drop(d_gated);
        let normed = self.inner_norm.forward(&middle);
        let mut d_normed = Acts::zeros(normed.features(), normed.tokens());
        let seen = Input::new(&normed, precision);
        self.linear_backward(Target::Gate, &seen, &gate, &mut d_normed, grads, step, true)?;
        drop(gate);
        self.linear_backward(Target::Up, &seen, &up, &mut d_normed, grads, step, true)?;
        drop((up, seen));
        drop(normed);
        let mut d_middle = dy;
        self.inner_norm.backward(&middle, &d_normed, &mut d_middle);
        drop((middle, d_normed));

        // Attention: `d_middle` reaches it and passes by it.
        let d_attended = before(&self.attention_post_norm, attended.as_ref(), &d_middle);
        drop(attended);
        let mut d_mixed = Acts::zeros(mixed.features(), mixed.tokens());
        let d_attended = d_attended.as_ref().unwrap_or(&d_middle);
        self.linear_backward(
            Target::O,
            &Input::new(&mixed, precision),
            d_attended,
            &mut d_mixed,
            grads,
            step,
            true,
        )?;
        let (dq, dk, dv) = {
            let (q, k) = (self.queries(&q, step), self.keys(&k, step));
            let seen = Seen { q: &q, k: &k, v: &v, out: &mixed, sums: &sums };
            attention::backward(&self.heads, step.reach, &seen, &d_mixed)
        };
        drop((mixed, d_mixed, v));
        let dq = self.placed_backward(&q, &self.query_norm, dq, step);
        let dk = self.placed_backward(&k, &self.key_norm, dk, step);
        drop((q, k));
        let normed = self.attention_norm.forward(x);
        let mut d_normed = Acts::zeros(normed.features(), normed.tokens());
        let seen = Input::new(&normed, precision);
        for (target, dy) in [(Target::Q, dq), (Target::K, dk), (Target::V, dv)] {
            self.linear_backward(target, &seen, &dy, &mut d_normed, grads, step, !last)?;
        }
        let mut dx = d_middle;
        self.attention_norm.backward(x, &d_normed, &mut dx);
        Ok(dx)
    }

    /// The outputs of linears that have one input.
    fn project<const N: usize>(
        &self,
        targets: [Target; N],
        x: &Acts,
        step: Step<'_>,
    ) -> Result<[Acts; N], Stopped> {
        let input = Input::new(x, step.how.precision);
        let mut outputs = targets.map(|target| Acts::zeros(self.linear(target).weight.outputs, x.tokens()));
        for (target, y) in targets.into_iter().zip(&mut outputs) {
            step.how.go_on()?;
            let linear = self.linear(target);
            linear.weight.forward(&input.operand, y);
            if let Some(bias) = &linear.bias {
                add_bias(y, bias);
            }
            if let Some((adapter, site, dropout)) = self.site(target, step) {
                lora::forward(adapter, site, &input, dropout, y);
            }
        }
        Ok(outputs)
    }

    /// Adds to `dx` (when `through` the base weight is asked for; the adapter's part is added always) and
    /// to `grads`.
    #[allow(clippy::too_many_arguments)]
    fn linear_backward(
        &self,
        target: Target,
        x: &Input<'_>,
        dy: &Acts,
        dx: &mut Acts,
        grads: &mut [f32],
        step: Step<'_>,
        through: bool,
    ) -> Result<(), Stopped> {
        step.how.go_on()?;
        let dy = Input::new(dy, step.how.precision);
        if through {
            self.linear(target).weight.backward(&dy.operand, dx);
        }
        if let Some((adapter, site, dropout)) = self.site(target, step) {
            lora::backward(adapter, site, x, dropout, &dy, dx, grads);
        }
        Ok(())
    }

    fn linear(&self, target: Target) -> &Linear<'_> {
        &self.linears[target as usize]
    }

    fn site<'s>(&self, target: Target, step: Step<'s>) -> Option<(&'s Adapter, &'s Site, Option<Dropout>)> {
        let adapter = step.adapter?;
        let site = adapter.site(self.index, target)?;
        Some((adapter, site, step.how.dropout.map(|p| Dropout::at(p, step.how.seed, site))))
    }
}

/// The gradient before an optional norm; `None` where there is no norm, and the gradient stays.
fn before(norm: &Option<Norm>, input: Option<&Acts>, dy: &Acts) -> Option<Acts> {
    Some(through(norm.as_ref()?, input?, dy))
}

fn through(norm: &Norm, x: &Acts, dy: &Acts) -> Acts {
    let mut dx = Acts::zeros(x.features(), x.tokens());
    norm.backward(x, dy, &mut dx);
    dx
}

fn add(to: &mut Acts, other: &Acts) {
    let size = other.features() * crate::acts::LANES;
    let panels = to.par_panels_mut().zip(other.values().par_chunks_exact(size));
    panels.for_each(|(to, other)| to.iter_mut().zip(other).for_each(|(a, b)| *a += b));
}

fn add_bias(y: &mut Acts, bias: &[f32]) {
    y.par_panels_mut().for_each(|panel| {
        rows_mut(panel).zip(bias).for_each(|(row, b)| add_to_all(row, *b));
    });
}
