"""What everyday words mean, by WordNet (Debian package wordnet-base): how common a word is, vectors that lie near each other
for words of like meaning, and other words for a word. Reads /usr/share/wordnet and nothing else.
"""
import collections
import functools
import math
import pathlib
import re

import torch

FOLDER = pathlib.Path("/usr/share/wordnet")
FILES = (("n", "noun"), ("v", "verb"), ("a", "adj"), ("r", "adv"))
ENDINGS = (("ies", "y"), ("es", ""), ("es", "e"), ("s", ""), ("ied", "y"), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""), ("er", "e"), ("er", ""), ("est", ""), ("ly", ""))
HOUSEHOLD = (6, 13)              # the fields of things that are made, and of food
PLAIN = set("""a an the of or and to in for on with by at from as is are be was were that which who whom whose this these those it its not no used someone
something somebody one any into etc esp especially usually having being has have had make made without other than often person you your he she his her
they their them such act some about can up out over when where what how do does did me my i we our us if so but more most very all will would should may
might much many get got go there""".split())


def stem(word):
    return re.sub(r"(ing|ied|ies|ed|es|ly|s|e|y)$", "", word) if len(word) > 3 else word


def plain(text):
    return [w for w in re.findall(r"[a-z]+", text.lower()) if w not in PLAIN and len(w) > 1]


class Sense:
    """A meaning, its words, and where it points: [(kind, other sense)]. FIELD is WordNet's number of what it is about."""
    __slots__ = ("pos", "field", "words", "points", "gloss", "examples")

    def __init__(self, pos, field, words, points, gloss):
        self.pos, self.field, self.words, self.points = pos, field, words, points
        self.examples = re.findall(r'"([^"]+)"', gloss)
        self.gloss = re.sub(r'[;,]?\s*"[^"]*"', "", gloss).strip(" ;")


@functools.cache
def load():
    """The meanings, read once."""
    return Meanings()


