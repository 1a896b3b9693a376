"""Runs a command on a terminal of its own and holds a conversation with it: what to wait for, what to type.

    on_a_terminal.py '[["Name? ", "me"], ...]' COMMAND...

Prints all that the command wrote. The last answer may be null: nothing is typed, and the end is waited for.
"""

import json
import os
import pty
import signal
import sys

signal.alarm(120)
script, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
said, seen = "", 0


def read():
    """More of what the command writes; nothing at its end."""
    global said
    try:
        more = os.read(terminal, 65536)
    except OSError:  # A terminal whose other side is closed.
        more = b""
    said += more.decode(errors="replace")
    return more


for expected, answer in script:
    while expected not in said[seen:]:
        if not read():
            sys.exit(f"it ended before {expected!r}:\n{said}")
    seen = said.index(expected, seen) + len(expected)
    if answer is not None:
        os.write(terminal, answer.encode() + b"\n")
while read():
    pass
print(said.replace("\r\n", "\n"), end="")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
