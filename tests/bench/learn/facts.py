"""What one cycle teaches: invented facts in notes, asked for without the notes before and after. Drives the real binary in a
folder of its own, with nothing but the standard library.

    python3 tests/bench/learn/facts.py [--familiar PATH] [--model GGUF] [--notes 20] [--seed 1] [--set learn.epochs=4 ...] [--keep]

With --bench it puts the cases of `familiar bench model` to it before and after, too, which takes some minutes.
"""
import json
import random
import shutil
import time

from common import arguments, begin, facts, notes_of, rate, recall, told


def skills(familiar, settings, adapter, name):
    """The lines of `familiar bench model` with an adapter's file, or with none."""
    familiar.configure({**settings, "model.adapter": json.dumps(adapter)})
    report = json.loads(familiar.run("bench", "model", "--json"))["figures"]["report"]
    familiar.configure(settings)
    lines = {line["skill"]: f"{line['right']}/{line['of']} = {100 * line['share']:.1f} %" for line in report["lines"]}
    print(f"{name}, bench model: {lines}, {report['documentation']['bits_per_byte']:.3f} bits a byte", flush=True)


def main():
    a = arguments(__doc__, notes=20, facts=60, show=6, bench=False)
    made = facts(random.Random(a.seed), a.facts)
    folder, familiar, settings = begin(a, "facts")
    notes_of(folder / "notes", made, a.notes)
    try:
        familiar.start()
        familiar.run("index", "add", "--wait", str(folder / "notes"))
        print("before:", rate(*recall(familiar, made, settings, a.show)), flush=True)
        begun = time.time()
        told(familiar.cycle(), begun)
        print("after: ", rate(*recall(familiar, made, settings, a.show)), flush=True)
        file = familiar.get("learn/history")["generations"][0]["file"]
        if a.bench and file:
            skills(familiar, settings, "none", "as it came")
            skills(familiar, settings, file, "as it serves")
    finally:
        familiar.stop()
        if a.keep:
            print(folder)
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
