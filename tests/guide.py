#!/usr/bin/env python3
"""Follows sdk/GUIDE.md literally: every `sh` block, in order, in one shell in an empty folder, with a yes where it is
asked. Fails at the first command that fails. Prints the transcript; with --write it replaces the page's.

    python3 tests/guide.py target/debug/familiar [--write]
"""

import os
import pathlib
import pty
import re
import sys
import tempfile

GUIDE = pathlib.Path(__file__).parent.parent / "sdk" / "GUIDE.md"
NEXT = "\x01next\x01"


def blocks(page):
    return re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)


def commands(block):
    """A block's commands, a here-document with its own."""
    found, end = [], None
    for line in block.splitlines():
        if end is None:
            found.append(line)
            here = re.search(r"<<'(\w+)'", line)
            end = here and here.group(1)
        else:
            found[-1] += "\n" + line
            end = None if line == end else end
    return found


def follow(familiar, page, folder):
    """Runs all commands in one bash on a terminal, and gives what was typed and printed."""
    script = "set -e\n"
    for command in (command for block in blocks(page) for command in commands(block)):
        script += f"printf '%s' '{NEXT}'\n{command}\n"
    (folder / "script").write_text(script)
    work, bin_folder = folder / "empty", folder / "bin"
    work.mkdir(), bin_folder.mkdir()
    (bin_folder / "familiar").symlink_to(familiar)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(work)
        gone = ("CARGO_TARGET_DIR", "RUSTFLAGS")
        kept = {key: value for key, value in os.environ.items() if key not in gone}
        path = f"{bin_folder}:{os.environ['PATH']}"
        home = {"FAMILIAR_HOME": str(folder / "home"), "PATH": path, "NO_COLOR": "1", "TERM": "dumb", "CARGO_TERM_PROGRESS_WHEN": "never"}
        os.execvpe("bash", ["bash", str(folder / "script")], kept | home)
    printed, answered = "", 0
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        printed += part.decode(errors="replace")
        questions = len(re.findall(r"\[y/N\]", printed))
        if questions > answered:
            answered = questions
            os.write(terminal, b"y\n")
    _, status = os.waitpid(child, 0)
    return printed.replace("\r\n", "\n"), os.waitstatus_to_exitcode(status)


def transcript(page, printed, folder):
    typed = [command for block in blocks(page) for command in commands(block)]
    lines = []
    for command, answer in zip(typed, printed.split(NEXT)[1:]):
        shown = command.split("\n")
        lines.append("$ " + shown[0] + (" ..." if len(shown) > 1 else ""))
        kept = [line.rstrip() for line in answer.split("\n")]
        # What cargo says of each crate differs from day to day.
        cargo = r"\s+(Compiling|Downloading|Downloaded|Locking|Updating|Adding|Blocking|Finished|Running)\b"
        lines += [line for line in kept if line and not re.match(cargo, line) and not line.startswith("info:")]
    return "\n".join(lines).replace(str(folder / "empty"), "~").replace(str(folder), "~")


def main():
    familiar = pathlib.Path(sys.argv[1]).resolve()
    page = GUIDE.read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        printed, code = follow(familiar, page, folder)
        told = transcript(page, printed, folder)
        os.system(f"FAMILIAR_HOME='{folder}/home' '{familiar}' stop >/dev/null 2>&1")
    print(told)
    if code != 0:
        sys.exit(f"the guide's command failed with {code}; all that was printed:\n{printed[-4000:]}")
    if "--write" in sys.argv:
        before = page.split("follows this page in an empty folder, and prints what comes.")[0]
        GUIDE.write_text(f"{before}follows this page in an empty folder, and prints what comes.\n\n```text\n{told}\n```\n")


if __name__ == "__main__":
    main()
