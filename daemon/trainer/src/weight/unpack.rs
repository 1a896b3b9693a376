//! From packed blocks to `f32`. What ggml's own readers do, bit for bit.
#![allow(unsafe_code)]

use familiar_gguf::Kind;
use llama_cpp_sys_2::{ggml_get_type_traits, ggml_type};

/// ggml's reader of a type, where it has one.
fn to_float(kind: Kind) -> llama_cpp_sys_2::ggml_to_float_t {
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
    if kind == Kind::F32 {
        for (o, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
            *o = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        }
        return;
    }
    let to_float = to_float(kind).expect("a type whose values are numbers to compute with");
    // SAFETY: `bytes` holds exactly the blocks of `out.len()` elements (checked above).
    unsafe { to_float(bytes.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64) }
}
