"""Sample files as batches: files of a stage are taken in as they appear, samples of about the same length go together, and
some are disguised. Arrays in, tensors out.
"""
import random

import numpy
import torch

import rows as r

# Tokens below this are control tokens, markers and fixed words (tokenizer.py).
FIRST_WORD = 20


class Shards:
    def __init__(self, scratch, stage, tokens, pieces, seed):
        # Pieces that are there with and without a capital and a space: [word, form].
        place = {p: i for i, p in enumerate(pieces)}
        forms = [[place.get(f, -1) for f in (w, w.capitalize(), "\u2581" + w, "\u2581" + w.capitalize())]
                 for w in pieces[FIRST_WORD:] if w.islower() and w.isascii() and w.isalpha()]
        self.words = numpy.array([f for f in forms if len(set(f)) == 4 and min(f) >= 0])
        self.size = len(pieces)
        self.rows, self.known, self.pattern, self.scratch = [], set(), f"samples-{stage}-*.npz", scratch
        self.tokens, self.rng, self.queue = tokens, random.Random(f"{stage} {seed}"), []
        self.look()

    def look(self):
        """Takes in the sample files that are there by now."""
        for f in sorted(set(self.scratch.glob(self.pattern)) - self.known):
            self.known.add(f)
            data = numpy.load(f)
            ends, flat = numpy.cumsum(data["sizes"]), data["rows"]
            for a, b in zip(ends - data["sizes"], ends):
                self.rows.append(flat[a:b])
            print(f.name, len(self.rows), "samples", flush=True)

    def disguise(self, rows):
        """The same sample in other tokens: each piece of a word becomes a random one, everywhere alike. Copying and
        matching must then work for every token, also the rare ones."""
        rows, swap = rows.copy(), numpy.arange(self.size)
        others = numpy.array(self.rng.sample(range(len(self.words)), len(self.words)))
        swap[self.words] = self.words[others]
        text = (rows[:, r.PART] != r.OTHER) & ((rows[:, r.PART] != r.ANSWER) | (rows[:, r.GOLD] > 0))
        rows[text, r.TOKEN] = swap[rows[text, r.TOKEN]]
        return rows

    def batches(self):
        """Groups of samples that fit the tokens of a step, in random order."""
        order = sorted(range(len(self.rows)), key=lambda i: len(self.rows[i]) * self.rng.uniform(.93, 1.07))
        out, now, longest = [], [], 0
        for i in order:
            longest = max(longest, len(self.rows[i]))
            if now and (len(now) + 1) * longest > self.tokens:
                out.append(now)
                now, longest = [], len(self.rows[i])
            now.append(i)
        out.append(now)
        self.rng.shuffle(out)
        return out

    def tensor(self, chosen):
        width = -(-max(len(x) for x in chosen) // 16) * 16
        out = numpy.zeros((len(chosen), width, len(r.FIELDS)), dtype=numpy.int64)
        out[:, :, r.WORD] = -1
        out[:, :, r.SOURCE] = -1
        for n, x in enumerate(chosen):
            out[n, :len(x)] = x
        return torch.from_numpy(out)

    def batch(self, disguised=0.0):
        if not self.queue:
            self.look()
            self.queue = self.batches()
        chosen = [self.rows[i] for i in self.queue.pop()]
        return self.tensor([self.disguise(x) if self.rng.random() < disguised else x for x in chosen])

    def all(self):
        for group in self.batches():
            yield self.tensor([self.rows[i] for i in group])
