//! Readers of the common types' blocks, in the shape that compilers turn into vectors: several times
//! faster than ggml's, whose results they equal bit for bit. The layouts are those of `ggml-common.h`, and
//! so are the names: `d` is a block's scale, `dmin` that of its minima, `qs` the low bits of its values.

use std::hint::black_box;

/// How one type packs `out.len()` values into a block.
pub trait Block {
    const VALUES: usize;
    const BYTES: usize;

    /// `bytes` and `out` are of those lengths.
    fn read(bytes: &[u8], out: &mut [f32]);

    /// One block after the other.
    #[inline(always)]
    fn read_all(bytes: &[u8], out: &mut [f32]) {
        for (bytes, out) in bytes.chunks_exact(Self::BYTES).zip(out.chunks_exact_mut(Self::VALUES)) {
            // Else LLVM takes the same byte of 16 blocks into each vector, which costs four times as much.
            Self::read(&black_box(bytes)[..Self::BYTES], out);
        }
    }
}

/// Half of the types come in small blocks of 32 values.
const SMALL: usize = 32;
/// The others in large ones of 256, cut into groups with scales of their own.
const LARGE: usize = 256;

/// A 16-bit float at `at`.
#[inline(always)]
fn half(bytes: &[u8], at: usize) -> f32 {
    from_half(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// IEEE 754 binary16, without a branch: the exponent is moved by a multiplication, which also makes
/// subnormal numbers normal.
#[inline(always)]
fn from_half(bits: u16) -> f32 {
    let magnitude = (bits as u32 & 0x7fff) << 13;
    let finite = (f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23)).to_bits();
    let special = magnitude | 0x7f80_0000;
    let value = if bits & 0x7c00 == 0x7c00 { special } else { finite };
    f32::from_bits(value | (bits as u32 & 0x8000) << 16)
}

/// `out[i] = codes[i] * d`
#[inline(always)]
fn scale(codes: &[i8], d: f32, out: &mut [f32]) {
    for (out, code) in out.iter_mut().zip(codes) {
        *out = *code as f32 * d;
    }
}

/// `out[i] = codes[i] * d + m`
#[inline(always)]
fn scale_and_shift(codes: &[i8], d: f32, m: f32, out: &mut [f32]) {
    for (out, code) in out.iter_mut().zip(codes) {
        *out = *code as f32 * d + m;
    }
}

/// The codes of a small block, or of two groups of a large one: all low nibbles, then all high ones.
#[inline(always)]
fn nibbles<const N: usize>(qs: &[u8]) -> [i8; N] {
    let mut codes = [0; N];
    let (low, high) = codes.split_at_mut(N / 2);
    for ((low, high), q) in low.iter_mut().zip(high).zip(qs) {
        *low = (q & 15) as i8;
        *high = (q >> 4) as i8;
    }
    codes
}

/// Those of a small block with a fifth bit each, from a word of 32.
#[inline(always)]
fn five_bits(qs: &[u8], qh: &[u8]) -> [i8; SMALL] {
    let word = u32::from_le_bytes([qh[0], qh[1], qh[2], qh[3]]);
    let mut codes = nibbles::<SMALL>(qs);
    for (i, code) in codes.iter_mut().enumerate() {
        *code |= ((word >> i & 1) << 4) as i8;
    }
    codes
}

/// The values of the non-linear 4-bit types.
const NON_LINEAR: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// `NON_LINEAR[code]`, bit by bit: selections work on whole vectors where a table would not.
#[inline(always)]
fn non_linear(code: i8) -> i8 {
    let pick = |bit: i8, zero: i8, one: i8| if code & bit == 0 { zero } else { one };
    let t = NON_LINEAR;
    let low = pick(
        4,
        pick(2, pick(1, t[0], t[1]), pick(1, t[2], t[3])),
        pick(2, pick(1, t[4], t[5]), pick(1, t[6], t[7])),
    );
    let high = pick(
        4,
        pick(2, pick(1, t[8], t[9]), pick(1, t[10], t[11])),
        pick(2, pick(1, t[12], t[13]), pick(1, t[14], t[15])),
    );
    pick(8, low, high)
}

/// Scale and minimum of group `j` of a large block: 6 bits each, 8 groups in 12 bytes.
#[inline(always)]
fn six_bits(scales: &[u8], j: usize) -> (f32, f32) {
    let (scale, min) = if j < 4 {
        (scales[j] & 63, scales[j + 4] & 63)
    } else {
        (scales[j + 4] & 15 | scales[j - 4] >> 6 << 4, scales[j + 4] >> 4 | scales[j] >> 6 << 4)
    };
    (scale as f32, min as f32)
}

pub struct F16;

impl Block for F16 {
    const VALUES: usize = 1;
    const BYTES: usize = 2;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        out[0] = half(bytes, 0);
    }

    #[inline(always)]
    fn read_all(bytes: &[u8], out: &mut [f32]) {
        for (bytes, out) in bytes.chunks_exact(2).zip(out) {
            *out = half(bytes, 0);
        }
    }
}

