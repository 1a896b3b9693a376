//! Prints how fast adapters of a model are trained: `cargo run -p familiar-trainer --example training
//! FILE.gguf|SHAPE:TYPE [TOKENS [THREADS [borders|inside [f32|bf16]]]]`, where SHAPE:TYPE makes a random model.

use familiar_gguf::Gguf;
use familiar_trainer::measure::Training;
use familiar_trainer::model::Model;
use familiar_trainer::run::Keep;
use familiar_trainer::synth::{self, Quantization, Shape};
use familiar_trainer::weight::Precision;
use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |at: usize, default: &str| args.get(at).map_or(default, |arg| arg).to_owned();
    let file = arg(0, "");
    if let Some((shape, kind)) = file.split_once(':') {
        let path = std::env::temp_dir().join(format!("{shape}-{kind}.gguf"));
        let shape = Shape::named(shape).expect("a known shape");
        synth::write(&shape, Quantization::named(kind).expect("a known type"), 1, &path).expect("a file");
        return println!("{}", path.display());
    }
    let gguf = Gguf::open(Path::new(&file)).expect("a model");
    let model = Model::open(&gguf).expect("a model that can be trained");
    let number = |at: usize, default: &str| arg(at, default).parse().expect("a number");
    let training = Training {
        tokens: number(1, "512"),
        rank: 16,
        steps: 5,
        threads: number(2, "2"),
        precision: if arg(4, "bf16") == "f32" { Precision::F32 } else { Precision::best() },
        keep: if arg(3, "inside") == "inside" { Keep::Inside } else { Keep::Borders },
    };
    let mut seconds = training.seconds(&model).expect("steps");
    seconds.sort_by(f64::total_cmp);
    let rate = |seconds: f64| training.tokens as f64 / seconds;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    println!("tokens/s median {:.1} best {:.1}; {peak}", rate(seconds[seconds.len() / 2]), rate(seconds[0]));
}
