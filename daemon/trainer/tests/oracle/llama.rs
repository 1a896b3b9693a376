//! llama.cpp as the engine uses it, for one sequence: a model, its context, adapters, and logits.
#![allow(unsafe_code)]

use familiar_trainer::synth::Quantization;
use llama_cpp_sys_2 as sys;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::Once;

const CONTEXT: u32 = 1024;

/// How llama.cpp keeps keys and values, and how it attends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attention {
    /// As exact as it goes: F32 keys and values, scores and sums in separate steps.
    Exact,
    /// As served: F16 keys and values, flash attention.
    Served,
}

pub struct Llama {
    model: NonNull<sys::llama_model>,
    context: NonNull<sys::llama_context>,
}

impl Llama {
    pub fn load(path: &Path, attention: Attention) -> Llama {
        start();
        let path = c_path(path);
        // SAFETY: plain calls of llama.h in their order; what they return is checked, and freed in `drop`.
        unsafe {
            let model = sys::llama_model_load_from_file(path.as_ptr(), sys::llama_model_default_params());
            let model = NonNull::new(model).expect("llama.cpp loads the model");
            let mut params = sys::llama_context_default_params();
            params.n_ctx = CONTEXT;
            params.n_batch = CONTEXT;
            params.n_ubatch = CONTEXT;
            params.n_threads = 2;
            params.n_threads_batch = 2;
            (params.flash_attn_type, params.type_k, params.type_v) = match attention {
                Attention::Exact => {
                    (sys::LLAMA_FLASH_ATTN_TYPE_DISABLED, sys::GGML_TYPE_F32, sys::GGML_TYPE_F32)
                }
                Attention::Served => {
                    (sys::LLAMA_FLASH_ATTN_TYPE_ENABLED, sys::GGML_TYPE_F16, sys::GGML_TYPE_F16)
                }
            };
            let context = sys::llama_init_from_model(model.as_ptr(), params);
            Llama { model, context: NonNull::new(context).expect("llama.cpp makes a context") }
        }
    }

    /// The tokens of a text, without any that the model would put before it.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let mut tokens = vec![0i32; text.len() + 1];
        // SAFETY: both buffers are as long as is said.
        let count = unsafe {
            let vocabulary = sys::llama_model_get_vocab(self.model.as_ptr());
            let (text, length) = (text.as_ptr().cast(), text.len() as i32);
            sys::llama_tokenize(
                vocabulary,
                text,
                length,
                tokens.as_mut_ptr(),
                tokens.len() as i32,
                false,
                false,
            )
        };
        tokens[..usize::try_from(count).unwrap()].iter().map(|token| *token as u32).collect()
    }

    /// Applies these adapter files, each multiplied with its scale, and no others.
    pub fn adapt(&mut self, adapters: &[(&Path, f32)]) {
        // SAFETY: the adapters live as long as the model, which frees them.
        unsafe {
            let load = |path: &Path| sys::llama_adapter_lora_init(self.model.as_ptr(), c_path(path).as_ptr());
            let mut loaded: Vec<_> = adapters.iter().map(|(path, _)| load(path)).collect();
            assert!(loaded.iter().all(|adapter| !adapter.is_null()), "llama.cpp loads the adapter");
            let mut scales: Vec<f32> = adapters.iter().map(|(_, scale)| *scale).collect();
            let (count, loaded) = (loaded.len(), loaded.as_mut_ptr());
            let set = sys::llama_set_adapters_lora(self.context.as_ptr(), loaded, count, scales.as_mut_ptr());
            assert_eq!(set, 0);
        }
    }

    /// Logits for what follows each of `tokens`, row by row, from an empty cache.
    pub fn logits(&mut self, tokens: &[u32]) -> Vec<f32> {
        assert!(tokens.len() <= CONTEXT as usize);
        // SAFETY: the batch has room for the tokens, every field up to `n_tokens` is set, and llama.cpp keeps
        // a row of logits for each token that asks for one until the next call.
        unsafe {
            let context = self.context.as_ptr();
            sys::llama_memory_clear(sys::llama_get_memory(context), true);
            let mut batch = sys::llama_batch_init(tokens.len() as i32, 0, 1);
            for (at, token) in tokens.iter().enumerate() {
                *batch.token.add(at) = *token as i32;
                *batch.pos.add(at) = at as i32;
                *batch.n_seq_id.add(at) = 1;
                **batch.seq_id.add(at) = 0;
                *batch.logits.add(at) = 1;
            }
            batch.n_tokens = tokens.len() as i32;
            assert_eq!(sys::llama_decode(context, batch), 0);
            let vocabulary = sys::llama_vocab_n_tokens(sys::llama_model_get_vocab(self.model.as_ptr()));
            let count = tokens.len() * vocabulary as usize;
            let logits = std::slice::from_raw_parts(sys::llama_get_logits(context), count).to_vec();
            sys::llama_batch_free(batch);
            logits
        }
    }
}

/// Packs the model at `from` anew, as `llama-quantize` does.
pub fn quantize(from: &Path, quantization: Quantization, to: &Path) {
    start();
    let ftype = match quantization {
        Quantization::F32 => sys::LLAMA_FTYPE_ALL_F32,
        Quantization::Q8_0 => sys::LLAMA_FTYPE_MOSTLY_Q8_0,
        Quantization::Q6_K => sys::LLAMA_FTYPE_MOSTLY_Q6_K,
        Quantization::Q5_K => sys::LLAMA_FTYPE_MOSTLY_Q5_K_M,
        Quantization::Q4_K => sys::LLAMA_FTYPE_MOSTLY_Q4_K_M,
        Quantization::Q4_0 => sys::LLAMA_FTYPE_MOSTLY_Q4_0,
        Quantization::IQ4_NL => sys::LLAMA_FTYPE_MOSTLY_IQ4_NL,
    };
    // SAFETY: the settings are llama.cpp's own but for these, and both paths outlive the call.
    let failed = unsafe {
        let params = sys::llama_model_quantize_params {
            ftype,
            nthread: 2,
            allow_requantize: true,
            ..sys::llama_model_quantize_default_params()
        };
        sys::llama_model_quantize(c_path(from).as_ptr(), c_path(to).as_ptr(), &params)
    };
    assert_eq!(failed, 0, "llama.cpp packs {} in {}", from.display(), quantization.name());
}

fn start() {
    static START: Once = Once::new();
    // SAFETY: the first calls of llama.h, made once.
    START.call_once(|| unsafe {
        sys::llama_log_set(Some(silent), null_mut());
        sys::llama_backend_init();
    });
}

impl Drop for Llama {
    fn drop(&mut self) {
        // SAFETY: both were made in `load` and are used nowhere else; the model frees its adapters.
        unsafe {
            sys::llama_free(self.context.as_ptr());
            sys::llama_model_free(self.model.as_ptr());
        }
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

unsafe extern "C" fn silent(_: sys::ggml_log_level, _: *const std::ffi::c_char, _: *mut std::ffi::c_void) {}
