"""Calls of plugins beside an MCP server over stdio: builds the guest and the peer, then runs the bench.

    plugin.py --familiar target/release/familiar [--json]
    plugin.py --guest          builds tests/guests/echo anew and puts it where the program takes it from

The peer needs the network once, for its crates.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "target" / "bench-plugin"


def build(project: Path, *options: str) -> None:
    # The workspace's own flags are for this processor, and WebAssembly is another.
    environment = {**os.environ, "RUSTFLAGS": "", "CARGO_TARGET_DIR": str(BUILT)}
    command = ["cargo", "build", "--release", *options]
    if subprocess.run(command, cwd=project, env=environment).returncode != 0:
        sys.exit(f"{project} could not be built")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--familiar", default=ROOT / "target/release/familiar", type=Path)
    arguments.add_argument("--guest", action="store_true")
    arguments.add_argument("--json", action="store_true")
    args = arguments.parse_args()
    if args.guest:
        guest = ROOT / "tests/guests/echo"
        build(guest, "--target", "wasm32-wasip2")
        shutil.copy(BUILT / "wasm32-wasip2/release/echo_guest.wasm", guest / "echo.wasm")
        return
    build(ROOT / "tests/bench/mcp_peer")
    command = [args.familiar, "bench", "plugin", "--peer", BUILT / "release/mcp-peer"]
    sys.exit(subprocess.run(command + (["--json"] if args.json else [])).returncode)


if __name__ == "__main__":
    main()
