//! Losses and distances of next-token distributions, computed plainly in f64 from whole rows of logits.

/// Log-probabilities of one row of logits.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| f64::from(x - most).exp()).sum();
    logits.iter().map(|x| f64::from(x - most) - sum.ln()).collect()
}

/// KL(p || q) of two rows of logits, in nats.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let (p, q) = (log_softmax(p), log_softmax(q));
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// Mean KL over rows of `columns` logits.
pub fn mean_divergence(p: &[f32], q: &[f32], columns: usize) -> f64 {
    assert_eq!(p.len(), q.len());
    let rows = p.chunks_exact(columns).zip(q.chunks_exact(columns));
    rows.map(|(p, q)| divergence(p, q)).sum::<f64>() / (p.len() / columns) as f64
}

/// Mean negative log-likelihood of each next token, in nats.
pub fn mean_loss(logits: &[f32], tokens: &[u32], columns: usize) -> f64 {
    let rows = logits.chunks_exact(columns).zip(&tokens[1..]);
    let all: Vec<f64> = rows.map(|(row, next)| -log_softmax(row)[*next as usize]).collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// Deviation of the logits of one row, as a mean over rows.
pub fn spread(logits: &[f32], columns: usize) -> f64 {
    let deviation = |row: &[f32]| {
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / columns as f64;
        (row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / columns as f64).sqrt()
    };
    logits.chunks_exact(columns).map(deviation).sum::<f64>() / (logits.len() / columns) as f64
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
