"""What the model begins with: heads that look back, match and copy, wired by hand. The dimensions are shared out among
what a token is (A), what stood one and two tokens back (B, C), which passage it is in (G), and a few flags; embeddings
are large against what untrained layers write, so that the wiring holds until training has taken it over.
"""
import math
import re

import torch

# Dimensions of each, 256 in all; what a wider model has beyond that is left free. Flags: one that all tokens have, a place to look
# when nothing matches, a space before, a capital, in a passage, begins a passage or ends one.
PARTS = {"common": 1, "sink": 1, "space": 1, "capital": 1, "inside": 1, "mark": 1, "A": 112, "B": 56, "C": 32, "G": 50}
SIZE = {"A": 13.0, "common": 8.0, "sink": 8.0, "shape": 3.0, "inside": 6.0, "mark": 8.5}
SPACE = "\u2581"


def stem(word):
    return re.sub(r"(ing|ied|ies|ed|es|ly|s|e|y)$", "", word) if len(word) > 3 else word


def codes(pieces, size, normal):
    """A vector for each piece: the same whatever its capitals and spaces, and much alike for the forms of a word."""
    shared, own, out = {}, {}, []
    for piece in pieces:
        word = piece.strip(SPACE).lower() or piece
        for key, of in ((stem(word), shared), (word, own)):
            if key not in of:
                of[key] = normal(size)
        out.append(0.85 * shared[stem(word)] + 0.5 * own[word])
    out = torch.stack(out)
    return out / out.norm(dim=1, keepdim=True)


def rotation(normal, rows, columns):
    """Rows that are orthogonal to each other."""
    return torch.linalg.qr(normal(columns, columns))[0][:rows]


def initialise(model, pieces, seed=0):
    g = torch.Generator().manual_seed(seed)
    c = model.c

    def normal(*size):
        return torch.randn(*size, generator=g)

    spare = torch.linalg.qr(normal(c.dim, c.dim))[0].T
    part, at = {}, 0
    for name, size in PARTS.items():
        part[name] = spare[at:at + size]
        at += size
    A, B, C, G = (part[k] for k in "ABCG")
    code = codes(pieces, len(A), normal)
    with torch.no_grad():
        model.embed.weight.copy_(embeddings(pieces, code, part))
        # What the copying heads write is read here; a token's own place (A) is not.
        free = torch.cat((B, C, G))
        say = rotation(normal, len(A) + 2, len(free)) @ free
        say, shape = say[:len(A)], say[len(A):]                   # the last two: a space before it, a capital
        to_group = rotation(normal, len(G), len(A)) @ A           # reads a token as the name of its passage
        model.output.weight.copy_(code @ say + 0.5 * (code @ A) @ to_group.T @ G + 0.5 * shapes(pieces) @ shape)
        seen = rotation(normal, len(B), len(A)) @ A               # reads a token as it is written one place further on
        for i, b in enumerate(model.blocks):
            wire(Heads(b, c, normal), i, c, part, seen, to_group, say, shape, normal)
            b.gate_up.weight.copy_(normal(2 * c.ffn, c.dim) / math.sqrt(c.dim))
            b.down.weight.copy_(normal(c.dim, c.ffn) / math.sqrt(c.ffn) * 0.1)


def shapes(pieces):
    """Whether there is a space before each piece, and a capital."""
    return torch.tensor([[1.0 if p.startswith(SPACE) else -1.0, 1.0 if p.strip(SPACE)[:1].isupper() else -1.0] for p in pieces])


def embeddings(pieces, code, part):
    out = SIZE["A"] * code @ part["A"] + SIZE["common"] * part["common"]
    out = out + SIZE["shape"] * shapes(pieces) @ torch.cat((part["space"], part["capital"]))
    for i, piece in enumerate(pieces):
        marker = bool(re.fullmatch(r"\[\d\]|Tools:", piece))
        control = piece.startswith("<|") or piece == "<s>"
        out[i] += SIZE["sink"] * part["sink"][0] * control + SIZE["inside"] * part["inside"][0] * marker
        out[i] += SIZE["mark"] * part["mark"][0] * (1.05 if control else 1 if marker else .87 if piece == "Question:" else 0)
    return out


