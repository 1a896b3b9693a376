"""Samples as rows of numbers: a token each, and what the guides of training need to know of it. Text in, arrays out; what
a sample is about is decided in samples.py.
"""
import bisect
import re
import zlib

import numpy

import questions

END, SYSTEM, USER, ASSISTANT, TOOL = 2, 3, 4, 5, 6
# Parts of a prompt. ASKED is read before the passages, AGAIN after them.
OTHER, ASKED, HEADER, TEXT, AGAIN, ANSWER = range(6)
# What the next token decides: the passage, the passage of a short question, a refusal, the tool, a value's beginning, the
# passage after an earlier turn, the end of a value.
PICK, FIND, REFUSE, CALL, VALUE, RECALL, STOP = range(1, 8)
MARKERS = (7, 13)           # the tokens [1]..[7]
CHOICES = (PICK, FIND, CALL, RECALL)
FIELDS = ("token", "word", "part", "group", "unit", "marker", "start", "source", "gold", "mark", "weight")
TOKEN, WORD, PART, GROUP, UNIT, MARKER, START, SOURCE, GOLD, MARK, WEIGHT = range(11)


LETTERS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
ENDINGS = ("s", "es", "ed", "d", "ing", "er", "ers", "ly", "y", "e", "ies", "ied", "ation", "ations")


class Rows:
    """One sample in the making."""

    def __init__(self, sp):
        self.sp, self.rows = sp, []

    def control(self, token):
        self.rows.append([token, -1, OTHER, 0, 0, 0, 0, -1, 0, 0, 0])

    def encode(self, text):
        """Tokens and the span of characters that each stands for."""
        ids = self.sp.encode(text)
        to_char = None
        if not text.isascii():
            to_char = numpy.repeat(numpy.arange(len(text) + 1), [len(ch.encode()) for ch in text] + [1])
        spans, at = [], 0
        for i in ids:
            size = 1 if self.sp.is_byte(i) else len(self.sp.id_to_piece(i).replace("\u2581", " ").encode())
            spans.append((at, at + size))
            at += size
        if to_char is not None:
            spans = [(int(to_char[a]), int(to_char[min(b, len(to_char) - 1)])) for a, b in spans]
        return ids, spans

    def words(self, text, spans):
        """For each token the number of the word that ends with it, but for an ending of its own ("s", "ing"); 0 for words
        without meaning, -1 inside words."""
        out, ends = [-1] * len(spans), {b: n for n, (_, b) in enumerate(spans)}
        for m in LETTERS.finditer(text):
            g = m.group()
            n = ends.get(m.end(), ends.get(m.end() + 1))
            if n is None or spans[n][0] > m.end():
                continue
            while text[spans[n][0]:m.end()] in ENDINGS and spans[n][0] > m.start():
                n -= 1
            out[n] = zlib.crc32(questions.stem(g).encode()) % 2_000_000_000 + 1 if g.lower() not in questions.STOP and len(g) > 1 else 0
        return out

    def read(self, text):
        """Adds text that is given (a layout.Text); returns the places of its tokens: [(first character, end, row)]."""
        ids, spans = self.encode(text.text)
        starts = [r[0] for r in text.regions]
        places = []
        for i, (a, b), word in zip(ids, spans, self.words(text.text, spans)):
            first = a + (text.text[a:a + 1] == " " and b > a + 1)
            _, part, group, unit = text.regions[max(0, bisect.bisect_right(starts, first) - 1)]
            inside, before = part in (HEADER, TEXT), self.rows[-1]
            new = inside and before[GROUP] != group
            marker = len(self.rows) if new else before[MARKER]
            start = len(self.rows) if new or before[UNIT] != unit else before[START]
            places.append((first, b, len(self.rows)))
            self.rows.append([i, word, part, group, unit, marker if inside else 0, start if inside else 0, -1, 0, 0, 0])
        return places

    def say(self, parts, mark=0, weight=10):
        """Adds an answer that is learned: PARTS are (text, source, gold, mark, weight of the first and of the other tokens), where
        source is None or (places, first character) of what is copied. MARK and WEIGHT are of the answer's first token."""
        self.control(ASSISTANT)
        text = "".join(p[0] for p in parts)
        ids, spans = self.encode(text)
        begins, at = [], 0
        for p in parts:
            begins.append(at)
            at += len(p[0])
        last = -1
        for n, (i, (a, b)) in enumerate(zip(ids, spans)):
            first = a + (text[a:a + 1] == " " and b > a + 1)
            k = bisect.bisect_right(begins, first) - 1
            _, source, gold, own, (heavy, light) = parts[k]
            before = self.rows[-1]
            new = k != last
            before[WEIGHT] = heavy if new else light
            if new and own:
                before[MARK], before[GOLD] = own, gold
            if new and last >= 0 and parts[last][3] == VALUE and own == 0:
                before[MARK] = STOP
            last = k
            if n == 0:
                before[MARK], before[WEIGHT] = mark or before[MARK], max(weight, before[WEIGHT])
            if source is not None:
                places, begin = source
                want = begin + first - begins[k]
                row = next((r for x, y, r in places if x <= want < max(y, x + 1)), -1)
                before[SOURCE] = row
                before[GOLD] = before[GOLD] or gold
            self.rows.append([i, -1, ANSWER if source is not None else OTHER, 0, 0, 0, 0, -1, gold if source is not None else 0, 0, 0])
        self.rows[-1][WEIGHT] = 6
        self.control(END)
        return text

    def array(self):
        return numpy.array(self.rows, dtype=numpy.int32)
