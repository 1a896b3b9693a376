"""A week: new facts every day, in ten notes, and a cycle after each day. On the last day, the share of the first day's recalled
answers that are still right. The same stream trained naively (no replay, nothing of earlier days, no KL, gates open) beside it.

    python3 tests/bench/learn/days.py [--familiar PATH] [--model GGUF] [--seed 1] [--settings FILE] [--days 7] [--facts 30] [--only ours]
"""
import random
import time

from common import OPEN, Musts, Refused, arguments, facts, indexed, known, notes_of, place, rate, told

# Notes a day.
NOTES = 10
NAIVE = {**OPEN, "learn.replay": "0", "learn.earlier": "0", "learn.kl": "0", "learn.from_zero": "0"}


def week(a, name, more):
    r, used, stream = random.Random(a.seed), set(), []
    with place(a, "days", {"learn.least_samples": 4}) as (folder, familiar, settings):
        settings = {**settings, **more}
        familiar.configure(settings)
        first, promoted = [], 0
        for day in range(1, a.days + 1):
            made = facts(r, a.facts, used)
            notes_of(folder / "notes", made, NOTES, first=NOTES * day)
            stream.append(made)
            indexed(familiar, folder)
            begun = time.time()
            try:
                ended = familiar.cycle()
                promoted += ended["accepted"]
                told(ended, begun, checks=not ended["accepted"])
            except Refused as refused:
                print("  ", refused)
            if day == 1:
                first = answers(familiar, stream[0], settings)
            today = known(familiar, made, settings)
            print(f"{name}, day {day}: of the day's questions {rate(sum(today), 2 * len(made))}", flush=True)
        last = answers(familiar, stream[0], settings)
        still = [after for before, after in zip(first, last) if before]
        print(f"{name}: {promoted} of {a.days} cycles promoted; of day 1 known on day 1 {rate(sum(first), len(first))}, and of these on day {a.days} {rate(sum(still), len(still))}", flush=True)
        allof = [sum(known(familiar, made, settings)) for made in stream]
        print(f"{name}, on day {a.days}, of each day's questions: {[f'{right}/{2 * a.facts}' for right in allof]}", flush=True)
        return sum(still), len(still), promoted


def answers(familiar, made, settings):
    """Right or not, question by question."""
    return [bool(right) for right in known(familiar, [(statement, [question], value) for statement, questions, value in made for question in questions], settings)]


def main():
    a = arguments(__doc__, days=7, facts=30, only="")
    musts = Musts()
    for name, more in (("ours", {}), ("naive", NAIVE)):
        if a.only in ("", name):
            still, of, promoted = week(a, name, more)
            if name == "ours":
                musts.never(not of, "nothing of day 1 was ever known")
                musts.never(of and still < .8 * of, f"only {still} of {of} are left of day 1")
    musts.end()


if __name__ == "__main__":
    main()
