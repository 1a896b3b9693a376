//! Prints how fast products with quantized weights are on this machine, and their gradients, beside the
//! machine's peak and ggml: `cargo run -p familiar-trainer --example products [TYPE...]`.

use familiar_gguf::Kind;
use familiar_trainer::measure::{Sample, dequantize_rate, peak};
use familiar_trainer::weight::Precision;

const TYPES: [&str; 9] = ["F32", "F16", "Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q5_0", "Q4_0", "IQ4_NL"];
const SIDE: usize = 2048;

fn main() {
    let peak = peak();
    let bf16 = peak.bf16.map_or("none".into(), |bf16| format!("{bf16:.0}"));
    println!("{}: at most {:.0} GFLOP/s a core in f32, in bfloat16 {bf16}\n", peak.kernels, peak.f32);
    let mut types: Vec<String> = std::env::args().skip(1).collect();
    if types.is_empty() {
        types = TYPES.map(String::from).into();
    }
    println!("GFLOP/s a core, {SIDE} x {SIDE}: forward/gradient, and how many times ggml's gradient that is");
    println!("type     unpack G/s  f32 T=256    f32 T=512    bf16 T=256   bf16 T=512   ggml    f32     bf16");
    for name in types {
        let Some(sample) = Kind::of_name(&name).and_then(|kind| Sample::new(kind, SIDE, SIDE)) else {
            eprintln!("{name} is no type to compute with; name one such as Q4_K");
            std::process::exit(2);
        };
        print!("{name:8} {:9.1}", dequantize_rate(sample.weight().kind()));
        let mut gradients = Vec::new();
        for precision in [Precision::F32, Precision::Bf16] {
            for tokens in [256, 512] {
                let rates = sample.rates(tokens, precision);
                print!("   {:4.0}/{:<4.0} ", rates.forward, rates.gradient);
                gradients.push(rates.gradient);
            }
        }
        match sample.ggml_gradient(8) {
            Some(ggml) => println!("{ggml:6.1} {:5.1}x  {:5.1}x", gradients[1] / ggml, gradients[3] / ggml),
            None => println!("  none"),
        }
    }
    scaling();
}

/// Forward and gradient together, by wall time: a busy machine shows.
fn scaling() {
    println!("\nspeed of two threads over one, Q4_K, {:?}", Precision::best());
    for (inputs, outputs) in [(2048, 2048), (1536, 576), (768, 192)] {
        print!("{inputs:5} x {outputs:<5}");
        let sample =
            Sample::new(Kind::of_name("Q4_K").expect("a type"), inputs, outputs).expect("whole blocks");
        for tokens in [64, 256, 1024] {
            let [one, two] = [1, 2].map(|threads| sample.wall(tokens, Precision::best(), threads));
            print!("  T={tokens}: {:.2}x", one / two);
        }
        println!();
    }
}
