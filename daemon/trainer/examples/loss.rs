//! Prints the loss of the examples of a file, without and with an adapter: `cargo run -p familiar-trainer
//! --example loss MODEL.gguf DATA.jsonl [ADAPTER.gguf]`. It reads examples that are made of `segments`.
#![allow(unsafe_code)]

use familiar_gguf::Gguf;
use familiar_trainer::adapter;
use familiar_trainer::model::Model;
use familiar_trainer::pack::Example;
use familiar_trainer::recipe::Recipe;
use familiar_trainer::run::Keep;
use familiar_trainer::session::Session;
use familiar_trainer::weight::Precision;
use llama_cpp_sys_2 as sys;
use serde::Deserialize;
use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

#[derive(Deserialize)]
struct Line {
    segments: Vec<Segment>,
}

#[derive(Deserialize)]
struct Segment {
    text: String,
    #[serde(default)]
    special: bool,
    #[serde(default = "one")]
    learn: f32,
}

fn one() -> f32 {
    1.0
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, data, rest @ ..] = &args[..] else { panic!("a model and data") };
    let lines = std::fs::read_to_string(data).expect("data");
    let lines = lines.lines().map(|line| serde_json::from_str::<Line>(line).expect("segments"));
    let vocabulary = Vocabulary::open(file);
    // Questions that bring their passages along are another task.
    let (reading, asked): (Vec<Line>, Vec<Line>) =
        lines.partition(|line| line.segments.iter().any(|segment| segment.text.contains("Passages:")));
    let gguf = Gguf::open(Path::new(file)).expect("a model");
    let model = Model::open(&gguf).expect("a model that can be trained");
    for (name, lines) in [("asked", asked), ("passages", reading)] {
        let examples: Vec<Example> = lines.iter().map(|line| vocabulary.example(line)).collect();
        if examples.is_empty() {
            continue;
        }
        let adapter = rest.first().map(|file| adapter::load(Path::new(file)).expect("an adapter").0);
        let recipe = Recipe { rank: adapter.as_ref().map_or(1, |adapter| adapter.rank), ..Recipe::default() };
        let mut session =
            Session::new(&model, recipe, examples.clone(), Precision::F32, Keep::Borders).expect("a session");
        let stop = Arc::default();
        let before = session.evaluate(&examples, &stop).expect("a loss");
        print!("{:4} {name}: {before:.4} nats a token", examples.len());
        if let Some(adapter) = adapter {
            session.start_from(adapter).expect("an adapter of this model with all linears");
            print!(", with the adapter {:.4}", session.evaluate(&examples, &stop).expect("a loss"));
        }
        println!();
    }
}

/// The model's vocabulary, read by llama.cpp.
struct Vocabulary(*mut sys::llama_model);

impl Vocabulary {
    fn open(file: &str) -> Vocabulary {
        let path = CString::new(file).expect("a path");
        // SAFETY: plain calls of llama.h in their order; the model is never freed.
        let model = unsafe {
            sys::llama_backend_init();
            let mut params = sys::llama_model_default_params();
            params.vocab_only = true;
            sys::llama_model_load_from_file(path.as_ptr(), params)
        };
        assert!(!model.is_null(), "llama.cpp reads the vocabulary");
        Vocabulary(model)
    }

    fn example(&self, line: &Line) -> Example {
        let mut example = Example { tokens: vec![], weights: vec![], kl: 0.0, avoid: false, teacher: None };
        for segment in &line.segments {
            example.tokens.extend(self.tokens(&segment.text, segment.special));
            example.weights.resize(example.tokens.len(), segment.learn);
        }
        example
    }

    fn tokens(&self, text: &str, special: bool) -> Vec<u32> {
        let mut tokens = vec![0i32; text.len() + 1];
        // SAFETY: both buffers are as long as is said, and the model is there.
        let count = unsafe {
            let vocabulary = sys::llama_model_get_vocab(self.0);
            let (room, length) = (tokens.len() as i32, text.len() as i32);
            sys::llama_tokenize(
                vocabulary,
                text.as_ptr().cast(),
                length,
                tokens.as_mut_ptr(),
                room,
                false,
                special,
            )
        };
        tokens[..usize::try_from(count).expect("tokens")].iter().map(|token| *token as u32).collect()
    }
}