class Heads:
    """The heads of a block, each with its own rows: small and random at first."""

    def __init__(self, block, c, normal):
        wide = c.heads * c.head
        block.qkv.weight.copy_(normal(3 * wide, c.dim) / math.sqrt(c.dim) * 0.4)
        block.out.weight.copy_(normal(c.dim, wide) / math.sqrt(c.dim) * 0.2)
        query, key, value = block.qkv.weight.view(3, c.heads, c.head, c.dim).unbind(0)
        self.query, self.key, self.value = query, key, value
        self.out = block.out.weight.view(c.dim, c.heads, c.head).permute(1, 2, 0)

    def compare(self, h, first, left, right, size):
        """Scores SIZE where LEFT of the one that looks is RIGHT of what is looked at."""
        rows = slice(first, first + len(left))
        self.query[h, rows], self.key[h, rows] = left * math.sqrt(size), right * math.sqrt(size)

    def clear(self, h):
        self.query[h], self.key[h] = 0, 0

    def carry(self, h, read, write, gain, first=0):
        """What is seen in READ is written to WRITE."""
        rows = slice(first, first + len(read))
        self.value[h, rows], self.out[h, rows] = read, gain * write


def wire(heads, i, c, part, seen, to_group, say, shape, normal):
    A, B, C, G = (part[k] for k in "ABCG")
    common, turning = part["common"], 2 * len(c.angles())
    last = c.head - 2
    if i == 0:
        for h in range(2):
            look_back(heads, h, c, common, h + 1)
            heads.carry(h, *((seen, B) if h == 0 else (seen[:len(C)], C)), 1.0)
        # The passage: its marker is the nearest token of those that begin or end one.
        heads.clear(2)
        for pair, size in ((7, 7.5), (6, 2.5), (5, .75)):
            heads.query[2, 2 * pair] = heads.key[2, 2 * pair] = math.sqrt(size) * common[0]
        heads.compare(2, turning, common, part["mark"], 12.5)
        heads.carry(2, to_group, G, 1.0)
        heads.carry(2, part["inside"], part["inside"], 1.5, len(G))
    elif i in (1, 2):
        for h in range(2):
            # The same word: in the question for a passage's words, in the passages for the question's.
            heads.clear(h)
            # One looks at the token alone, the other also at the one before it.
            before = 14 * h
            content = rotation(normal, last - turning - before, len(A)) @ A
            heads.compare(h, turning, content, content, 3.9)
            if h:
                content = rotation(normal, before, len(B)) @ B
                heads.compare(h, last - before, content, content, 4.5)
            heads.compare(h, last, common, part["inside"] * (-1 if i == 1 else 1), 2.4)
            heads.query[h, -1], heads.key[h, -1] = common[0], (2.9 if i == 1 else 4.9) * part["sink"][0]
        heads.carry(0 if i == 2 else 3, *((G, G) if i == 2 else (to_group, G)), 0.7)
    elif i == 3:
        for h in (2, 3):
            heads.carry(h, G, G, 1.0)
    if i >= c.layers - 2:
        half = len(A) // 2
        for h in range(2):
            # What followed this token where it stood before, with the same token before it if there is one.
            heads.clear(h)
            one, two = rotation(normal, 30, len(B)), rotation(normal, last - turning - 30, len(C))
            heads.compare(h, turning, one @ seen, one @ B, 5.3)
            heads.compare(h, turning + 30, two @ B[:len(C)], two @ C, 4.8)
            heads.compare(h, c.head - 1, common, part["sink"], 2.1)
            rows = slice(h * half, (h + 1) * half)
            gain = 0.3 if i < c.layers - 1 else 1.5
            heads.carry(h, A[rows], say[rows], gain)
            heads.carry(h, torch.cat((part["space"], part["capital"])), shape, gain, half)


def look_back(heads, h, c, common, steps):
    """The turning pairs of every query point to where the key was turned STEPS tokens before."""
    heads.clear(h)
    for i, angle in enumerate(c.angles()):
        # The fast pairs tell neighbours apart, the slow ones only what lies a whole turn away.
        sharp = 1.15 if i < 2 else 0.65
        heads.key[h, 2 * i] = sharp * common[0]
        heads.query[h, 2 * i] = sharp * common[0] * torch.cos(-angle * steps)
        heads.query[h, 2 * i + 1] = sharp * common[0] * torch.sin(-angle * steps)
