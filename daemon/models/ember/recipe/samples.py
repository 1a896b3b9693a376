"""Makes training samples out of the corpus and writes them as flat arrays: tokens, and for each token what the guides
and the read-outs of training need (its word, its part of the prompt, its passage, its unit, where it is copied from).

    python samples.py SCRATCH STAGE COUNT SEED       (stage: short, mixed, full, test)
"""
import bisect
import collections
import json
import math
import pathlib
import random
import re
import sys
import zlib

import numpy
import sentencepiece

import questions
import synthetic

NONE = "The passages do not tell."
END, USER, ASSISTANT = 2, 4, 5
OTHER, ASKED, HEADER, TEXT, AGAIN, ANSWER = range(6)
FIELDS = ("token", "word", "part", "passage", "unit", "marker", "start", "source", "gold", "weight")


class Chunk:
    __slots__ = ("crumb", "text", "spans", "doc", "stems", "unit_stems", "fixed")

    def __init__(self, crumb, text, spans, doc, fixed=None):
        self.crumb, self.text, self.spans, self.doc, self.fixed = crumb, text, spans, doc, fixed
        head = {s for s, _, _ in questions.content(crumb)}
        self.unit_stems = [{s for s, _, _ in questions.content(text[a:b])} for a, b in spans]
        self.stems = head.union(*self.unit_stems)


def units_of(text):
    """The sentences of prose, or the lines of a list, as spans."""
    lines = text.split("\n")
    short = sum(len(x) < 55 for x in lines[:-1])
    listed = len(lines) > 1 and (short * 2 > len(lines) or sum(bool(re.match(r"\s*([-*+o\u2022] |\d+[.)] |--?\w|\$ |# )", x)) for x in lines) * 2 > len(lines))
    cuts = [0] + [m.end() for m in re.finditer(r"\n" if listed else r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)[\"')\]]?\s+(?=[A-Z0-9\"'(`<\[*-])|(?<=:)\n|\n\s*\n", text)] + [len(text)]
    out = []
    for a, b in zip(cuts, cuts[1:]):
        piece = text[a:b]
        a, b = a + len(piece) - len(piece.lstrip()), b - (len(piece) - len(piece.rstrip()))
        if b - a >= 3:
            out.append((a, b))
    return out


def chunks_of(doc, rng, low, high):
    target, now, head = rng.randint(low, high), "", ""
    stem = doc["path"] if rng.random() < .8 else doc["path"].split("/")[-1]

    def done():
        spans = [u for u in units_of(now)]
        crumb = f"{stem} > {head}" if head and rng.random() < .9 else stem
        return Chunk(crumb[:90], now, spans, doc["path"]) if spans and len(now) >= 30 else None

    for heading, text in doc["blocks"]:
        text = text.expandtabs(4).replace("\u2581", "_").strip("\n")
        if len(text) > 60 and sum(ch.isalpha() for ch in text) < 0.5 * len(text):
            continue
        if "\n" in text and rng.random() < .6 and not re.search(r"\n\s{2,}|\n[-*+]", text):
            text = " ".join(text.split())
        parts = [text]
        if len(text) > high:
            spans, parts, begin = units_of(text), [], 0
            for (a, b), after in zip(spans, spans[1:] + [(len(text), 0)]):
                if b - begin > target or after[0] - begin > high:
                    parts.append(text[begin:b].strip("\n "))
                    begin = after[0]
            if begin < len(text):
                parts.append(text[begin:].strip("\n "))
        for part in parts:
            if len(part) > high * 1.3:
                continue
            if now and (len(now) + len(part) > target or heading != head):
                chunk = done()
                if chunk:
                    yield chunk
                now, target = "", rng.randint(low, high)
            head = heading
            now += ("\n\n" if now else "") + part
    if now:
        chunk = done()
        if chunk:
            yield chunk


