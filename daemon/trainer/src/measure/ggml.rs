//! ggml's own gradient of a product with a quantized matrix, to compare with: the graph that its backward
//! pass of `MUL_MAT` builds, `out_prod(W, transpose(dy))`, on the CPU and one thread.
#![allow(unsafe_code)]

use crate::acts::Acts;
use crate::weight::Weight;
use llama_cpp_sys_2 as ggml;
use std::ptr::NonNull;

/// A graph of one node, ready to be computed again and again.
pub struct Gradient {
    context: NonNull<ggml::ggml_context>,
    graph: *mut ggml::ggml_cgraph,
    result: *mut ggml::ggml_tensor,
    inputs: usize,
    tokens: usize,
}

impl Gradient {
    /// Copies the weight and `dy`. `None` for bfloat16, where ggml would abort, and when memory is short.
    pub fn new(weight: &Weight<'_>, dy: &Acts) -> Option<Gradient> {
        if weight.kind().name == "BF16" {
            return None;
        }
        let (inputs, outputs, tokens) = (weight.inputs, weight.outputs, dy.tokens());
        let slack = 4 << 20;
        let size = weight.bytes().len() + 4 * tokens * (inputs + outputs) + slack;
        let params =
            ggml::ggml_init_params { mem_size: size, mem_buffer: std::ptr::null_mut(), no_alloc: false };
        // SAFETY: the context lives until it is dropped with `self`, and with it all that is made in it. The
        // tensors have the sizes that are written to them, and the weight's type is one that `out_prod`
        // takes: those that can be dequantized, less bfloat16.
        unsafe {
            let context = NonNull::new(ggml::ggml_init(params))?;
            let c = context.as_ptr();
            let kind = weight.kind().id as ggml::ggml_type;
            let w = ggml::ggml_new_tensor_2d(c, kind, inputs as i64, outputs as i64);
            let d = ggml::ggml_new_tensor_2d(c, ggml::GGML_TYPE_F32, outputs as i64, tokens as i64);
            let result = ggml::ggml_out_prod(c, w, ggml::ggml_transpose(c, d));
            let graph = ggml::ggml_new_graph(c);
            ggml::ggml_build_forward_expand(graph, result);
            let bytes = weight.bytes();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), ggml::ggml_get_data(w).cast(), bytes.len());
            let to = std::slice::from_raw_parts_mut(ggml::ggml_get_data_f32(d), outputs * tokens);
            for (t, to) in to.chunks_exact_mut(outputs).enumerate() {
                to.iter_mut().enumerate().for_each(|(n, to)| *to = dy.get(n, t));
            }
            Some(Gradient { context, graph, result, inputs, tokens })
        }
    }

    /// Computes it on the calling thread. Each time takes a little of the context's memory: not for thousands.
    pub fn compute(&mut self) {
        // SAFETY: the graph is of this context.
        let status = unsafe { ggml::ggml_graph_compute_with_ctx(self.context.as_ptr(), self.graph, 1) };
        assert_eq!(status, ggml::GGML_STATUS_SUCCESS, "ggml computes the product");
    }

    /// What was computed: `[token][input]`.
    pub fn result(&self) -> &[f32] {
        // SAFETY: the node is an `f32` matrix of that size, and lives as long as the context.
        unsafe { std::slice::from_raw_parts(ggml::ggml_get_data_f32(self.result), self.inputs * self.tokens) }
    }
}

impl Drop for Gradient {
    fn drop(&mut self) {
        // SAFETY: nothing outside points into it.
        unsafe { ggml::ggml_free(self.context.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Noise;
    use crate::weight::{Operand, Precision};
    use familiar_gguf::{Kind, Tensor};

    #[test]
    fn our_gradient_is_ggmls() {
        for name in ["F32", "F16", "Q4_K", "Q6_K", "Q8_0", "IQ4_NL"] {
            let kind = Kind::of_name(name).unwrap();
            let bytes = Noise::new(1).blocks(kind, 512 * 70);
            let weight = Weight::new(Tensor { shape: &[512, 70], kind, bytes: &bytes }).unwrap();
            let mut dy = Acts::zeros(70, 5);
            let values = Noise::new(2).values(dy.values().len());
            dy.values_mut().copy_from_slice(&values);
            let mut dx = Acts::zeros(512, 5);
            weight.backward(&Operand::new(&dy, Precision::F32), &mut dx);
            let mut theirs = Gradient::new(&weight, &dy).unwrap();
            theirs.compute();
            let size = theirs.result().iter().fold(0.0f32, |size, value| size.max(value.abs()));
            for (at, theirs) in theirs.result().iter().enumerate() {
                let ours = dx.get(at % 512, at / 512);
                assert!((ours - theirs).abs() <= 1e-5 * size, "{name} {at}: {ours} for {theirs}");
            }
        }
    }
}
