//! `bench`: measures this machine and prints the figures. No daemon takes part.

use super::args;
use super::exit::{Failure, Outcome};
use super::output::{self, bytes};
use crate::learn::bench::{self, Product, Products, Wanted};
use crate::plugins::bench as plugins;
use serde_json::json;
use std::io::Write;

pub fn bench(args: args::Bench, out: &mut impl Write) -> Outcome {
    match args {
        args::Bench::Train(args) => train(args, out),
        args::Bench::Products(args) => products(args.json, out),
        // It needs a runtime, and is given one where commands are told apart.
        args::Bench::Model(_) => Ok(()),
        args::Bench::Plugin(args) => plugin(args, out),
    }
}

fn train(args: args::BenchTrain, out: &mut impl Write) -> Outcome {
    let wanted = Wanted {
        file: args.file,
        shape: args.shape,
        quantization: args.quantization,
        tokens: args.tokens as usize,
        rank: args.rank as usize,
        steps: args.steps as usize,
        threads: args.threads as usize,
        borders: args.borders,
        f32: args.f32,
    };
    let figures = bench::training(&wanted).map_err(|error| Failure::failed(error.to_string()))?;
    if args.json {
        return output::json(out, &json!({ "name": "train", "figures": figures, "machine": machine() }));
    }
    let share = 100.0 * figures.gflops / figures.peak_gflops;
    writeln!(out, "model       {}, {}", figures.model, bytes(figures.file_bytes))?;
    writeln!(
        out,
        "trained     rank {}, {} tokens a step, {} threads, {}, keeping {}",
        figures.rank, figures.tokens, figures.threads, figures.precision, figures.keep
    )?;
    writeln!(
        out,
        "speed       {:.1} tokens/s (fastest step {:.1})",
        figures.tokens_per_s, figures.best_tokens_per_s
    )?;
    writeln!(
        out,
        "arithmetic  {:.0} GFLOP/s of {:.0} at most ({share:.0} %)",
        figures.gflops, figures.peak_gflops
    )?;
    writeln!(out, "memory      {} at most, the model's pages included", bytes(figures.peak_rss_bytes))?;
    Ok(())
}

fn products(json: bool, out: &mut impl Write) -> Outcome {
    let figures = bench::products();
    if json {
        return output::json(out, &json!({ "name": "products", "figures": figures, "machine": machine() }));
    }
    let Products { kernels, peak_f32_gflops, peak_bf16_gflops, side, tokens, products } = figures;
    let bf16 = peak_bf16_gflops.map_or("none".into(), |peak| format!("{peak:.0}"));
    writeln!(out, "{kernels}: at most {peak_f32_gflops:.0} GFLOP/s a core in f32, in bfloat16 {bf16}")?;
    writeln!(out, "{side} x {side}, {tokens} tokens, GFLOP/s a core:\n")?;
    writeln!(out, "type     forward  gradient   f32 forward  gradient   ggml's gradient   times that")?;
    products.iter().try_for_each(|product| row(product, out))
}

fn row(product: &Product, out: &mut impl Write) -> Outcome {
    write!(
        out,
        "{:8} {:7.0} {:9.0} {:13.0} {:9.0}",
        product.quantization,
        product.forward_gflops,
        product.gradient_gflops,
        product.forward_f32_gflops,
        product.gradient_f32_gflops
    )?;
    match product.ggml_gradient_gflops {
        Some(ggml) => writeln!(out, " {ggml:17.1} {:11.0}x", product.gradient_gflops / ggml)?,
        None => writeln!(out, "              none")?,
    }
    Ok(())
}

fn plugin(args: args::BenchPlugin, out: &mut impl Write) -> Outcome {
    let wanted =
        plugins::Wanted { calls: args.calls as usize, runaways: args.runaways as usize, peer: args.peer };
    let folder = std::env::temp_dir().join(format!("familiar-bench-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let place = folder.clone();
    // On a thread of the runtime's own, as the daemon's calls are.
    let measured = runtime.block_on(runtime.spawn(async move { plugins::measure(&wanted, &place).await }));
    std::fs::remove_dir_all(&folder)?;
    let figures = measured
        .map_err(|error| Failure::failed(error.to_string()))?
        .map_err(|error| Failure::failed(error.to_string()))?;
    if args.json {
        return output::json(out, &json!({ "name": "plugin", "figures": figures, "machine": machine() }));
    }
    writeln!(
        out,
        "call        {:.0} us (p99 {:.0}), {} bytes of JSON there and back, {} calls",
        figures.call_p50_us, figures.call_p99_us, figures.json_bytes, figures.calls
    )?;
    writeln!(
        out,
        "instance    {:.1} us (p99 {:.1}), {} of memory each",
        figures.instantiate_p50_us,
        figures.instantiate_p99_us,
        bytes(figures.rss_per_instance_bytes)
    )?;
    writeln!(
        out,
        "worker      {:.0} us of each call, {} of memory",
        figures.worker_p50_us,
        bytes(figures.rss_worker_bytes)
    )?;
    writeln!(
        out,
        "runaways    stopped {:.1} ms past their deadline, {:.1} ms at most, of {}",
        figures.runaway_late_p50_ms, figures.runaway_late_max_ms, figures.runaways
    )?;
    if let Some(peer) = figures.peer {
        writeln!(
            out,
            "MCP peer    {:.0} us (p99 {:.0}), {} of memory",
            peer.call_p50_us,
            peer.call_p99_us,
            bytes(peer.rss_bytes)
        )?;
    }
    Ok(())
}

/// What the figures were measured on.
pub(super) fn machine() -> serde_json::Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cpu": model.trim_start_matches([' ', '\t', ':']), "cores": cores, "os": std::env::consts::OS })
}
