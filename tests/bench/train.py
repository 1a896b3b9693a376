"""Training beside its peer, and by itself, on this machine.

    train.py speed    tokens/s and memory beside PEFT, taking turns, so that a busy machine slows both
    train.py scaling  one thread and two, 64 to 1024 tokens, beside the arithmetic's peak
    train.py memory   peak RSS on a file of SmolLM2-1.7B's shape

Random models are written to --folder and kept there. The peer needs a Python with torch, transformers and
peft (tests/run.sh makes one: FAMILIAR_PYTHON).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def run(command: list) -> dict:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stderr}")
    return json.loads(done.stdout)


class Bench:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def ours(self, quantization: str, shape: str = "smollm2-135m", **options: int | bool) -> dict:
        file = Path(self.args.folder) / f"{shape}-{quantization}.gguf"
        command = [self.args.familiar, "bench", "train", "--json", "--file", file]
        command += ["--shape", shape, "--quantization", quantization]
        for name, value in options.items():
            command += [f"--{name}"] if value is True else [f"--{name}", value]
        return run(command)["figures"]

    def peer(self, tokens: int, threads: int) -> dict:
        return run([self.args.python, Path(__file__).with_name("peft_lora.py"), tokens, threads])

    def speed(self) -> None:
        modes = [(q, keep) for q in ("Q4_K", "Q8_0") for keep in ("inside", "borders")]
        self.ours("Q4_K", steps=1, tokens=64), self.ours("Q8_0", steps=1, tokens=64)
        peers, ours = [], {mode: [] for mode in modes}
        for _ in range(self.args.rounds):
            peers.append(self.peer(512, 2))
            for mode in modes:
                borders = {"borders": True} if mode[1] == "borders" else {}
                ours[mode].append(self.ours(mode[0], tokens=512, threads=2, **borders))
        print(f"SmolLM2-135M's shape, rank 16 on all linears, 512 tokens, 2 threads, {self.args.rounds} rounds\n")
        print("                   tokens/s  (rounds)                  fastest step   peak RSS")
        self.row("PEFT f32", peers, peers)
        for (quantization, keep), figures in ours.items():
            self.row(f"{quantization} {keep}", figures, peers)

    def row(self, name: str, figures: list, peers: list) -> None:
        median = lambda of, key: statistics.median(figure[key] for figure in of)
        rates = " ".join(f"{figure['tokens_per_s']:.0f}" for figure in figures)
        rate, best = median(figures, "tokens_per_s"), max(f["best_tokens_per_s"] for f in figures)
        rss = max(figure["peak_rss_bytes"] for figure in figures)
        ratio = statistics.median(a["tokens_per_s"] / b["tokens_per_s"] for a, b in zip(figures, peers))
        most = max(peer["peak_rss_bytes"] for peer in peers)
        print(
            f"{name:16} {rate:10.1f}  {rates:25} {best:10.1f} {rss / 1e6:10.0f} MB"
            f"   {ratio:.2f}x the speed, {rss / most:.3f}x the memory"
        )

    def scaling(self) -> None:
        print("SmolLM2-135M's shape, Q4_K, rank 16, insides kept\n")
        print("tokens   1 thread   2 threads   times   GFLOP/s (2)   of the peak")
        for tokens in (64, 128, 256, 512, 1024):
            pairs = []
            for _ in range(self.args.rounds):
                pairs.append([self.ours("Q4_K", tokens=tokens, threads=n, steps=7) for n in (1, 2)])
            times = statistics.median(two["tokens_per_s"] / one["tokens_per_s"] for one, two in pairs)
            best = [max(pair[n]["best_tokens_per_s"] for pair in pairs) for n in (0, 1)]
            rate = [statistics.median(pair[n]["tokens_per_s"] for pair in pairs) for n in (0, 1)]
            gflops, peak = max((two["gflops"], two["peak_gflops"]) for _, two in pairs)
            print(
                f"{tokens:6} {rate[0]:10.1f} {rate[1]:11.1f} {times:7.2f} {gflops:13.0f} {100 * gflops / peak:11.0f} %"
                f"   (fastest steps: {best[0]:.1f} and {best[1]:.1f}, {best[1] / best[0]:.2f} times)"
            )

    def memory(self) -> None:
        for borders in (True, False):
            options = {"borders": True} if borders else {}
            figures = self.ours("Q4_K", shape="smollm2-1.7b", steps=1, threads=2, **options)
            file, rss = figures["file_bytes"], figures["peak_rss_bytes"]
            print(
                f"SmolLM2-1.7B's shape, Q4_K_M, 512 tokens, rank 16, keeping {figures['keep']}: file {file / 1e6:.0f} MB, "
                f"peak RSS {rss / 1e6:.0f} MB, {rss / file:.2f} times the file; {figures['tokens_per_s']:.1f} tokens/s"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "scaling", "memory"])
    parser.add_argument("--familiar", default="target/release/familiar")
    parser.add_argument("--python", default=os.environ.get("FAMILIAR_PYTHON", sys.executable))
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where random models are kept")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    getattr(Bench(args), args.what)()


if __name__ == "__main__":
    main()
