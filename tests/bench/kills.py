#!/usr/bin/env python3
"""What killing a training job costs: the trainer is killed (SIGKILL) at random moments and started again,
and its losses are held against those of a run that nobody disturbed; then it is told to stop (SIGTERM), and
timed. Prints one JSON object.

    python3 tests/bench/kills.py [--binary target/release/familiar] [--model ember] [--kills 100] [--stops 20]
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = "owl hunt night wing mouse barn tree quiet moon field feather nest ember light stone river".split()


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = Path(tempfile.mkdtemp(prefix="familiar-bench-"))
        self.env = dict(os.environ, FAMILIAR_HOME=str(self.dir / "home"), NO_COLOR="1")
        dice = random.Random(7)
        rows = [{"text": " ".join(dice.choices(WORDS, k=dice.randint(10, 60)))} for _ in range(args.examples)]
        (self.dir / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def job(self, name):
        """A job's folder."""
        a, folder = self.args, self.dir / name
        command = [a.binary, "learn", "new", folder, "--model", a.model, "--data", self.dir / "data.jsonl"]
        options = {"rank": a.rank, "epochs": a.epochs, "tokens": a.tokens, "accumulate": 2, "threads": a.threads}
        command += [word for key, value in options.items() for word in (f"--{key}", str(value))]
        subprocess.run([str(word) for word in command], env=self.env, check=True, stdout=subprocess.DEVNULL)
        spec = folder / "spec.toml"
        spec.write_text(re.sub(r"checkpoint_s = \d+", f"checkpoint_s = {a.checkpoint}", spec.read_text()))
        return folder

    def start(self, folder):
        command = [self.args.binary, "learn", "train", str(folder), "--json"]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, folder):
        """Runs a job to its end: seconds and the last line."""
        begun = time.monotonic()
        out, err = self.start(folder).communicate()
        last = json.loads(out.splitlines()[-1]) if out else {}
        if not last.get("finished"):
            sys.exit(f"the job did not end: {err}")
        return time.monotonic() - begun, last


def worker_of(command):
    """The pid of the trainer that a command has started; None when it has not, or has ended."""
    try:
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        return int(children[0]) if children else None
    except OSError:
        return None


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def quantiles(values):
    values = sorted(values)
    at = lambda share: round(values[min(int(share * len(values)), len(values) - 1)], 1)
    return {"n": len(values), "p50": at(0.5), "p95": at(0.95), "max": at(1)} if values else {"n": 0}


def measure_kills(bench, seconds, folder):
    """Kills at moments spread over the whole of the run, `seconds` long without them."""
    dice = random.Random(11)
    killed, ages, refused = 0, [], 0
    checkpoint = folder / "checkpoint"
    while killed < bench.args.kills:
        command = bench.start(folder)
        # So long that there is a new checkpoint in between more often than not, and all of the job is met.
        span = max(2 * seconds / bench.args.kills, 3 * bench.args.checkpoint)
        moment = time.monotonic() + dice.uniform(0, span)
        while time.monotonic() < moment and command.poll() is None:
            time.sleep(0.001)
        worker = worker_of(command)
        if worker:
            os.kill(worker, signal.SIGKILL)
            killed += 1
            if checkpoint.exists():
                ages.append(time.time() - checkpoint.stat().st_mtime)
        out, err = command.communicate()
        if not worker and command.returncode == 0:
            # It was done before its moment came: begin anew.
            for name in ("checkpoint", "adapter.gguf", "log.jsonl"):
                (folder / name).unlink(missing_ok=True)
        refused += "damaged" in err or "another job" in err
    return killed, ages, refused


def measure_stops(bench, folder):
    """From SIGTERM to the end of the process, and whether a checkpoint was written after it."""
    took, saved = [], 0
    while len(took) < bench.args.stops:
        command = bench.start(folder)
        line = command.stdout.readline()
        time.sleep(random.random() / 2)
        worker = worker_of(command)
        if not line or not worker:
            command.communicate()
            (folder / "checkpoint").unlink(missing_ok=True)
            continue
        begun, wall = time.monotonic(), time.time()
        os.kill(worker, signal.SIGTERM)
        # Its cores are free when the process has ended, whether or not somebody has asked how.
        while running(worker):
            time.sleep(0.0005)
        took.append((time.monotonic() - begun) * 1000)
        command.communicate()
        saved += (folder / "checkpoint").exists() and (folder / "checkpoint").stat().st_mtime >= wall
    return took, saved


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"cpu": cpu.group(1) if cpu else "", "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/familiar")
    parser.add_argument("--model", default="ember")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--checkpoint", type=int, default=1, help="seconds between two checkpoints")
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    bench = Bench(args)
    whole, folder = bench.job("whole"), bench.job("killed")
    seconds, undisturbed = bench.run(whole)
    killed, ages, refused = measure_kills(bench, seconds, folder)
    _, last = bench.run(folder)
    one, other = losses(whole), losses(folder)
    apart = max(abs(a - b) / max(abs(a), 1e-6) for a, b in zip(one, other))
    stop = bench.job("stopped")
    took, saved = measure_stops(bench, stop)
    figures = {
        "kills": killed,
        "steps": undisturbed["steps"],
        "undisturbed_s": round(seconds, 1),
        "checkpoint_age_at_kill_s": quantiles(ages),
        "checkpoints_refused": refused,
        "final_loss": [undisturbed["loss"], last["loss"]],
        "largest_relative_difference_of_a_loss": apart,
        "steps_logged": [len(one), len(other)],
        "stop_to_end_ms": quantiles(took),
        "stops_with_a_last_checkpoint": saved,
    }
    print(json.dumps({"name": "kills", "figures": figures, "machine": machine()}, indent=2))
    shutil.rmtree(bench.dir)


if __name__ == "__main__":
    main()
