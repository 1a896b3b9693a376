"""Passages out of the corpus, cut as the index cuts them, and searched as it searches: what shares rare words with a question.
Reads corpus.jsonl and makes nothing up.
"""
import collections
import json
import math
import re

import questions


class Chunk:
    """A passage: its breadcrumb, its text, the spans of its sentences or lines, and the stems of each."""
    __slots__ = ("crumb", "text", "spans", "doc", "heading", "stems", "unit_stems")

    def __init__(self, crumb, text, spans, doc, heading=""):
        self.crumb, self.text, self.spans, self.doc, self.heading = crumb, text, spans, doc, heading
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
    """The document's passages, LOW to HIGH characters each as far as its paragraphs allow."""
    target, now, head = rng.randint(low, high), "", ""
    stem = doc["path"] if rng.random() < .8 else doc["path"].split("/")[-1]

    def done():
        spans = units_of(now)
        crumb = f"{stem} > {head}" if head and rng.random() < .9 else stem
        return Chunk(crumb[:90], now, spans, doc["path"], head) if spans and len(now) >= 30 else None

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


class Library:
    """The passages of all documents, by document and by the stems of their words."""

    def __init__(self, scratch, rng, low, high, share=.4, held_out=False):
        self.chunks, self.by_doc, self.posts = [], collections.defaultdict(list), collections.defaultdict(list)
        for row in open(scratch / "corpus.jsonl"):
            doc = json.loads(row)
            if doc["held_out"] == held_out and rng.random() < share:
                for c in chunks_of(doc, rng, low, high):
                    self.by_doc[c.doc].append(len(self.chunks))
                    self.chunks.append(c)
        for i, c in enumerate(self.chunks):
            for s in c.stems:
                self.posts[s].append(i)
        self.n = len(self.chunks)

    def idf(self, s):
        return math.log((self.n + 1) / (len(self.posts.get(s, ())) + 1)) / math.log(self.n)

    def worth(self, asked, stems):
        return sum(self.idf(s) for s in asked if s in stems)

    def like(self, rng, asked, doc=None):
        """A passage that shares a word with what is asked, or one of the same document, or any."""
        r = rng.random()
        if r < .6 and asked:
            post = self.posts.get(rng.choice(sorted(asked)), ())
            return self.chunks[rng.choice(post)] if post else None
        if r < .8 and doc in self.by_doc:
            return self.chunks[rng.choice(self.by_doc[doc])]
        return self.chunks[rng.randrange(self.n)]
