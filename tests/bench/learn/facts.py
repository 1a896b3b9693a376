"""What one cycle teaches: invented facts in notes, asked for without the notes before and after. Drives the real binary in a
folder of its own, with nothing but the standard library.

    python3 tests/bench/learn/facts.py [--familiar PATH] [--model GGUF] [--notes 20] [--seed 1] [--set learn.epochs=4 ...] [--keep]
"""
import json
import random
import shutil
import time

from common import arguments, begin, facts, notes_of, rate, recall, told


def main():
    a = arguments(__doc__, notes=20, facts=60, show=6)
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
        print(json.dumps(familiar.get("learn"), indent=1))
    finally:
        familiar.stop()
        if a.keep:
            print(folder)
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
