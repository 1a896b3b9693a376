#!/usr/bin/env python3
"""Measures a daemon of its own: how soon a saved file is found, how a burst of new files ends, and what a
kill -9 of the engine worker or of the broker costs. Prints one JSON object.

    python3 tests/bench/live.py [--binary target/release/familiar] [--only saves,burst,asks,kills]
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LIMIT_S = 900


class Daemon:
    """A daemon in a folder of its own, with a folder of documents beside it."""

    def __init__(self, binary, settings=""):
        self.dir = Path(tempfile.mkdtemp(prefix="familiar-bench-"))
        self.binary, self.home, self.docs = binary, self.dir / "home", self.dir / "docs"
        self.home.mkdir()
        self.docs.mkdir()
        (self.home / "config.toml").write_text(settings)
        self.env = dict(os.environ, FAMILIAR_HOME=str(self.home), NO_COLOR="1")
        self.process = None
        self.start()

    def start(self):
        with open(self.dir / "daemon.log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "daemon"], env=self.env, stderr=log)
        until("the socket", self.listens)

    def listens(self):
        if self.process.poll() is not None:
            sys.exit(f"the daemon ended:\n{(self.dir / 'daemon.log').read_text()}")
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(str(self.home / "run/familiar.sock")) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir)

    def send(self, method, route, body=None):
        """Sends a request and gives the socket to read the answer from."""
        data = b"" if body is None else json.dumps(body).encode()
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(self.home / "run/familiar.sock"))
        head = f"{method} {route} HTTP/1.1\r\nHost: familiar\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        s.sendall(head.encode() + data)
        return s

    def call(self, method, route, body=None):
        with self.send(method, route, body) as s:
            answer = b"".join(iter(lambda: s.recv(1 << 16), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        if head.split()[1] != b"200":
            sys.exit(f"{route}: {answer.decode()}")
        return json.loads(body)

    def status(self):
        return self.call("GET", "/familiar/v1/status")

    def index(self):
        return self.call("GET", "/familiar/v1/index")

    def search(self, query):
        hits = self.call("POST", "/familiar/v1/search", {"query": query})["hits"]
        return [hit["path"] for hit in hits]

    def add(self):
        self.call("POST", "/familiar/v1/index/add", {"path": str(self.docs), "wait": True})

    def worker(self, kind):
        return next((w for w in self.status()["workers"] if w["kind"] == kind), None)

    def equals_folder(self):
        """Every file on disk is in the catalog as it is on disk, nothing else is, and nothing is pending."""
        index = self.index()
        if index["pending"] or index["failed"]:
            return False
        on_disk = {}
        for folder, _, names in os.walk(self.docs):
            for name in names:
                path = os.path.join(folder, name)
                at = os.stat(path)
                on_disk[path] = (at.st_size, at.st_mtime_ns, at.st_ino)
        if index["documents"] != len(on_disk):
            return False
        with sqlite3.connect(f"file:{self.home}/data/index/catalog.db?mode=ro", uri=True) as db:
            rows = db.execute("SELECT path, size, mtime_ns, inode FROM files").fetchall()
        return {path: (size, mtime, inode) for path, size, mtime, inode in rows} == on_disk


def until(what, done, pause=0.005):
    end = time.monotonic() + LIMIT_S
    while not (value := done()):
        if time.monotonic() > end:
            sys.exit(f"waited in vain for {what}")
        time.sleep(pause)
    return value


def quantiles(values, digits=0):
    ordered = sorted(values)
    at = lambda q: round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], digits)
    return {"n": len(ordered), "p50": at(0.5), "p95": at(0.95), "max": at(1)}


def measure_saves(args):
    """Milliseconds from the end of a save until a search finds the file, new files and edited ones."""
    d = Daemon(args.binary)
    for i in range(2000):
        (d.docs / f"d{i % 40}").mkdir(exist_ok=True)
        (d.docs / f"d{i % 40}/old{i}.txt").write_text(f"An older document, number {i}, about this and that.\n" * 20)
    d.add()
    dice, took, by_command = random.Random(1), [], []
    for i in range(args.saves):
        # Sometimes alone, sometimes while the last commit is still fresh.
        time.sleep(dice.random() * args.pause)
        name = f"d{i % 40}/new{i}.txt" if i % 2 else f"d{i % 40}/old{dice.randrange(50) * 40 + i % 40}.txt"
        path, word = d.docs / name, f"saved{i}x"
        path.write_text(f"A document with the word {word} in it.\n" + "More text follows here.\n" * dice.randrange(200))
        start = time.monotonic()
        until(word, lambda: str(path) in d.search(word), 0.004)
        took.append((time.monotonic() - start) * 1000)
        if i % 10 == 0:
            found = subprocess.run([d.binary, "search", "--json", word], env=d.env, capture_output=True, check=True)
            assert json.loads(found.stdout)["hits"][0]["path"] == str(path)
            by_command.append((time.monotonic() - start) * 1000)
    d.end()
    return {"saved_to_found_ms": quantiles(took), "with_a_run_of_the_command_ms": quantiles(by_command)}


def create(docs, worker, share):
    for i in range(worker * share, (worker + 1) * share):
        with open(f"{docs}/d{i % 100}/f{i}.txt", "w") as file:
            file.write(f"burst file{i} of the many\n")


def measure_burst(args):
    """Seconds from the first of many new files, made as fast as can be, until the index equals the folder."""
    d = Daemon(args.binary)
    for i in range(100):
        (d.docs / f"d{i}").mkdir()
    d.add()
    rss = lambda: round(d.status()["rss_bytes"] / 1e6, 1)
    before, most, start = rss(), 0, time.monotonic()
    makers = [
        multiprocessing.Process(target=create, args=(d.docs, n, args.burst // 4)) for n in range(4)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    made, end, total = time.monotonic() - start, time.monotonic() + LIMIT_S, args.burst // 4 * 4
    while True:
        status = d.status()
        most = max(most, status["rss_bytes"] / 1e6)
        if status["index"]["documents"] == total and not status["index"]["pending"] or time.monotonic() > end:
            break
        time.sleep(0.05)
    took, equal = time.monotonic() - start, d.equals_folder()
    sample = random.Random(2).sample(range(total), 500)
    found = sum(d.search(f"file{i}") == [f"{d.docs}/d{i % 100}/f{i}.txt"] for i in sample)
    rescans = (d.dir / "daemon.log").read_text().count("too much changed")
    with open("/proc/sys/fs/inotify/max_queued_events") as queue:
        figures = {
            "files": total,
            "event_queue": int(queue.read()),
            "made_in_s": round(made, 1),
            "equal_after_s": round(took, 1),
            "equal": equal,
            "found_of_500": found,
            "times_all_was_looked_at": rescans,
            "broker_rss_mb": {"before": before, "most": round(most, 1), "after": rss()},
        }
    d.end()
    return figures


def measure_asks(args):
    """Milliseconds from kill -9 of the engine worker mid-answer to the client's error, and to the next answer's words."""
    d = Daemon(args.binary, "[ask]\ntemperature = 2.0\n")
    (d.docs / "owls.txt").write_text("Owls hunt at night. They hear a mouse under the snow.\n")
    d.add()
    ask = {"question": "How do owls hunt at night?", "no_tools": True}
    errors, nexts, messages, unharmed, answered = [], [], set(), 0, 0
    while len(errors) < args.asks and unharmed < 100:
        with d.send("POST", "/familiar/v1/ask", dict(ask, stream=True)) as s:
            heard = b""
            while b"event: text" not in heard:
                heard += s.recv(1 << 16)
            os.kill(d.worker("engine")["pid"], signal.SIGKILL)
            killed = time.monotonic()
            while b"event: error" not in heard and b"event: done" not in heard:
                heard += s.recv(1 << 16)
            if b"event: done" in heard:
                unharmed += 1
                continue
            errors.append((time.monotonic() - killed) * 1000)
            messages.add(json.loads(heard.rpartition(b"data: ")[2].split(b"\n")[0])["message"])
        with d.send("POST", "/familiar/v1/ask", dict(ask, stream=True)) as s:
            heard = b""
            while b"event: text" not in heard:
                heard += s.recv(1 << 16)
            nexts.append((time.monotonic() - killed) * 1000)
            while b"event: error" not in heard and b"event: done" not in heard:
                heard += s.recv(1 << 16)
            answered += b"event: done" in heard
    d.end()
    return {
        "killed_to_error_ms": quantiles(errors, 1),
        "next_questions_answered": answered,
        "killed_to_first_words_of_the_next_answer_ms": quantiles(nexts),
        "answers_that_ended_before_the_kill": unharmed,
        "messages": sorted(messages),
    }


def stir(docs, seed, count, stopped=None):
    """Saves, edits, renames and deletes."""
    dice = random.Random(seed)
    for _ in range(count):
        if stopped and stopped.is_set():
            return
        folder = docs / f"d{dice.randrange(30)}"
        folder.mkdir(exist_ok=True)
        file = folder / f"f{dice.randrange(100)}.txt"
        file.write_text(f"stirred {dice.random()} " + "words " * dice.randrange(300))
        match dice.randrange(10):
            case 0:
                file.unlink()
            case 1:
                file.rename(docs / f"moved{dice.randrange(1000)}.txt")


def measure_kills(args):
    """kill -9 of the broker at random moments while it indexes; each restart must end equal to the folder."""
    d = Daemon(args.binary)
    dice = random.Random(3)
    stir(d.docs, 3, 2000)
    d.add()
    opened, recovered, amid, equal = [], [], 0, 0
    for i in range(args.kills):
        stopped = threading.Event()
        stirring = threading.Thread(target=stir, args=(d.docs, 4 + i, 100_000, stopped))
        stirring.start()
        time.sleep(dice.random() * 2)
        amid += d.index()["pending"] > 0
        d.kill()
        stopped.set()
        stirring.join()
        start = time.monotonic()
        d.start()
        opened.append((time.monotonic() - start) * 1000)
        until("an index equal to the folder", d.equals_folder, 0.02)
        recovered.append((time.monotonic() - start) * 1000)
        equal += not d.index()["warnings"]
    log = (d.dir / "daemon.log").read_text()
    documents = d.index()["documents"]
    d.end()
    return {
        "kills": args.kills,
        "with_files_pending": amid,
        "opened_and_equal": equal,
        "made_again_from_the_files": log.count("made again"),
        "documents": documents,
        "restart_to_socket_ms": quantiles(opened),
        "restart_to_equal_ms": quantiles(recovered),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/familiar")
    parser.add_argument("--only", default="saves,burst,asks,kills")
    parser.add_argument("--saves", type=int, default=200)
    parser.add_argument("--pause", type=float, default=2.5, help="at most this many seconds between saves")
    parser.add_argument("--burst", type=int, default=50_000)
    parser.add_argument("--asks", type=int, default=10)
    parser.add_argument("--kills", type=int, default=50)
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    measures = {"saves": measure_saves, "burst": measure_burst, "asks": measure_asks, "kills": measure_kills}
    figures = {}
    for name in args.only.split(","):
        figures[name] = measures[name](args)
        print(f"{name}: {json.dumps(figures[name])}", file=sys.stderr, flush=True)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