class Meanings:
    def __init__(self):
        self.senses, self.index, self.irregular = {}, collections.defaultdict(list), {}
        # How often a word is met in tagged text, also by part of speech and rank of the sense, and in glosses.
        self.count, self.ranked, self.glossed = collections.Counter(), collections.Counter(), collections.Counter()
        for pos, file in FILES:
            for line in open(FOLDER / f"data.{file}"):
                if not line.startswith("  "):
                    self.read(pos, line)
            for line in open(FOLDER / f"index.{file}"):
                if not line.startswith("  "):
                    p = line.split()
                    self.index[p[0]] += [((pos, offset), rank) for rank, offset in enumerate(p[-int(p[2]):])]
            for line in open(FOLDER / f"{file}.exc"):
                word, base, *_ = line.split()
                self.irregular.setdefault(word, base)
        for line in open(FOLDER / "cntlist.rev"):
            key, rank, n = line.split()
            word, kind = key.split("%")
            self.count[word] += int(n)
            self.ranked[word, "nvara"[int(kind[0]) - 1], int(rank) - 1] += int(n)
        for s in self.senses.values():
            self.glossed.update(self.base(w) for w in set(plain(s.gloss)))

    def read(self, pos, line):
        data, gloss = line.split("|", 1)
        p = data.split()
        n = int(p[3], 16)
        at = 4 + 2 * n
        points = [(p[i], (p[i + 2].replace("s", "a"), p[i + 1])) for i in range(at + 1, at + 1 + 4 * int(p[at]), 4)]
        self.senses[pos, p[0]] = Sense(pos, int(p[1]), [re.sub(r"\(.*\)", "", w) for w in p[4:at:2]], points, gloss.strip())

    def base(self, word):
        """The form that WordNet lists, of small letters."""
        if word in self.irregular:
            return self.irregular[word]
        if word in self.index:
            return word
        for end, other in ENDINGS:
            short = word[:-len(end)] + other
            if word.endswith(end) and len(short) > 1:
                if short in self.index:
                    return short
                if len(short) > 3 and short[-1] == short[-2] and short[:-1] in self.index:
                    return short[:-1]
        return word

    def common(self, word):
        """How common a word is: 0 for those that are never met."""
        return 3 * self.count[word] + self.glossed[word] if word in self.index else 0

    def shares(self, word):
        """The senses of a word that WordNet lists and how much of it each is: the usual one is 1."""
        met = [self.ranked[word, sense[0], rank] for sense, rank in self.index.get(word, ())]
        return [(sense, math.sqrt((n + 1) / (max(met) + 1)) / (1 + rank / 2)) for (sense, rank), n in zip(self.index.get(word, ()), met)]

    def features(self, word):
        """What a word has to do with: its senses, the words that share them, those of their glosses, and what is above them."""
        out = collections.Counter({"w" + stem(word): 1.5})
        for sense, part in self.shares(word):
            s = self.senses[sense]
            out[sense] += part
            for w in s.words:
                out["w" + stem(w.lower())] += .7 * part
            for w in plain(s.gloss):
                out["w" + stem(w)] += .5 * part
            for kind, other in s.points:
                if kind == "!" or other not in self.senses:
                    continue
                near = part * (1 if kind == "+" else .5)
                out[other] += near
                for w in self.senses[other].words:
                    out["w" + stem(w.lower())] += .5 * near
                if kind in "@+":
                    for w in plain(self.senses[other].gloss):
                        out["w" + stem(w)] += .15 * part
        return out

    def vectors(self, words, size, seed=0):
        """A unit vector for each of the WORDS that WordNet has: their features, rare ones counting more, as near as SIZE numbers
        can tell the everyday words apart."""
        known = [w for w in words if self.base(w) in self.index]
        bases = sorted({self.base(w) for w in known}.union(self.everyday()))
        features = [self.features(b) for b in bases]
        spread = collections.Counter(k for f in features for k in f)
        column = {k: i for i, k in enumerate(k for k in spread if spread[k] > 1)}
        rows, columns, values = [], [], []
        for n, f in enumerate(features):
            weighed = {column[k]: x * math.log(len(bases) / spread[k]) for k, x in f.items() if k in column}
            norm = math.sqrt(sum(x * x for x in weighed.values())) or 1
            rows += [n] * len(weighed)
            columns += weighed.keys()
            values += [x / norm for x in weighed.values()]
        table = torch.sparse_coo_tensor(torch.tensor([rows, columns]), torch.tensor(values), (len(bases), len(column)), check_invariants=False)
        torch.manual_seed(seed)
        u, s, _ = torch.svd_lowrank(table, size, niter=4)
        flat = u * s.sqrt()
        flat = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-6)
        place = {b: i for i, b in enumerate(bases)}
        return {w: flat[place[self.base(w)]] for w in known}

    def everyday(self):
        """The everyday words, the commonest first: met often, or names of things and food that are met at all."""
        return sorted((w for w in self.index if w.isalpha() and w.isascii() and len(w) > 2 and (self.common(w) >= 24 or self.household(w))),
                      key=lambda w: (-self.common(w), w))

    def household(self, word):
        return self.common(word) > 7 and any(self.senses[s].field in HOUSEHOLD and part > .5 and self.ranked[word, s[0], 0] for s, part in self.shares(word))

    def others(self, word):
        """Other words for a word in its usual senses, and names of what it is a kind of: [(word, how much it is the same)]."""
        base, out = self.base(word.lower()), {}
        for sense, part in self.shares(base):
            s = self.senses[sense]
            near = [(w, part) for w in s.words]
            if s.pos == "n":
                near += [(w, .5 * part) for kind, o in s.points if kind == "@" for w in self.senses[o].words]
            for w, same in near:
                if part > .4 and w.isalpha() and w.islower() and stem(w) != stem(base) and self.usual(w, s.pos):
                    out[w] = max(out.get(w, 0), same)
        return out

    def usual(self, word, pos):
        """Whether a word is common, yet not one of those that mean anything, and mostly of this part of speech."""
        return 12 < self.common(word) < 1500 and any(sense[0] == pos and part > .6 for sense, part in self.shares(word))

    def thesaurus(self, words, size=56, most=5):
        """For each of the words others that say about the same, those of like vectors among them: {word: [(other, how much)]}."""
        vectors = self.vectors(words, size)
        words = [w for w in words if w in vectors]
        table, out = torch.stack([vectors[w] for w in words]), {}
        kind = [self.shares(self.base(w))[0][0][0] for w in words]
        for n, w in enumerate(words):
            same = self.others(w)
            for x, i in zip(*(t.tolist() for t in (table @ table[n]).topk(12))):
                if x > .75 and kind[i] == kind[n] and stem(words[i]) != stem(w) and self.usual(words[i], kind[n]):
                    same.setdefault(words[i], .6 * x)
            if same:
                out[w] = sorted(same.items(), key=lambda o: -o[1])[:most]
        return out
