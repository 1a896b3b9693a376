//! The seam between the model and its frozen weights: the product with a quantized matrix, and that
//! product's gradient. Another backend (a GPU's) would implement these two and nothing else.

use crate::acts::{Acts, LANES};
use crate::kernel::{Strided, multiply_add};
use familiar_gguf::{Kind, Tensor};

/// How products with the base weights are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// Factors rounded to bfloat16, sums in `f32`.
    Bf16,
}

/// A frozen matrix `[outputs][inputs]` in the mapped model file, packed in blocks along the inputs.
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    pub inputs: usize,
    pub outputs: usize,
    kind: Kind,
    bytes: &'a [u8],
}

/// The activations of one product, made ready once for all the weights they meet.
pub struct Operand<'a> {
    acts: &'a Acts,
    #[allow(dead_code)]
    precision: Precision,
}

impl<'a> Operand<'a> {
    pub fn new(acts: &'a Acts, precision: Precision) -> Operand<'a> {
        Operand { acts, precision }
    }
}

impl<'a> Weight<'a> {
    /// `None` when the tensor is no matrix of a type that llama.cpp can dequantize.
    pub fn new(tensor: Tensor<'a>) -> Option<Weight<'a>> {
        let [inputs, outputs] = *tensor.shape else { return None };
        Some(Weight {
            inputs: inputs as usize,
            outputs: outputs as usize,
            kind: tensor.kind,
            bytes: tensor.bytes,
        })
    }

    /// `y += W x`; `x` has `inputs` features and `y` `outputs`.
    pub fn forward(&self, x: &Operand<'_>, y: &mut Acts) {
        let mut row = vec![0.0; self.inputs];
        for n in 0..self.outputs {
            self.row(n, &mut row);
            for p in 0..y.panels() {
                let out = &mut y.panel_mut(p)[n * LANES..][..LANES];
                multiply_add(1, self.inputs, Strided::rows(&row, self.inputs), x.acts.panel(p), out);
            }
        }
    }

    /// `dx += transpose(W) dy`.
    pub fn backward(&self, dy: &Operand<'_>, dx: &mut Acts) {
        let mut row = vec![0.0; self.inputs];
        for n in 0..self.outputs {
            self.row(n, &mut row);
            for p in 0..dx.panels() {
                let b = &dy.acts.panel(p)[n * LANES..][..LANES];
                multiply_add(self.inputs, 1, Strided::rows(&row, 1), b, dx.panel_mut(p));
            }
        }
    }

    /// Dequantizes row `n` (its `inputs` values), as for an embedding.
    pub fn row(&self, n: usize, out: &mut [f32]) {
        let bytes = self.kind.size(self.inputs as u64).expect("a row of a file that was checked") as usize;
        dequantize(self.kind, &self.bytes[n * bytes..][..bytes], &mut out[..self.inputs]);
    }
}

/// Unpacks whole blocks of `kind` into `f32`, by ggml's own reader of the type.
#[allow(unsafe_code)]
pub fn dequantize(kind: Kind, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(kind.size(out.len() as u64), Some(bytes.len() as u64));
    if kind == Kind::F32 {
        for (o, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
            *o = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        }
        return;
    }
    // SAFETY: `bytes` holds exactly the blocks of `out.len()` elements (checked above), and the traits
    // table has an entry for each id of `Kind`.
    unsafe {
        let traits = llama_cpp_sys_2::ggml_get_type_traits(kind.id as llama_cpp_sys_2::ggml_type);
        let to_float = (*traits).to_float.expect("checked when the model was opened");
        to_float(bytes.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64);
    }
}
