#!/usr/bin/env python3
"""Measures what a desktop's search waits for: every key typed into GNOME's and KDE's search, and a call of Search, on a
session bus of its own, over an index of many passages. Prints one JSON object; times are milliseconds, from the call to
its answer. Needs dbus-daemon, and dbus-fast for Python (tests/python/requirements.txt).

    python tests/bench/desktop.py [--binary target/release/familiar] [--passages 50000] [--words 300]
"""

import argparse
import asyncio
import collections
import gzip
import itertools
import json
import os
import pathlib
import random
import re
import subprocess
import time

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from live import Daemon, quantiles

NAME = "org.familiar.Agent"
GNOME = ("/org/familiar/Agent/SearchProvider", "org.gnome.Shell.SearchProvider2")
KDE = ("/org/familiar/Agent/KRunner", "org.kde.krunner1")
AGENT = ("/org/familiar/Agent", "org.familiar.Agent1")

SECTIONS = 10
SECTION_WORDS = 60


def vocabulary(folder, most_bytes):
    """Words of the machine's own documents, with how often each occurs."""
    counted, read = collections.Counter(), 0
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if read > most_bytes:
            break
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            read += len(data)
            counted.update(re.findall(r"[a-z]{3,16}", data.decode(errors="ignore").lower()))
    return counted


def write(docs, counted, passages, dice):
    """Documents of ten sections, of words that are as frequent as in the vocabulary."""
    words, weights = list(counted), list(itertools.accumulate(counted.values()))
    draw = lambda n: dice.choices(words, cum_weights=weights, k=n)
    for n in range(passages // SECTIONS):
        (docs / f"d{n % 100}").mkdir(exist_ok=True)
        with open(docs / f"d{n % 100}/{'-'.join(draw(2))}-{n}.md", "w") as file:
            for section in range(SECTIONS):
                body = draw(SECTION_WORDS)
                sentences = [" ".join(body[at : at + 12]).capitalize() + "." for at in range(0, len(body), 12)]
                file.write(f"# {' '.join(draw(3)).capitalize()} {section}\n\n{' '.join(sentences)}\n\n")


def indexed(home):
    """Passages in the full-text index."""
    meta = json.loads(next(home.rglob("meta.json")).read_text())
    return sum(segment["max_doc"] - ((segment["deletes"] or {}).get("num_deleted_docs", 0)) for segment in meta["segments"])


class Client:
    def __init__(self, bus):
        self.bus = bus

    async def call(self, place, member, signature, *body):
        """The answer's values, and how long it took."""
        path, interface = place
        message = Message(NAME, path, interface, member, signature=signature, body=list(body))
        start = time.perf_counter()
        reply = await self.bus.call(message)
        took = (time.perf_counter() - start) * 1000
        if reply.message_type is MessageType.ERROR:
            raise SystemExit(f"{member}: {reply.error_name}: {reply.body}")
        return reply.body, took

    async def gnome(self, typed):
        """What GNOME Shell asks at a key: the results, and what to show of them."""
        (ids,), first = await self.call(GNOME, "GetInitialResultSet", "as", typed.split())
        _, then = await self.call(GNOME, "GetResultMetas", "as", ids)
        return len(ids), first + then

    async def kde(self, typed):
        (rows,), took = await self.call(KDE, "Match", "s", typed)
        return len(rows), took

    async def search(self, typed):
        (found,), took = await self.call(AGENT, "Search", "sa{sv}", typed, {})
        return len(json.loads(found)["hits"]), took


async def typing(words, look_up):
    """Each key after the second, one after another."""
    times, found = [], 0
    for word in words:
        for length in range(3, len(word) + 1):
            rows, took = await look_up(word[:length])
            times.append(took)
            found += rows > 1
    return {**figures(times), "found_in": found}


async def in_a_hurry(words, client):
    """All keys of a word at once, as fast fingers type: how long until the last is answered."""
    times = []
    for word in words:
        start = time.perf_counter()
        await asyncio.gather(*(client.kde(word[:length]) for length in range(3, len(word) + 1)))
        times.append((time.perf_counter() - start) * 1000)
    return figures(times)


def figures(times):
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {**quantiles(times, 2), "p99": round(p99, 2)}


async def measure(address, words):
    client = Client(await MessageBus(bus_address=address).connect())
    pairs = [f"{a} {b}" for a, b in zip(words[::2], words[1::2])]
    await typing(words[:20], client.kde)
    return {
        "gnome_a_key_ms": await typing(words, client.gnome),
        "kde_a_key_ms": await typing(words, client.kde),
        "kde_two_words_a_key_ms": await typing(pairs, client.kde),
        "kde_all_keys_of_a_word_at_once_ms": await in_a_hurry(words, client),
        "search_whole_words_ms": figures([(await client.search(pair))[1] for pair in pairs]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/familiar")
    parser.add_argument("--passages", type=int, default=50_000)
    parser.add_argument("--words", type=int, default=300, help="typed")
    args = parser.parse_args()
    command = ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"]
    bus = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = address = bus.stdout.readline().strip()
    dice = random.Random(1)
    daemon = Daemon(os.path.abspath(args.binary))
    try:
        counted = vocabulary("/usr/share/doc", 20_000_000)
        write(daemon.docs, counted, args.passages, dice)
        daemon.add()
        words = dice.choices([word for word in counted if len(word) >= 5], k=args.words)
        result = asyncio.run(measure(address, words))
        result["passages"] = indexed(daemon.home)
        result["model_loaded"] = daemon.status()["model"]["loaded"]
        print(json.dumps(result, indent=2))
    finally:
        daemon.end()
        bus.kill()
        bus.wait()


if __name__ == "__main__":
    main()
