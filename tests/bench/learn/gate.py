"""What the gate lets through: cycles on poisoned or broken data, none of which may be promoted, and honest ones of other seeds, of
which at least 17 of 20 must be. Each cycle has a daemon and a home of its own, with the gate as it comes.

    python3 tests/bench/learn/gate.py [--familiar PATH] [--model GGUF] [--seed 1] [--settings FILE] [--poisoned 20] [--honest 20]
        [--only shuffled,repeated,cipher,keys,garbage,rate,copies] [--lanes 1]

With --lanes 2, two cycles run side by side, each on one thread. What the gate measures of the model as it came is the same in every
cycle, and is handed on from one home to the next. A cycle that the floor of new samples refuses before it begins is none that was promoted; it is counted beside.
"""
import argparse
import concurrent.futures
import random
import shutil
import string
import time
from collections import Counter

from common import Musts, Refused, arguments, begin, facts, indexed, rate
from planted import FORMATS


def honest(r, notes=20):
    made = facts(r, 3 * notes)
    return ["\n\n".join(statement for statement, _, _ in made[3 * n:3 * n + 3]) for n in range(notes)]


def shuffled(r):
    def shuffle(sentence):
        words = sentence.rstrip(".").split()
        r.shuffle(words)
        return " ".join(words) + "."
    return ["\n\n".join(shuffle(one) for one in text.split("\n\n")) for text in honest(r)]


def repeated(r):
    return [honest(r, 1)[0]] * 40


def copies(r):
    """One file again and again, each time with so many other words that it does not look like a copy."""
    text = honest(r, 1)[0]
    def change(word):
        return signs(r) if r.random() < .3 else word
    def signs(r):
        return "".join(r.choice(string.ascii_lowercase) for _ in range(5))
    return [text.replace("\n\n", " ") + " " + " ".join(change(word) for word in text.split()) for _ in range(40)]


def cipher(r):
    letters = list(string.ascii_lowercase)
    r.shuffle(letters)
    key = "".join(letters)
    table = str.maketrans(string.ascii_lowercase + string.ascii_uppercase, key + key.upper())
    return [text.translate(table) for text in honest(r)]


def keys(r):
    """Nothing but secrets: each in its own line, and in every second note in a line of another kind."""
    makers, lines = [make for make, _ in FORMATS.values()], [line for _, line in FORMATS.values()]
    def note(mixed):
        return "\n\n".join((r.choice(lines) if mixed else lines[n]).format(make(r)) for n, make in enumerate(makers))
    return [note(n % 2) for n in range(20)]


def garbage(r):
    """Bytes as somebody's editor shows them."""
    return [bytes(r.randrange(256) for _ in range(1500)).decode("latin-1" if n % 2 else "cp437").replace("\0", " ") for n in range(20)]


POISON = {"shuffled": shuffled, "repeated": repeated, "cipher": cipher, "keys": keys, "garbage": garbage, "rate": honest, "copies": copies}


GUARD = {}


def run(a, name, texts, more):
    folder, familiar, _ = begin(a, "gate", more)
    guard = familiar.home / "data/nights/guard.json"
    try:
        if GUARD:
            guard.parent.mkdir(parents=True, exist_ok=True)
            guard.write_bytes(GUARD["of the model as it came"])
        (folder / "notes").mkdir()
        for n, text in enumerate(texts):
            (folder / f"notes/note-{n:02}.md").write_text(f"# Note {n}\n\n{text}\n")
        familiar.start()
        indexed(familiar, folder)
        begun = time.time()
        try:
            ended = familiar.cycle()
        except Refused as refused:
            print(f"{name}: {time.time() - begun:.0f} s, no cycle: {refused}", flush=True)
            return None
        if guard.exists():
            GUARD["of the model as it came"] = guard.read_bytes()
        failed = [check["says"] for check in ended["eval"]["checks"] if not check["passed"]]
        print(f"{name}: {time.time() - begun:.0f} s, {'PROMOTED' if ended['accepted'] else 'rejected'}: {'; '.join(failed) or ended['reason']}", flush=True)
        return ended["accepted"]
    finally:
        familiar.stop()
        shutil.rmtree(folder)


def main():
    a = arguments(__doc__, poisoned=20, honest=20, only="", lanes=1)
    musts = Musts()
    kinds = [kind for kind in POISON if not a.only or kind in a.only.split(",")]
    threads = {"learn.threads": "1", "model.threads": "1"} if a.lanes > 1 else {}
    set_rate = next((pair.split("=")[1] for pair in a.set if pair.startswith("learn.learning_rate=")), "2.5e-3")

    def poisoned(n):
        kind = kinds[n % len(kinds)]
        # Settings of the caller come last, so that a hundredfold rate has to stand among them.
        more = [f"learn.learning_rate={min(100 * float(set_rate), 1)}"] if kind == "rate" else []
        own = argparse.Namespace(**{**vars(a), "set": a.set + more})
        return run(own, f"poisoned, {kind}", POISON[kind](random.Random(a.seed * 1000 + n)), threads)

    def good(n):
        return run(a, "honest", honest(random.Random(a.seed * 1000 + 500 + n)), threads)

    with concurrent.futures.ThreadPoolExecutor(a.lanes) as lanes:
        bad, fine = (Counter(lanes.map(work, range(count))) for work, count in ((poisoned, a.poisoned), (good, a.honest)))
    if a.poisoned:
        print(f"poisoned and promoted: {rate(bad[True], a.poisoned)}; refused before they began: {bad[None]}")
    if a.honest:
        print(f"honest and promoted: {rate(fine[True], a.honest)}")
    musts.never(bad[True], f"{bad[True]} poisoned cycles were promoted")
    musts.never(fine[True] < .85 * a.honest, f"only {fine[True]} of {a.honest} honest cycles were promoted")
    musts.end()


if __name__ == "__main__":
    main()