pub struct Q4_0;

impl Block for Q4_0 {
    const VALUES: usize = SMALL;
    const BYTES: usize = 18;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let mut codes = nibbles::<SMALL>(&bytes[2..]);
        codes.iter_mut().for_each(|code| *code -= 8);
        scale(&codes, half(bytes, 0), out);
    }
}

pub struct Q4_1;

impl Block for Q4_1 {
    const VALUES: usize = SMALL;
    const BYTES: usize = 20;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        scale_and_shift(&nibbles::<SMALL>(&bytes[4..]), half(bytes, 0), half(bytes, 2), out);
    }
}

pub struct Q5_0;

impl Block for Q5_0 {
    const VALUES: usize = SMALL;
    const BYTES: usize = 22;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let mut codes = five_bits(&bytes[6..], &bytes[2..6]);
        codes.iter_mut().for_each(|code| *code -= 16);
        scale(&codes, half(bytes, 0), out);
    }
}

pub struct Q5_1;

impl Block for Q5_1 {
    const VALUES: usize = SMALL;
    const BYTES: usize = 24;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let codes = five_bits(&bytes[8..], &bytes[4..8]);
        scale_and_shift(&codes, half(bytes, 0), half(bytes, 2), out);
    }
}

pub struct Q8_0;

impl Block for Q8_0 {
    const VALUES: usize = SMALL;
    const BYTES: usize = 34;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let d = half(bytes, 0);
        for (out, q) in out.iter_mut().zip(&bytes[2..]) {
            *out = *q as i8 as f32 * d;
        }
    }
}

pub struct Iq4Nl;

impl Block for Iq4Nl {
    const VALUES: usize = SMALL;
    const BYTES: usize = 18;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let mut codes = nibbles::<SMALL>(&bytes[2..]);
        codes.iter_mut().for_each(|code| *code = non_linear(*code));
        scale(&codes, half(bytes, 0), out);
    }
}

pub struct Iq4Xs;

impl Block for Iq4Xs {
    const VALUES: usize = LARGE;
    const BYTES: usize = 136;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let d = half(bytes, 0);
        let high = u16::from_le_bytes([bytes[2], bytes[3]]);
        let (low, qs) = bytes[4..].split_at(4);
        for (i, (out, qs)) in out.chunks_exact_mut(32).zip(qs.chunks_exact(16)).enumerate() {
            let bits = (low[i / 2] >> (4 * (i % 2)) & 15) as i32 | ((high >> (2 * i) & 3) as i32) << 4;
            let mut codes = nibbles::<32>(qs);
            codes.iter_mut().for_each(|code| *code = non_linear(*code));
            scale(&codes, d * (bits - 32) as f32, out);
        }
    }
}

pub struct Q2K;

impl Block for Q2K {
    const VALUES: usize = LARGE;
    const BYTES: usize = 84;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let (scales, qs) = bytes.split_at(16);
        let (d, dmin) = (half(bytes, 80), half(bytes, 82));
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            // Each half of the block: four groups in the bits of the same 32 bytes.
            let (part, shift) = (group / 4, group % 4 * 2);
            let mut codes = [0; 32];
            for (code, q) in codes.iter_mut().zip(&qs[part * 32..][..32]) {
                *code = (q >> shift & 3) as i8;
            }
            for (i, (out, codes)) in out.chunks_exact_mut(16).zip(codes.chunks_exact(16)).enumerate() {
                let scale = scales[2 * group + i];
                scale_and_shift(codes, d * (scale & 15) as f32, -(dmin * (scale >> 4) as f32), out);
            }
        }
    }
}

