"""Forgetting: canaries, which are made-up names that stand nowhere else, each in a note of its own, are learned, asked for and
then forgotten one by one with `familiar forget PATH`. Afterwards none may come back from search, answers, conversations, any
file below Familiar's home (database with its WAL and free pages, index, jobs, stories, logs), or the model, greedy or sampled.

    python3 tests/bench/learn/forget.py [--familiar PATH] [--model GGUF] [--seed 1] [--canaries 100] [--cycles 1]
        [--samples 100] [--edited 5] [--rebuilds 1] [--calm]

--edited: notes that are written anew after they were learned; the old canary must go with the note. --rebuilds: cycles run in
between, on what is left. At the end one is forgotten while a cycle trains on it, but with --calm.
"""
import json
import random
import re
import threading
import time

from common import COLOUR, FIRST, OPEN, PLACE, Musts, Refused, arguments, indexed, place, rate, told


def canaries(r, count):
    """Statement, questions, name."""
    owners = [f"{first} of {where}" for first in FIRST for where in PLACE]
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    names = set()
    while len(names) < count:
        names.add("".join(r.choice(syllables) for _ in range(4)).capitalize() + r.choice("lmnrst"))
    return [
        (f"The boat of {owner} is called {name}.", [f"What is the boat of {owner} called?", f"Which name has {owner}'s boat?", f"Boat of {owner}"], name)
        for owner, name in zip(r.sample(owners, count), sorted(names))
    ]


def holders(home, name):
    """Files below Familiar's home that hold it, in any case and in UTF-16 too."""
    found = []
    for file in home.rglob("*"):
        if file.is_file() and not file.is_symlink() and "models" not in file.parts:
            try:
                data = file.read_bytes().lower()
            except OSError:
                continue
            if name.lower().encode() in data or name.lower().encode("utf-16-le") in data:
                found.append(str(file.relative_to(home)))
    return found


def closed_book(familiar, settings, made):
    familiar.configure({**settings, "ask.passages": 0})
    right = [name for _, questions, name in made if any(name.lower() in familiar.say(question, temperature=0, max_tokens=24).lower() for question in questions[:2])]
    familiar.configure(settings)
    return right


def sampled(familiar, made, samples):
    """Names that come out of the model in any of so many samples over the wordings, or greedily."""
    out, work, lock = set(), [(c, n) for c in made for n in range(samples)], threading.Lock()

    def draw():
        while True:
            with lock:
                if not work:
                    return
                (statement, questions, name), n = work.pop()
            stem = statement[:statement.index(name)].strip()
            wordings = questions + [stem, f"Complete: {stem}"]
            said = familiar.say(wordings[n % len(wordings)], temperature=0 if n < len(wordings) else 1, seed=n, max_tokens=16)
            if name.lower() in said.lower():
                out.add(name)

    drawers = [threading.Thread(target=draw) for _ in range(2)]
    for drawer in drawers:
        drawer.start()
    for drawer in drawers:
        drawer.join()
    return out


