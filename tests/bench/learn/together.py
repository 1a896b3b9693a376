"""Retrieval with the adapter against retrieval alone: the same questions about the owner's notes, in words that nothing was learned
in, as anybody asks them, before and after a cycle. Paired by question; the p-value is that of the exact sign test.

    python3 tests/bench/learn/together.py [--familiar PATH] [--model GGUF] [--seed 1] [--facts 160] [--notes 80] [--show 6]
"""
import math
import random
import time

from common import Musts, arguments, facts, indexed, notes_of, place, rate, told


def look(familiar, made, name):
    """Question by question: whether the answer holds what was asked, and whether it cites."""
    right, cited = [], []
    for _, questions, value in made:
        for question in questions:
            said = familiar.post("ask", {"question": question, "no_tools": True})
            right.append(value.lower() in said["answer"].lower())
            cited.append(bool(said["citations"]))
    print(f"{name}: right {rate(sum(right), len(right))}, with a citation {rate(sum(cited), len(cited))}", flush=True)
    return right


def by_chance(won, lost):
    """Two-sided: how often a coin parts as unevenly as this."""
    n, most = won + lost, max(won, lost)
    return min(1, 2 * sum(math.comb(n, k) for k in range(most, n + 1)) / 2 ** n)


def main():
    a = arguments(__doc__, facts=160, notes=80)
    musts = Musts()
    made = facts(random.Random(a.seed), a.facts)
    with place(a, "together") as (folder, familiar, settings):
        notes_of(folder / "notes", made, a.notes)
        indexed(familiar, folder)
        before = look(familiar, made, "retrieval alone")
        begun = time.time()
        told(familiar.cycle(), begun)
        after = look(familiar, made, "retrieval and adapter")
        won = sum(now and not then for then, now in zip(before, after))
        lost = sum(then and not now for then, now in zip(before, after))
        p = by_chance(won, lost)
        print(f"{len(before)} questions: {won} answered now that were not, {lost} no longer; p = {p:.2g}", flush=True)
        musts.never(won <= lost or p >= .05, "the adapter does not surely add to retrieval")
    musts.end()


if __name__ == "__main__":
    main()
