"""Makes training samples of every skill and writes them as flat arrays (see rows.py).

    python samples.py SCRATCH STAGE COUNT SEED       (stage: short, mixed, full, held)
"""
import json
import pathlib
import random
import re
import sys
import time

import numpy
import sentencepiece

import documents
import layout
import notes
import questions
import rows as r
import talk
import tools
import words

# Share of the samples, by stage. `held` is made of held-out documents, for the losses that are watched.
SHARES = {
    "short": {"ask": 34, "note": 16, "turn": 12, "call": 30, "text": 8},
    "mixed": {"ask": 24, "note": 20, "turn": 14, "call": 28, "text": 8, "talk": 2, "sum": 4},
    "full": {"ask": 24, "note": 20, "turn": 14, "call": 24, "text": 8, "talk": 3, "sum": 7},
}
SHARES["held"] = SHARES["full"]
LENGTHS = {"short": (40, 160), "mixed": (60, 330)}
LONGEST = {"short": 520, "mixed": 1000}
# What Familiar itself offers (daemon/src/tools): it stands beside other tools in daily use.
OWN = [
    {"name": "search_files", "description": "Searches the owner's files and returns passages.", "parameters": {"type": "object", "properties": {
        "query": {"type": "string", "description": "A few words that the wanted text would contain."}, "count": {"type": "integer", "description": "How many passages to return."}}, "required": ["query"]}},
    {"name": "read_file", "description": "Reads up to 4000 bytes of one of the owner's files.", "parameters": {"type": "object", "properties": {
        "path": {"type": "string", "description": "The file's absolute path."}, "start": {"type": "integer", "description": "Where to begin, in bytes."}}, "required": ["path"]}},
]