class Maker:
    def __init__(self, scratch, stage, seed):
        self.rng = rng = random.Random(seed)
        self.stage, self.test = stage, stage == "test"
        self.sp = sentencepiece.SentencePieceProcessor(model_file=str(scratch / "ember.model"))
        low, high = {"short": (40, 160), "mixed": (60, 330)}.get(stage, (100, 450))
        self.chunks, self.by_doc = [], collections.defaultdict(list)
        for row in open(scratch / "corpus.jsonl"):
            doc = json.loads(row)
            if doc["held_out"] == self.test and rng.random() < (1 if self.test else .7):
                for c in chunks_of(doc, rng, low, high):
                    self.by_doc[c.doc].append(len(self.chunks))
                    self.chunks.append(c)
        self.posts = collections.defaultdict(list)
        for i, c in enumerate(self.chunks):
            for s in c.stems:
                self.posts[s].append(i)
        self.n = len(self.chunks)

    def idf(self, s):
        return math.log((self.n + 1) / (len(self.posts.get(s, ())) + 1)) / math.log(self.n)

    def notes(self, count):
        out = []
        while len(out) < count:
            n = synthetic.note(self.rng)
            if any(n.questions):
                out.append(Chunk(n.breadcrumb, n.text, n.spans, "notes", n))
        return out

    def worth(self, asked, stems):
        return sum(self.idf(s) for s in asked if s in stems)

    def pick(self):
        """One question with its passages: (question, passages, place of gold or -1, unit)."""
        rng = self.rng
        wanted = rng.choice([2, 2, 3, 3, 4, 4]) if self.stage == "short" else rng.choice([1, 2, 3, 3, 4, 4, 4, 4, 5, 6]) if self.stage != "test" else 4
        if rng.random() < (.3 if self.stage != "test" else .2):
            pool = self.notes(wanted + 4)
            gold = pool.pop()
            unit = rng.choice([i for i, q in enumerate(gold.fixed.questions) if q])
            if rng.random() < .8:
                q = rng.choice(gold.fixed.questions[unit])
                q = q[0].upper() + q[1:] if rng.random() < .6 else q
                q += "?" if rng.random() < .6 else ""
                q = q.lower() if rng.random() < .15 else q
            else:
                q = questions.ask(gold.text[slice(*gold.spans[unit])], self.idf, rng, self.test)
        else:
            gold = self.chunks[rng.randrange(self.n)]
            unit = rng.randrange(len(gold.spans))
            a, b = gold.spans[unit]
            if b - a < 12 or b - a > 320:
                return None
            q = questions.ask(gold.text[a:b], self.idf, rng, self.test)
            pool = []
        if not q:
            return None
        asked = {s for s, _, _ in questions.content(q)}
        if rng.random() < .1:                              # a word of another place
            extra = questions.content(self.chunks[rng.randrange(self.n)].text)
            if extra:
                q = q.rstrip("?") + rng.choice([" in ", " ", " for "]) + rng.choice(extra)[0]
        asked = {s for s, _, _ in questions.content(q)}
        whole = sum(self.idf(s) for s in asked)
        best = self.worth(asked, gold.unit_stems[unit])
        if whole < 0.35 or best < 0.55 * whole:
            return None
        if any(self.worth(asked, u) > 0.75 * best for i, u in enumerate(gold.unit_stems) if i != unit):
            return None
        absent = rng.random() < .17
        if not gold.fixed or rng.random() < .3:
            for _ in range(wanted * 5):
                r = rng.random()
                if r < .6:
                    post = self.posts.get(rng.choice(sorted(asked)), ())
                    other = self.chunks[rng.choice(post)] if post else None
                elif r < .8 and not gold.fixed:
                    other = self.chunks[rng.choice(self.by_doc[gold.doc])]
                else:
                    other = self.chunks[rng.randrange(self.n)]
                if other and other is not gold and other.text != gold.text:
                    pool.append(other)
        if absent:
            k = len(asked)
            pool = [c for c in pool if len(asked & c.stems) <= (1 if k > 2 else 0 if k < 2 or rng.random() < .5 else 1) and self.worth(asked, c.stems) < .45 * whole]
        else:
            pool = [c for c in pool if max(self.worth(asked, u) for u in c.unit_stems) < .75 * best and self.worth(asked, c.stems) < .95 * best]
        unique, others = {gold.text[:60]}, []
        for c in pool:
            if c.text[:60] not in unique:
                unique.add(c.text[:60])
                others.append(c)
        if absent:
            others = others[:wanted]
            return (q, others, -1, 0) if len(others) >= min(2, wanted) else None
        others = others[:wanted - 1]
        others.sort(key=lambda c: -self.worth(asked, c.stems))
        if rng.random() < .2:
            rng.shuffle(others)
        first = {"short": 0, "mixed": .1, "full": .3, "test": .34}[self.stage]
        place = 0 if rng.random() < first else rng.randint(0, len(others))
        return q, others[:place] + [gold] + others[place:], place, unit

    def encode(self, pieces):
        """Tokens of the content and the character span of each."""
        text = pieces
        ids = self.sp.encode(text)
        if text.isascii():
            to_char = None
        else:
            to_char = numpy.repeat(numpy.arange(len(text) + 1), [len(ch.encode()) for ch in text] + [1])
        spans, at = [], 0
        for i in ids:
            size = 1 if self.sp.is_byte(i) else len(self.sp.id_to_piece(i).replace("\u2581", " ").encode())
            spans.append((at, at + size))
            at += size
        if to_char is not None:
            spans = [(int(to_char[a]), int(to_char[min(b, len(to_char) - 1)])) for a, b in spans]
        return ids, spans

    def rows(self, text, regions, asked):
        """One row of FIELDS for each token of TEXT; REGIONS are (start, part, passage, unit)."""
        ids, spans = self.encode(text)
        words = [(m.start(), m.end(), m.group()) for m in questions.WORD.finditer(text)]
        ends = {b: (a, g) for a, b, g in words}
        starts = [r[0] for r in regions]
        rows = []
        for i, (a, b) in zip(ids, spans):
            first = a + (text[a:a + 1] == " " and b > a + 1)
            region = regions[bisect.bisect_right(starts, first) - 1]
            word = -1
            for e in (b, b - 1):
                if e in ends and e > first:
                    g = ends[e][1]
                    meaning = g.lower() not in questions.STOP and len(g) > 1
                    word = zlib.crc32(questions.stem(g).encode()) % 2_000_000_000 + 1 if meaning else 0
                    break
            rows.append([i, word, region[1], region[2], region[3], 0, 0, -1, 0, 0])
        return rows, spans

    def sample(self):
        picked = self.pick()
        if not picked:
            return None
        q, passages, place, unit = picked
        rng = self.rng
        text, regions = f"Question: {q}", [(0, ASKED, 0, 0)]
        text += "\n\n"
        regions.append((len(text) - 2, OTHER, 0, 0))
        text += "Passages:"
        spots = []
        for n, c in enumerate(passages, 1):
            text += "\n" if n == 1 else "\n\n"
            regions.append((len(text), HEADER, n, 0))
            text += f"[{n}] {c.crumb}\n"
            base = len(text)
            for u, (a, b) in enumerate(c.spans):
                regions.append((base + a if u else base, TEXT, n, min(u + 1, 7)))
            spots.append(base)
            text += c.text
        text += "\n\n"
        regions.append((len(text) - 2, OTHER, 0, 0))
        regions.append((len(text), AGAIN, 0, 0))
        text += f"Question: {q}"
        rows, spans = self.rows(text, regions, None)
        lead = [1, USER] if rng.random() < .3 else [USER]
        shift = len(lead)
        rows = [[t, -1, OTHER, 0, 0, 0, 0, -1, 0, 0] for t in lead] + rows
        mark = begin = 0
        for i, r in enumerate(rows):                      # where the passage's marker and the unit's first token stand
            if r[2] == HEADER and rows[i - 1][2] != HEADER:
                mark = begin = i
            elif r[2] == HEADER and rows[i - 1][3] != r[3]:
                mark = begin = i
            if r[2] == TEXT and (r[4] != rows[i - 1][4] or rows[i - 1][2] == HEADER):
                begin = i
            if r[2] in (HEADER, TEXT):
                r[5], r[6] = mark, begin
        code = (place + 1) * 8 + min(unit + 1, 7)
        rows.append([END, -1, OTHER, 0, 0, 0, 0, -1, 0, 0])
        rows.append([ASSISTANT, -1, ANSWER, 0, 0, 0, 0, -1, code, 10])
        if place < 0:
            answer = self.sp.encode(NONE)
            rows[-1][8] = 0
            for j, t in enumerate(answer):
                rows.append([t, -1, ANSWER, 0, 0, 0, 0, -1, 0, 1])
            rows.append([END, -1, OTHER, 0, 0, 0, 0, -1, 0, 0])
        else:
            c = passages[place]
            a, b = (spots[place] + x for x in c.spans[unit])
            take = [i + shift for i, (x, y) in enumerate(spans) if x < b and y > a]
            while take and text[spans[take[-1] - shift][0]:spans[take[-1] - shift][1]].strip() == "":
                take.pop()
            if not take or spans[take[-1] - shift][1] != b or len(take) > 150:
                return None
            x, y = spans[take[0] - shift]
            if x not in (a, a - 1) or (x == a - 1 and text[x] != " "):
                return None
            rows[-1][7] = rows[take[0]][5]
            rows.append([7 + place, -1, ANSWER, 0, 0, 0, 0, take[0], code, 6])
            if x == a:                                    # the word stands at a line's start: a space comes first
                space = self.sp.piece_to_id("\u2581")
                rows.append([space, -1, ANSWER, 0, 0, 0, 0, take[0], code, 6])
            for j, i in enumerate(take):
                last = j == len(take) - 1
                rows.append([rows[i][0], -1, ANSWER, 0, 0, 0, 0, -1 if last else take[j + 1], code, 3 if j < 2 or last else 1])
            rows.append([END, -1, OTHER, 0, 0, 0, 0, -1, 0, 0])
        many = {"short": rng.choice([2, 4, 6, 8]), "mixed": rng.choice([0, 0, 0, 2, 4])}.get(self.stage, 0)
        for _ in range(many):                             # short further questions: which passage has these words?
            n = rng.randrange(len(passages))
            c = passages[n]
            own = [(s, a, b) for s, a, b in questions.content(c.text) if not any(s in o.stems for o in passages if o is not c)]
            if not own:
                continue
            words = " ".join(questions.vary(c.text[a:b], rng) for _, a, b in rng.sample(own, min(len(own), rng.choice([1, 2, 3]))))
            find = f"Find: {words}"
            more, _ = self.rows(find, [(0, AGAIN, 0, 0)], None)
            rows.append([USER, -1, OTHER, 0, 0, 0, 0, -1, 0, 0])
            rows += more
            rows.append([END, -1, OTHER, 0, 0, 0, 0, -1, 0, 0])
            at = next(r[5] for r in rows if r[3] == n + 1)
            rows.append([ASSISTANT, -1, ANSWER, 0, 0, 0, 0, at, (n + 1) * 8, 5])
            rows.append([7 + n, -1, OTHER, 0, 0, 0, 0, -1, 0, 1])
            rows.append([END, -1, OTHER, 0, 0, 0, 0, -1, 0, 0])
        if len(rows) > 1900 or (self.stage == "short" and len(rows) > 500):
            return None
        info = {"question": q, "passages": [[c.crumb, c.text] for c in passages], "place": place,
                "answer": f"[{place + 1}] {passages[place].text[slice(*passages[place].spans[unit])]}" if place >= 0 else NONE,
                "notes": bool(place >= 0 and passages[place].fixed)}
        return rows, info


def main(scratch, stage, count, seed):
    scratch = pathlib.Path(scratch)
    maker = Maker(scratch, stage, int(seed))
    print(f"{maker.n} chunks", flush=True)
    rows, sizes, infos, tries = [], [], [], 0
    while len(sizes) < int(count):
        tries += 1
        made = maker.sample()
        if made:
            rows.append(numpy.array(made[0], dtype=numpy.int32))
            sizes.append(len(made[0]))
            infos.append(made[1])
    flat = numpy.concatenate(rows)
    numpy.savez(scratch / f"samples-{stage}-{seed}.npz", rows=flat, sizes=numpy.array(sizes))
    if stage == "test":
        (scratch / "test.jsonl").write_text("".join(json.dumps(i) + "\n" for i in infos))
    print(f"{stage}: {len(sizes)} samples of {tries} tries, {len(flat)} tokens, mean {len(flat) / len(sizes):.0f}")
    for i in infos[:6]:
        print(json.dumps(i)[:900])


if __name__ == "__main__":
    main(*sys.argv[1:])
