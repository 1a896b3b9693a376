//! Adapters of one model joined into one whose change is the weighted sum of theirs. Their ranks add up,
//! so nothing is lost: `[B1 B2] [A1; A2] = B1 A1 + B2 A2`.

use super::{AdapterError, Meta};
use crate::lora::{Adapter, Site, Target};
use std::collections::BTreeMap;

/// An adapter with its share in the sum.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub adapter: &'a Adapter,
    pub meta: &'a Meta,
    /// What its change is multiplied with; 1 leaves it as it was trained.
    pub weight: f32,
}

/// The adapter with `B A = sum of weight * scale * B A` over the parts, of scale 1. A linear that a part has
/// no factors for is left as it is by that part.
///
/// # Errors
/// When the parts were trained on different models, differ in the size of a linear, or there are none.
pub fn merge(parts: &[Part<'_>]) -> Result<Adapter, AdapterError> {
    let first = parts.first().ok_or(AdapterError::NothingToMerge)?;
    let same = |meta: &Meta| (&meta.base, &meta.architecture) == (&first.meta.base, &first.meta.architecture);
    if !parts.iter().all(|part| same(part.meta)) {
        return Err(AdapterError::DifferentBases);
    }
    let mut linears = BTreeMap::<(usize, Target), (usize, usize)>::new();
    for site in parts.iter().flat_map(|part| &part.adapter.sites) {
        let size = (site.inputs, site.outputs);
        if *linears.entry((site.block, site.target)).or_insert(size) != size {
            let name = site.target.tensor();
            return Err(AdapterError::Unfit(format!("blk.{}.{name} differs between the parts", site.block)));
        }
    }
    let rank = parts.iter().map(|part| part.adapter.rank).sum();
    let sites =
        linears.into_iter().map(|((block, target), (inputs, outputs))| (block, target, inputs, outputs));
    let mut merged = Adapter::zeros(rank, rank as f32, 1.0, sites);
    for site in merged.sites.clone() {
        let mut row = 0;
        for part in parts {
            if let Some(from) = part.adapter.site(site.block, site.target) {
                place(part, from, &mut merged, &site, row);
            }
            row += part.adapter.rank;
        }
    }
    Ok(merged)
}

/// Copies a part's factors to the rows of A, and the columns of B, from `row` on.
fn place(part: &Part<'_>, from: &Site, merged: &mut Adapter, to: &Site, row: usize) {
    let Adapter { rank, scale, values, .. } = part.adapter;
    merged.values[to.a + row * to.inputs..][..rank * to.inputs].copy_from_slice(&values[from.a..from.b]);
    for output in 0..to.outputs {
        let b = &values[from.b + output * rank..][..*rank];
        let out = &mut merged.values[to.b + output * merged.rank + row..][..*rank];
        out.iter_mut().zip(b).for_each(|(out, b)| *out = part.weight * scale * b);
    }
}