pub struct Q3K;

impl Block for Q3K {
    const VALUES: usize = LARGE;
    const BYTES: usize = 110;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let (masks, qs, scales) = (&bytes[..32], &bytes[32..96], &bytes[96..108]);
        let d = half(bytes, 108);
        for (group, out) in out.chunks_exact_mut(16).enumerate() {
            // 16 scales of 6 bits: the low four in 8 bytes, the high two in the last four.
            let low = scales[group % 8] >> (group / 8 * 4) & 15;
            let high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
            let d = d * ((low | high << 4) as i32 - 32) as f32;
            let qs = &qs[group / 8 * 32 + group % 2 * 16..][..16];
            let masks = &masks[group % 2 * 16..][..16];
            let (shift, bit) = (group % 8 / 2 * 2, group / 2);
            for ((out, q), mask) in out.iter_mut().zip(qs).zip(masks) {
                let code = (q >> shift & 3 | (mask >> bit & 1) << 2) as i8 - 4;
                *out = d * code as f32;
            }
        }
    }
}

pub struct Q4K;

impl Block for Q4K {
    const VALUES: usize = LARGE;
    const BYTES: usize = 144;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let (d, dmin) = (half(bytes, 0), half(bytes, 2));
        let (scales, qs) = bytes[4..].split_at(12);
        for (pair, (out, qs)) in out.chunks_exact_mut(64).zip(qs.chunks_exact(32)).enumerate() {
            let codes = nibbles::<64>(qs);
            for (half, (out, codes)) in out.chunks_exact_mut(32).zip(codes.chunks_exact(32)).enumerate() {
                let (scale, min) = six_bits(scales, 2 * pair + half);
                scale_and_shift(codes, d * scale, -(dmin * min), out);
            }
        }
    }
}

pub struct Q5K;

impl Block for Q5K {
    const VALUES: usize = LARGE;
    const BYTES: usize = 176;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let (d, dmin) = (half(bytes, 0), half(bytes, 2));
        let (scales, qh, qs) = (&bytes[4..16], &bytes[16..48], &bytes[48..]);
        for (pair, (out, qs)) in out.chunks_exact_mut(64).zip(qs.chunks_exact(32)).enumerate() {
            let codes = nibbles::<64>(qs);
            for (half, (out, codes)) in out.chunks_exact_mut(32).zip(codes.chunks_exact(32)).enumerate() {
                let group = 2 * pair + half;
                let mut whole = [0; 32];
                for ((whole, low), high) in whole.iter_mut().zip(codes).zip(qh) {
                    *whole = low | ((high >> group & 1) << 4) as i8;
                }
                let (scale, min) = six_bits(scales, group);
                scale_and_shift(&whole, d * scale, -(dmin * min), out);
            }
        }
    }
}

pub struct Q6K;

impl Block for Q6K {
    const VALUES: usize = LARGE;
    const BYTES: usize = 210;

    #[inline(always)]
    fn read(bytes: &[u8], out: &mut [f32]) {
        let (ql, qh, scales) = (&bytes[..128], &bytes[128..192], &bytes[192..208]);
        let d = half(bytes, 208);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            // Each half of the block: 64 bytes of low nibbles for 4 groups, 32 bytes of their high bits.
            let (part, quarter) = (group / 4, group % 4);
            let ql = &ql[part * 64 + quarter % 2 * 32..][..32];
            let qh = &qh[part * 32..][..32];
            let mut codes = [0; 32];
            for ((code, low), high) in codes.iter_mut().zip(ql).zip(qh) {
                let low = low >> (quarter / 2 * 4) & 15;
                *code = (low | (high >> (2 * quarter) & 3) << 4) as i8 - 32;
            }
            for (i, (out, codes)) in out.chunks_exact_mut(16).zip(codes.chunks_exact(16)).enumerate() {
                scale(codes, d * (scales[2 * group + i] as i8) as f32, out);
            }
        }
    }
}
