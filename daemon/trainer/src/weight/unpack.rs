//! From packed blocks to `f32`: the common types by readers of our own, the others by ggml's.
#![allow(unsafe_code)]

use super::blocks::{self, Block};
use familiar_gguf::Kind;
use llama_cpp_sys_2::{ggml_get_type_traits, ggml_to_float_t, ggml_type};

/// ggml's reader of a type, where it has one. It needs nothing initialised.
fn to_float(kind: Kind) -> ggml_to_float_t {
    // SAFETY: the table is constant and has an entry for each id of `Kind`.
    unsafe { (*ggml_get_type_traits(kind.id as ggml_type)).to_float }
}

/// Whether [`dequantize`] reads the type.
pub(super) fn supported(kind: Kind) -> bool {
    kind == Kind::F32 || to_float(kind).is_some()
}

/// Unpacks whole blocks of `kind` into `f32`.
///
/// # Panics
/// When `bytes` are not the blocks of `out`, and for a type that cannot be dequantized (integers).
pub fn dequantize(kind: Kind, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(kind.size(out.len() as u64), Some(bytes.len() as u64));
    assert_eq!(out.len() as u64 % kind.block, 0);
    match kind.name {
        "F32" => {
            for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                *out = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
        }
        "F16" => read::<blocks::F16>(bytes, out),
        "Q4_0" => read::<blocks::Q4_0>(bytes, out),
        "Q4_1" => read::<blocks::Q4_1>(bytes, out),
        "Q5_0" => read::<blocks::Q5_0>(bytes, out),
        "Q5_1" => read::<blocks::Q5_1>(bytes, out),
        "Q8_0" => read::<blocks::Q8_0>(bytes, out),
        "Q2_K" => read::<blocks::Q2K>(bytes, out),
        "Q3_K" => read::<blocks::Q3K>(bytes, out),
        "Q4_K" => read::<blocks::Q4K>(bytes, out),
        "Q5_K" => read::<blocks::Q5K>(bytes, out),
        "Q6_K" => read::<blocks::Q6K>(bytes, out),
        "IQ4_NL" => read::<blocks::Iq4Nl>(bytes, out),
        "IQ4_XS" => read::<blocks::Iq4Xs>(bytes, out),
        _ => by_ggml(kind, bytes, out),
    }
}

fn by_ggml(kind: Kind, bytes: &[u8], out: &mut [f32]) {
    let to_float = to_float(kind).expect("a type whose values are numbers to compute with");
    // SAFETY: `bytes` holds exactly the blocks of `out.len()` elements: `dequantize` checked it.
    unsafe { to_float(bytes.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64) }
}

/// Reads block after block, compiled for the vectors that this CPU has.
fn read<B: Block>(bytes: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the CPU has these instructions.
            return unsafe { read_avx512::<B>(bytes, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { read_avx2::<B>(bytes, out) };
        }
    }
    B::read_all(bytes, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn read_avx512<B: Block>(bytes: &[u8], out: &mut [f32]) {
    B::read_all(bytes, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_avx2<B: Block>(bytes: &[u8], out: &mut [f32]) {
    B::read_all(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Noise;

    /// On a CPU whose compiler fuses multiplication and addition in ggml's code, the last bit may differ.
    fn same(ours: f32, theirs: f32) -> bool {
        let close = !cfg!(target_arch = "x86_64") && (ours - theirs).abs() <= 1e-6 * theirs.abs();
        ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan() || close
    }

    #[test]
    fn every_type_reads_as_ggml_reads_it() {
        for kind in (1..64).filter_map(Kind::of_id).filter(|kind| supported(*kind)) {
            let values = 256 * 512;
            let mut bytes = Noise::new(7).blocks(kind, values);
            if !["MXFP4", "NVFP4"].contains(&kind.name) {
                // Any bytes at all: scales that are huge, subnormal, infinite, or no number.
                let mut noise = Noise::new(8);
                let half = bytes.len() / 2;
                bytes[half..].fill_with(|| noise.bits() as u8);
            }
            let (mut ours, mut theirs) = (vec![0.0; values], vec![1.0; values]);
            dequantize(kind, &bytes, &mut ours);
            by_ggml(kind, &bytes, &mut theirs);
            for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert!(same(*ours, *theirs), "{} {i}: {ours} for {theirs}", kind.name);
            }
        }
    }

    #[test]
    fn every_half_float_is_read() {
        let kind = Kind::of_name("F16").unwrap();
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let (mut ours, mut theirs) = (vec![0.0; 1 << 16], vec![1.0; 1 << 16]);
        dequantize(kind, &bytes, &mut ours);
        by_ggml(kind, &bytes, &mut theirs);
        assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| same(*ours, *theirs)));
    }

    #[test]
    #[should_panic(expected = "numbers to compute with")]
    fn integers_are_refused() {
        dequantize(Kind::of_name("I32").unwrap(), &[0; 4], &mut [0.0]);
    }

    #[test]
    #[should_panic]
    fn bytes_that_are_not_the_values_blocks_are_refused() {
        dequantize(Kind::of_name("Q8_0").unwrap(), &[0; 34], &mut [0.0; 33]);
    }
}