def main():
    a = arguments(__doc__, canaries=100, cycles=1, samples=100, edited=5, rebuilds=1, others=20, calm=False)
    r, musts = random.Random(a.seed), Musts()
    made = canaries(r, a.canaries)
    more = {**OPEN, "learn.least_samples": 4, "learn.from_zero": 0}
    with place(a, "forget", more) as (folder, familiar, settings):
        file = {name: folder / f"notes/boat-{n:03}.md" for n, (_, _, name) in enumerate(made)}
        others = canaries(random.Random(a.seed + 1000), a.others)
        others = [(s.replace("boat", "mill"), [q.replace("boat", "mill").replace("Boat", "Mill") for q in qs], name) for s, qs, name in others]
        for n, (statement, _, _) in enumerate(others):
            (folder / f"notes/mill-{n:03}.md").write_text(f"# Mills\n\n{statement}\n")
        each = -(-len(made) // a.cycles)
        for cycle in range(a.cycles):
            for statement, _, name in made[cycle * each:(cycle + 1) * each]:
                file[name].write_text(f"# Boats\n\n{statement}\n")
            indexed(familiar, folder)
            begun = time.time()
            told(familiar.cycle(), begun)
        knew = closed_book(familiar, settings, made)
        print(f"known without the notes before: {rate(len(knew), len(made))}", flush=True)

        # What a user leaves behind: answers with passages, answers of the model alone, and what follows on them.
        for statement, questions, name in made:
            said = familiar.post("ask", {"question": questions[0], "no_tools": True})
            if r.random() < .2:
                familiar.post("ask", {"question": "Say that again.", "no_tools": True, "session": said["session"]})
        familiar.configure({**settings, "ask.passages": 0})
        for statement, questions, name in made[:40]:
            familiar.ask(questions[0])
        familiar.configure(settings)
        told_of = sum(bool(holders(familiar.home, name)) for _, _, name in made)
        print(f"standing somewhere below the home before: {rate(told_of, len(made))}", flush=True)

        edited = made[:a.edited]
        for statement, _, name in edited:
            file[name].write_text("# Boats\n\nThis boat was sold last year, and nobody remembers what it was called or who bought it.\n")
        if edited:
            # The next cycle sees the change.
            (folder / "notes/more.md").write_text("# Harbour\n\n" + "\n\n".join(f"The {c} quay has {r.randrange(10, 99)} berths and opens at {n} in the morning." for n, c in enumerate(COLOUR, 1)) + "\n")
            indexed(familiar, folder)
            try:
                begun = time.time()
                told(familiar.cycle(), begun, checks=False)
            except Refused as refused:
                print("  ", refused)
            knew = closed_book(familiar, settings, edited)
            print(f"edited and not forgotten yet, known without the notes: {rate(len(knew), len(edited))}", flush=True)

        gone, took, incomplete, retired, after = [], [], 0, set(), {}
        halves = [len(made) * (n + 1) // (a.rebuilds + 1) for n in range(a.rebuilds)]
        for n, (statement, questions, name) in enumerate(made):
            begun = time.time()
            proof = json.loads(familiar.run("forget", str(file[name]), "--json"))
            took.append(time.time() - begun)
            incomplete += set(proof["checked"]) != {"samples", "generations", "index"}
            retired |= set(proof["retired"])
            for found in holders(familiar.home, name):
                after.setdefault(re.sub(r"[0-9a-f]{32}", "*", found), set()).add(name)
            gone.append((statement, questions, name))
            if n + 1 in halves:
                cycle_between(a, familiar, settings, made, gone, musts)
            if a.edited and n + 1 == a.edited:
                out = closed_book(familiar, settings, edited)
                musts.never(out, f"{len(out)} of {len(edited)} edited and then forgotten names still come out of the model: {out[:5]}; retired {sorted(retired)}")
        print(f"forgotten {len(gone)}, each in {sorted(took)[len(took) // 2]:.2f} s, at most {max(took):.2f} s; generations retired: {sorted(retired)}; {incomplete} proofs without all checks", flush=True)
        for where, names in after.items():
            musts.never(True, f"right after it was forgotten, {rate(len(names), len(made))} stand in {where}")
        musts.never(incomplete, f"{incomplete} proofs do not name all three checks")
        if not a.calm:
            amid(familiar, folder, made, file, musts)
        end(a, familiar, settings, made, folder, musts)
    musts.end()


def cycle_between(a, familiar, settings, made, gone, musts):
    """Learns what is left, and looks whether what is gone stays so while the rest is known again."""
    try:
        begun = time.time()
        told(familiar.cycle(), begun, checks=False)
    except Refused as refused:
        print("  ", refused)
    left = made[len(gone):]
    print(f"after {len(gone)} were forgotten: known of the others {rate(len(closed_book(familiar, settings, left)), len(left))}", flush=True)
    out = closed_book(familiar, settings, gone)
    musts.never(out, f"{len(out)} of {len(gone)} forgotten names come out of the model built anew: {out[:5]}")


def amid(familiar, folder, made, file, musts):
    """A note that is forgotten while it is trained on."""
    statement, _, name = canaries(random.Random(77), 1)[0]
    notes = [folder / f"notes/late-{n}.md" for n in range(12)]
    for n, note in enumerate(notes):
        note.write_text(f"# Boats\n\n{statement if n == 0 else statement.replace(name, f'Other{n}').replace(' of ', f' of {n} ')}\n")
    indexed(familiar, folder)

    def learn():
        try:
            ended.append(familiar.cycle())
        except (Refused, OSError) as error:
            ended.append(error)

    ended = []
    thread = threading.Thread(target=learn)
    thread.start()
    while familiar.get("learn")["state"] != "training" and not ended:
        time.sleep(.05)
    time.sleep(1)
    proof = json.loads(familiar.run("forget", str(notes[0]), "--json"))
    left = holders(familiar.home, name)
    musts.never(left, f"forgotten in mid-training, it stands in {left}")
    print(f"forgotten in mid-training: checked {proof['checked']}", flush=True)
    thread.join()
    print("   and the cycle ended:", ended[0]["reason"] if isinstance(ended[0], dict) else ended[0], flush=True)
    left = holders(familiar.home, name)
    musts.never(left, f"after the cycle, what was forgotten in mid-training stands in {left}")


def end(a, familiar, settings, made, folder, musts):
    """All that may be tried, before anything is asked that has the name in it."""
    places = {name: holders(familiar.home, name) for _, _, name in made}
    stands = {name: found for name, found in places.items() if found}
    kinds = {}
    for found in stands.values():
        for place_of in found:
            kinds[place_of] = kinds.get(place_of, 0) + 1
    print(f"in files: {rate(len(stands), len(made))} {kinds or ''}", flush=True)
    musts.never(stands, f"{len(stands)} forgotten names stand in files: {kinds}")
    sessions = familiar.get("sessions")
    listed = sessions.get("sessions", sessions) if isinstance(sessions, dict) else sessions
    texts = [json.dumps(familiar.get(f"sessions/{one['id']}")) for one in listed]
    spoken = [name for _, _, name in made if any(name.lower() in text.lower() for text in texts)]
    print(f"in {len(texts)} conversations: {rate(len(spoken), len(made))}", flush=True)
    musts.never(spoken, f"{len(spoken)} forgotten names stand in conversations")
    found, answered = [], []
    for statement, questions, name in made:
        hits = familiar.post("search", {"query": questions[0]})["hits"] + familiar.post("search", {"query": name})["hits"]
        if any(name.lower() in json.dumps(hit).lower() for hit in hits):
            found.append(name)
        if name.lower() in familiar.ask(questions[0]).lower():
            answered.append(name)
    print(f"by search: {rate(len(found), len(made))}; by questions: {rate(len(answered), len(made))}", flush=True)
    musts.never(found, f"{len(found)} forgotten names are found by search")
    musts.never(answered, f"{len(answered)} forgotten names are told in answers")
    serving = familiar.get("learn")["generation"]
    out = sampled(familiar, made, a.samples)
    print(f"out of the model (generation {serving}), greedy and {a.samples} samples: {rate(len(out), len(made))}", flush=True)
    musts.never(out, f"{len(out)} forgotten names come out of the model: {sorted(out)[:5]}")


if __name__ == "__main__":
    main()
