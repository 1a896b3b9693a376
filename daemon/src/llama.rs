//! llama.cpp as a process has it: started once, and what it logs kept for the error that follows. For
//! workers only, since an abort of llama.cpp ends the process; the rooms that use it call the rest themselves.
#![allow(unsafe_code)]

use llama_cpp_2::llama_backend::LlamaBackend;
use std::ffi::{CStr, c_char, c_void};
use std::sync::{Mutex, OnceLock};

/// llama.cpp's global state, started once in a process and never stopped: the process ends instead.
pub fn backend() -> Result<&'static LlamaBackend, String> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let started = BACKEND.get_or_init(|| {
        // SAFETY: `log` is a static function that takes what llama.cpp's log callback type says, and
        // the user data pointer is never read.
        unsafe { llama_cpp_sys_2::llama_log_set(Some(log), std::ptr::null_mut()) };
        LlamaBackend::init().map_err(|e| e.to_string())
    });
    started.as_ref().map_err(Clone::clone)
}

/// llama.cpp's own line on the CPU features or GPU in use.
pub fn system_line() -> String {
    // SAFETY: llama.cpp returns a pointer to a NUL-terminated string that lives as long as the process;
    // calls that could rewrite it are made only while a model is loaded, one at a time.
    let line = unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_print_system_info()) };
    line.to_string_lossy().trim().into()
}

/// The last error lines of llama.cpp, which says there why it refuses a file.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Forgets what was logged before something is tried.
pub fn forget() {
    LOGGED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
}

/// What llama.cpp logged last, or `otherwise`.
pub fn reason(otherwise: &str) -> String {
    let mut lines = LOGGED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if lines.is_empty() { otherwise.into() } else { std::mem::take(&mut *lines).join("; ") }
}

/// Sends warnings and errors to stderr, which the broker keeps, and remembers errors.
extern "C" fn log(level: llama_cpp_sys_2::ggml_log_level, text: *const c_char, _: *mut c_void) {
    let wanted =
        level == llama_cpp_sys_2::GGML_LOG_LEVEL_WARN || level == llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR;
    if !wanted || text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a NUL-terminated string that lives for this call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim_end();
    eprintln!("llama.cpp: {text}");
    if level == llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR {
        let mut lines = LOGGED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if lines.len() < 3 {
            // Its lines begin with the function's name, which helps nobody here.
            let line = text.split_once(": ").map_or(text, |(_, rest)| rest);
            lines.push(line.chars().take(300).collect());
        }
    }
}