class Maker:
    def __init__(self, scratch, stage, seed):
        self.rng = random.Random(f"{stage} {seed}")
        self.stage = stage
        self.sp = sentencepiece.SentencePieceProcessor(model_file=str(scratch / "ember.model"))
        held = stage == "held"
        self.library = documents.Library(scratch, self.rng, *LENGTHS.get(stage, (100, 450)), 1 if held else .35, held)
        self.longest = LONGEST.get(stage, 1500)

    # ---- questions with passages

    def casual(self, q):
        """As people type."""
        rng = self.rng
        q = q[0].upper() + q[1:] if rng.random() < .6 else q
        q += "?" if rng.random() < .6 and not q.endswith("?") else ""
        return q.lower() if rng.random() < .12 else q

    def as_chunk(self, note):
        return documents.Chunk(note.breadcrumb, note.text, note.spans, "notes")

    def count(self):
        return self.rng.choice([2, 2, 3, 3, 4, 4] if self.stage == "short" else [1, 2, 3, 3, 4, 4, 4, 4, 5, 6])

    def of_documents(self):
        """A question on one sentence of a document: (question, passages, place of the right one or -1, unit)."""
        rng, lib = self.rng, self.library
        gold = lib.chunks[rng.randrange(lib.n)]
        unit = rng.randrange(len(gold.spans))
        a, b = gold.spans[unit]
        q = questions.ask(gold.text[a:b], lib.idf, rng) if 12 <= b - a <= 320 else None
        if not q:
            return None
        asked = {s for s, _, _ in questions.content(q)}
        whole, best = sum(lib.idf(s) for s in asked), lib.worth(asked, gold.unit_stems[unit])
        if whole < 0.35 or best < 0.55 * whole or any(lib.worth(asked, u) > 0.75 * best for i, u in enumerate(gold.unit_stems) if i != unit):
            return None
        if rng.random() < .4:                              # people ask in words of their own too
            for _ in range(rng.choice([1, 1, 2])):
                extra = questions.content(lib.chunks[rng.randrange(lib.n)].text)
                if extra:
                    q = rng.choice([q.rstrip("?") + rng.choice([" in ", " ", " for "]) + rng.choice(extra)[0], rng.choice(extra)[0] + " " + q])
        wanted = self.count()
        pool = [c for c in (lib.like(rng, asked, gold.doc) for _ in range(wanted * 5)) if c and c.text != gold.text]
        if rng.random() < .17:
            k = len(asked)
            most = 1 if k > 2 else 0 if k < 2 or rng.random() < .5 else 1
            pool = [c for c in pool if len(asked & c.stems) <= most and lib.worth(asked, c.stems) < .45 * whole]
            return self.arranged(q, None, pool, max(wanted, 2), 0)
        pool = [c for c in pool if max(lib.worth(asked, u) for u in c.unit_stems) < .75 * best and lib.worth(asked, c.stems) < .95 * best]
        pool.sort(key=lambda c: -lib.worth(asked, c.stems))
        return self.arranged(q, gold, pool, wanted, unit)

    def of_notes(self):
        """A question on a made-up fact; other passages tell the same of other things, or other things of the same."""
        rng = self.rng
        note = notes.note(rng)
        told = [i for i, f in enumerate(note.facts) if f]
        unit = rng.choice(told)
        fact = note.facts[unit]
        q = self.casual(fact.question(rng))
        name = fact.subject.lower()
        kind = fact.kind
        pool = []
        for _ in range(self.count() + 2):
            x = rng.random()
            if x < .4:                                     # the same of another
                other = notes.note(rng, kind[0], [kind] + rng.sample(notes.BY_SUBJECT[kind[0]], 1), notes.SUBJECT[kind[0]](rng))
            elif x < .75:
                other = notes.note(rng)
            else:
                other = None
            pool.append(self.as_chunk(other) if other else self.library.like(rng, {s for s, _, _ in questions.content(q)}))
        pool = [c for c in pool if c and name not in (c.text + c.crumb).lower()]
        if rng.random() < .2:
            # Another fact of the same thing is near and does not tell.
            others = [k for k in notes.BY_SUBJECT[kind[0]] if k is not kind and k[1] != kind[1]]
            if others and rng.random() < .3:
                near = notes.note(rng, kind[0], [rng.choice(others)], fact.subject)
                pool.insert(0, self.as_chunk(near))
            return self.arranged(q, None, pool, max(self.count(), 2), 0)
        return self.arranged(q, self.as_chunk(note), pool, self.count(), unit)

    def arranged(self, q, gold, pool, wanted, unit):
        rng, seen, others = self.rng, {gold.text[:60]} if gold else set(), []
        for c in pool:
            if c.text[:60] not in seen:
                seen.add(c.text[:60])
                others.append(c)
        if gold is None:
            return (q, others[:wanted], -1, 0) if len(others) >= min(2, wanted) else None
        others = others[:wanted - 1]
        if rng.random() < .3:
            rng.shuffle(others)
        first = {"short": 0, "mixed": .1}.get(self.stage, .2)
        place = 0 if rng.random() < first else rng.randint(0, len(others))
        return q, others[:place] + [gold] + others[place:], place, unit

    def prompt(self, q, passages):
        """The user's message as the agent writes it, and where each passage's text begins in it."""
        t, spots = layout.Text(), []
        t.add("Question: " + q, r.ASKED)
        t.add("\n\nPassages:\n", r.OTHER)
        for n, c in enumerate(passages, 1):
            head = t.add(f"[{n}] {c.crumb}\n", r.HEADER, n)
            base = len(t.text)
            at = 0
            for u, (a, _) in enumerate(c.spans):
                if u:
                    t.add(c.text[at:a], r.TEXT, n, min(u, 7))
                    at = a
            t.add(c.text[at:], r.TEXT, n, min(len(c.spans), 7))
            t.add("\n\n", r.OTHER)
            spots.append((head, base))
        t.add("Question: " + q, r.AGAIN)
        return t, spots

    def answer(self, s, picked, spots, places, mark):
        _, passages, place, unit = picked
        if place < 0:
            s.say([(layout.NONE, None, 0, 0, (10, 3))], r.REFUSE)
            return True
        head, base = spots[place]
        a, b = passages[place].spans[unit]
        code = (place + 1) * 8 + min(unit + 1, 7)
        if not s.encode(passages[place].text[a:b])[0] or b - a > 400:
            return False
        s.say([(f"[{place + 1}]", (places, head), code, mark, (12, 6)),
               (" " + passages[place].text[a:b], (places, base + a - 1), code, 0, (12, 2))], mark, 12)
        return True

    def grounded(self, picked, before=None, system=None):
        """A sample of one question with its passages, after an earlier turn or tools if there are some."""
        if not picked:
            return None
        s = r.Rows(self.sp)
        s.control(1 if self.rng.random() < .1 else r.USER) if not (before or system) else None
        if s.rows and s.rows[0][0] == 1:
            s.control(r.USER)
        if system:
            s.control(r.SYSTEM)
            s.read(system)
            s.control(r.END)
        for asked, answered in before or ():
            s.control(r.USER)
            s.read(self.plain(asked, r.ASKED))
            s.control(r.END)
            s.control(r.ASSISTANT)
            s.read(self.plain(answered, r.ASKED))
            s.control(r.END)
        if before or system:
            s.control(r.USER)
        text, spots = self.prompt(picked[0], picked[1])
        places = s.read(text)
        s.control(r.END)
        if not self.answer(s, picked, spots, places, r.RECALL if before else r.PICK):
            return None
        if self.stage in ("short", "mixed") and not before:
            self.finds(s, picked[1], places, spots)
        return s

    @staticmethod
    def plain(text, part):
        t = layout.Text()
        t.add(text, part)
        return t

    def finds(self, s, passages, places, spots):
        """Short further questions: which passage has these words? Many choices for each token read."""
        rng = self.rng
        for _ in range(rng.choice([2, 4, 6, 8] if self.stage == "short" else [0, 0, 0, 2, 4])):
            n = rng.randrange(len(passages))
            c = passages[n]
            own = [(a, b) for x, a, b in questions.content(c.text) if not any(x in o.stems for o in passages if o is not c)]
            if not own:
                continue
            text = " ".join(questions.vary(c.text[a:b], rng) for a, b in rng.sample(own, min(len(own), rng.choice([1, 2, 3]))))
            s.control(r.USER)
            s.read(self.plain(f"Find: {text}", r.AGAIN))
            s.control(r.END)
            s.say([(f"[{n + 1}]", (places, spots[n][0]), (n + 1) * 8, r.FIND, (8, 8))], r.FIND, 8)

    def ask(self):
        picked = self.of_documents()
        return self.grounded(picked, system=self.some_tools() if self.rng.random() < .12 else None)

    def note(self):
        picked = self.of_notes()
        return self.grounded(picked, system=self.some_tools() if self.rng.random() < .12 else None)

    def some_tools(self):
        offered = ([*OWN] if self.rng.random() < .6 else []) + tools.offer(self.rng, self.rng.choice([0, 1, 2] if self.stage != "full" else [0, 1, 3]))
        return layout.tools_text(offered, (r.OTHER, r.OTHER, r.OTHER))[0] if offered else None

    def turn(self):
        """Passages tell the same of several things; which one is meant stands in the turn before."""
        rng = self.rng
        kind = rng.choice([k for k in notes.BY_SUBJECT if len(notes.BY_SUBJECT[k]) > 1])
        kinds = rng.sample(notes.BY_SUBJECT[kind], min(len(notes.BY_SUBJECT[kind]), rng.choice([2, 2, 3])))
        names = []
        while len(names) < (3 if self.stage == "short" else 4):
            name = notes.SUBJECT[kind](rng)
            if not any(name in o or o in name for o in names):
                names.append(name)
        made = [notes.note(rng, kind, kinds, name) for name in names]
        place = rng.randrange(len(made))
        facts = [(i, f) for i, f in enumerate(made[place].facts) if f]
        if len(facts) < 2:
            return None
        (_, first), (unit, second) = rng.sample(facts, 2)
        q = self.casual(second.question(rng, follow=True))
        if rng.random() < .35:
            q = rng.choice(["And ", "and ", "And then, ", "Also: "]) + q[0].lower() + q[1:]
        chunks = [self.as_chunk(n) for n in made]
        if rng.random() < .3:                              # the crumbs alone must not tell
            for c in chunks:
                c.crumb = c.crumb.split(" > ")[0]
        asked = self.casual(rng.choice(first.questions))
        answered = f"[{rng.randint(1, 4)}] {first.sentence}." if rng.random() < .8 else f"{first.sentence} [{rng.randint(1, 4)}]"
        return self.grounded((q, chunks, place, unit), [(asked, answered)])

    # ---- tools

    def call(self):
        """Tools, and requests one after the other."""
        rng = self.rng
        offered = tools.offer(rng, rng.choice([2, 3, 4] if self.stage == "short" else [2, 4, 5, 6, 6, 7]))
        s = r.Rows(self.sp)
        s.control(r.SYSTEM)
        text, starts = layout.tools_text(offered, (r.OTHER, r.HEADER, r.TEXT))
        listed = s.read(text)
        s.control(r.END)
        for _ in range(rng.choice([3, 4, 5, 6] if self.stage == "short" else [2, 3, 4, 5])):
            n = rng.randrange(len(offered))
            said, values, spans = tools.request(rng, offered[n])
            s.control(r.USER)
            if rng.random() < (.15 if self.stage != "short" else 0):
                # In daily use passages come with every request, and say nothing of it.
                chunks = [self.library.chunks[rng.randrange(self.library.n)] for _ in range(rng.choice([1, 2]))]
                prompt, _ = self.prompt(said, chunks)
                shift = len(prompt.text) - len(said)
                regions = [(at, p if p == r.AGAIN else r.OTHER, 0, 0) for at, p, _, _ in prompt.regions]
                prompt.regions = regions
            else:
                prompt, shift = self.plain(said, r.AGAIN), 0
            places = s.read(prompt)
            s.control(r.END)
            self.called(s, offered[n], n, starts[n], listed, values, spans, places, shift)
            if rng.random() < .15:
                self.result(s, offered[n])
        return s

    def called(self, s, t, n, start, listed, values, spans, places, shift):
        code = (8 + n) * 8
        parts = [("<tool_call>", None, 0, 0, (8, 8)), ('{"name": "', None, 0, 0, (1, 1)), (t["name"], (listed, start), code, r.CALL, (12, 6)), ('", "arguments": {', None, 0, 0, (4, 1))]
        keys = [k for k in t["order"] if k in values]
        for i, key in enumerate(keys):
            v = values[key]
            parts.append((f'"{key}": ' if i == 0 else f', "{key}": ', None, 0, 0, (4, 3)))
            if isinstance(v, str):
                a, _ = spans[key]
                parts += [('"', None, 0, 0, (1, 1)), (json.dumps(v, ensure_ascii=False)[1:-1], (places, shift + a), code, r.VALUE, (8, 6))]
                parts.append(('"', None, 0, 0, (6, 6)))
            elif isinstance(v, bool):
                parts.append((json.dumps(v), None, 0, 0, (8, 4)))
            else:
                parts.append((json.dumps(v), (places, shift + spans[key][0]), code, r.VALUE, (8, 6)))
        parts.append(("}}", None, 0, 0, (6, 3)))
        parts.append(("</tool_call>", None, 0, 0, (1, 1)))
        s.say(parts, 0, 8)

    def result(self, s, t):
        """A tool's result, and the answer that tells it."""
        rng = self.rng
        said = rng.choice([f"The {t['spoken']} is ready.", f"Done: {words.name(rng)}.", f"{rng.randint(1, 400)} {rng.choice(['degrees', 'results', 'files', 'euros'])}", notes.fact(rng).sentence + ".",
                           "The tool failed: " + rng.choice(["not found", "no connection", "the name is unknown"]), f"{t['spoken']} {words.name(rng)}, {words.clock(rng)}"])
        s.control(r.TOOL)
        places = s.read(self.plain(said, r.TEXT))
        s.control(r.END)
        s.say([(said, (places, 0), 0, 0, (6, 2))], 0, 6)

    # ---- the rest

    def talk(self):
        s = r.Rows(self.sp)
        pairs = talk.parsed()
        for said, answer in self.rng.sample(pairs, 3):
            s.control(r.USER)
            said = self.casual(self.rng.choice(said))
            if self.rng.random() < .4:                     # passages come with every message
                s.read(self.prompt(said, [self.library.chunks[self.rng.randrange(self.library.n)] for _ in range(2)])[0])
            else:
                s.read(self.plain(said, r.OTHER))
            s.control(r.END)
            s.say([(answer, None, 0, 0, (10, 5))])
        return s

    def sum(self):
        """Summary, title and keywords of a text: its heading, its one-line description, its rarest words."""
        rng, lib = self.rng, self.library
        c = lib.chunks[rng.randrange(lib.n)]
        x = rng.random()
        if x < .35 and 4 < len(c.heading) < 60:
            form = talk.SUMMARY if c.doc.startswith("packages/") else talk.TITLE
            asked, answer = rng.choice(form), c.heading
        elif x < .7:
            a, b = c.spans[0]
            if not 20 < b - a < 200 or len(c.spans) < 2:
                return None
            asked, answer = rng.choice(talk.SUMMARY), c.text[a:b]
        else:
            seen = {}
            for stem, a, b in questions.content(c.text):
                seen.setdefault(stem, (a, c.text[a:b]))
            best = sorted(sorted(seen, key=lambda k: -lib.idf(k))[:4], key=lambda k: seen[k][0])
            if len(best) < 4:
                return None
            asked, answer = rng.choice(talk.KEYWORDS), ", ".join(seen[k][1] for k in best)
        s = r.Rows(self.sp)
        s.control(r.USER)
        t = layout.Text()
        t.add(asked + "\n\n", r.OTHER)
        base = t.add(c.text, r.TEXT, 1, 1)
        places = s.read(t)
        s.control(r.END)
        parts = []
        for n, word in enumerate(answer.split(", ") if x >= .7 else [answer]):
            if n:
                parts.append((",", None, 0, 0, (2, 2)))
            at = c.text.find(word)
            parts.append(((" " if n else "") + word, (places, base + at - (1 if n else 0)) if at >= 0 else None, 0, 0, (4, 2)))
        s.say(parts, 0, 4)
        return s

    def text(self):
        """Plain text, to learn English from."""
        s = r.Rows(self.sp)
        s.control(1)
        c = self.library.chunks[self.rng.randrange(self.library.n)]
        text = "\n\n".join(self.library.chunks[i].text for i in self.library.by_doc[c.doc][:6])
        s.read(self.plain(text[:1200], r.OTHER))
        for row in s.rows[:-1]:
            row[r.WEIGHT] = 1
        return s if len(s.rows) > 40 else None

    def sample(self):
        names, shares = zip(*SHARES[self.stage].items())
        kind = self.rng.choices(names, shares)[0]
        s = getattr(self, kind)()
        if s is None or len(s.rows) > self.longest:
            return None
        return s


def main(scratch, stage, count, seed):
    scratch, count, began = pathlib.Path(scratch), int(count), time.time()
    maker = Maker(scratch, stage, seed)
    made = []
    while len(made) < count:
        s = maker.sample()
        if s:
            made.append(s.array())
            if len(made) % 1000 == 0:
                print(stage, len(made), f"{time.time() - began:.0f} s", flush=True)
    # Under another name first: training takes in files as they appear.
    new = scratch / f"new-{stage}-{seed}.npz"
    numpy.savez_compressed(new, sizes=numpy.array([len(x) for x in made]), rows=numpy.concatenate(made))
    new.rename(scratch / f"samples-{stage}-{seed}.npz")
    print(stage, len(made), "samples,", sum(len(x) for x in made), f"tokens, {time.time() - began:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
