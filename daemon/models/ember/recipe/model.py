"""The model: a small Llama (RMSNorm, rotary attention, SwiGLU, tied embeddings). Three things are its own: only 8 of the
32 rotary pairs of a head turn, the rest are free to compare contents at any distance (GGUF: rope_freqs); it begins with
heads that look one and two tokens back and heads that compare contents; and during training chosen heads can be told
where to look (see Guide), which is how the matching circuits are formed.
"""
import dataclasses
import math
import re

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Shape:
    vocab: int = 8192
    dim: int = 256
    layers: int = 6
    heads: int = 4
    head: int = 64
    ffn: int = 640
    context: int = 2048
    base: float = 10000.0

    def angles(self):
        """Turn per token of each rotary pair that turns; the others stand still."""
        return torch.tensor([1.0, 0.5, 0.25, 0.12, 0.06, 0.03, 0.012, 0.004])

    def freq_factors(self):
        plain = torch.tensor([self.base ** (-2 * i / self.head) for i in range(self.head // 2)], dtype=torch.float64)
        angles = F.pad(self.angles().double(), (0, self.head // 2 - len(self.angles())))
        return torch.where(angles > 0, plain / angles.clamp_min(1e-9), torch.tensor(1e12, dtype=torch.float64)).float()


def rotate(x, cos, sin):
    """Rotary embedding on neighbouring pairs, as llama.cpp does it for this architecture."""
    n = 2 * cos.shape[-1]
    a, b = x[..., 0:n:2], x[..., 1:n:2]
    return torch.cat((torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2), x[..., n:]), -1)


class Guide:
    """Where some heads should look: for each layer a list of (heads, mask[B, T, T] or index[B, T], row weight[B, T])."""

    def __init__(self, rows=64):
        self.wanted, self.losses, self.rows = {}, {}, rows      # rows: at most so many queries at a time

    def add(self, name, layer, heads, weight, mask=None, index=None):
        self.wanted.setdefault(layer, []).append((name, heads, weight, mask, index))

    def score(self, layer, q, k):
        for name, heads, weight, mask, index in self.wanted.get(layer, ()):
            t = q.shape[2]
            rows = weight.sum(0).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            if len(rows) > self.rows:
                rows = rows[torch.randperm(len(rows), device=rows.device)[:self.rows]].sort()[0]
            total = 0.0
            for h in heads:
                s = (q[:, h, rows] @ k[:, h].transpose(-1, -2)).float() / math.sqrt(q.shape[-1])
                s = s.masked_fill(rows[None, :, None] < torch.arange(t, device=s.device)[None, None, :], -1e9)
                lse = s.logsumexp(-1)
                if index is not None:
                    hit = s.gather(-1, index[:, rows].clamp_min(0)[..., None])[..., 0]
                else:
                    hit = s.masked_fill(~mask[:, rows], -1e9).logsumexp(-1).clamp_min(-1e4)
                total = total + ((lse - hit) * weight[:, rows]).sum() / weight[:, rows].sum().clamp_min(1)
            self.losses[name] = total / len(heads)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.attn_norm, self.ffn_norm = nn.RMSNorm(c.dim, 1e-5), nn.RMSNorm(c.dim, 1e-5)
        wide = c.heads * c.head
        self.qkv = nn.Linear(c.dim, 3 * wide, bias=False)
        self.out = nn.Linear(wide, c.dim, bias=False)
        self.gate_up = nn.Linear(c.dim, 2 * c.ffn, bias=False)
        self.down = nn.Linear(c.ffn, c.dim, bias=False)

    def forward(self, x, cos, sin):
        n, t, _ = x.shape
        q, k, v = self.qkv(self.attn_norm(x)).view(n, t, 3, self.c.heads, self.c.head).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v.contiguous(), is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, -1))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up), q, k


class Ember(nn.Module):
    def __init__(self, shape=None):
        super().__init__()
        self.c = c = shape or Shape()
        self.embed = nn.Embedding(c.vocab, c.dim)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.dim, 1e-5)
        # Read-outs that exist in training only: in the question? which passage? which unit of it? in the answer?
        self.probe_match, self.probe_gold = nn.Linear(c.dim, 1), nn.Linear(c.dim, 2)
        self.probe_passage, self.probe_unit = nn.Linear(c.dim, 16), nn.Linear(c.dim, 8)
        turns = torch.arange(c.context)[:, None] * c.angles()[None]
        self.register_buffer("cos", turns.cos(), persistent=False)
        self.register_buffer("sin", turns.sin(), persistent=False)

    def hidden(self, tokens, guide=None):
        """The normed last hidden state, and the states after each layer."""
        t = tokens.shape[1]
        x = self.embed(tokens)
        cos, sin = self.cos[:t].to(x.dtype), self.sin[:t].to(x.dtype)
        states = []
        for i, block in enumerate(self.blocks):
            x, q, k = block(x, cos, sin)
            if guide is not None:
                guide.score(i, q, k)
            states.append(x)
        return self.norm(x), states

    def logits(self, hidden):
        return hidden @ self.embed.weight.T

    def forward(self, tokens):
        return self.logits(self.hidden(tokens)[0])


def stem(word):
    word = word.lower().strip("\u2581.,;:!?()[]\"'`")
    return re.sub(r"(ing|ied|ies|ed|es|ly|s|e|y)$", "", word) if len(word) > 3 else word


def look_back(shape, common, steps):
    """Rows of Q and K that make a head look STEPS tokens back: the turning pairs of every query point to where the key was
    turned then. COMMON is a direction that all embeddings share."""
    angles = shape.angles()
    q, k = torch.zeros(shape.head, shape.dim), torch.zeros(shape.head, shape.dim)
    for i, angle in enumerate(angles):
        # The fast pairs tell neighbours apart, the slow ones only what lies a whole turn away.
        sharp = 0.9 if i < 2 else 0.5
        k[2 * i] = sharp * common
        q[2 * i], q[2 * i + 1] = sharp * common * torch.cos(-angle * steps), sharp * common * torch.sin(-angle * steps)
    return q, k


def look_elsewhere(shape, common, sink):
    """The same for a head that must not look at its own place: there the turning pairs of query and key are opposed."""
    q, k = torch.zeros(shape.head, shape.dim), torch.zeros(shape.head, shape.dim)
    for i in range(6):
        k[2 * i] = 0.4 * common
        q[2 * i] = -0.4 * common
    # Where nothing matches, the tokens that begin a turn are looked at.
    q[-1], k[-1] = common, 0.9 * sink
    return q, k


def initialise(model, pieces, seed=0):
    """Start with the prior that makes copying and matching easy. Embeddings are sums: a part that all forms of a word share,
    one for a space before it, one for a capital, one of its own, and one that all have. In the first layer two heads
    look one and two tokens back and write what they see in places of its own; then heads compare contents (Q and K
    alike, on the pairs that do not turn), and in the last two layers they look for what came after this token
    where it stood before. Values pass contents on."""
    g = torch.Generator().manual_seed(seed)
    c = model.c

    def normal(*size):
        return torch.randn(*size, generator=g)

    with torch.no_grad():
        embed(model, pieces, normal)
        common = normal.common
        std = 1 / math.sqrt(c.dim)
        wide, still = c.heads * c.head, c.head - 18
        # Where the first layer writes what stood one and two tokens back: nothing that all tokens have is there.
        plane = torch.stack((common, normal.sink), 1)
        back = torch.linalg.qr(torch.cat((plane, normal(c.dim, 2 * c.head)), 1))[0][:, 2:]
        seen = without(normal(c.head, c.dim) * std, common)         # how it reads it
        for i, b in enumerate(model.blocks):
            b.qkv.weight.copy_(normal(3 * wide, c.dim) * std * 0.5)
            b.out.weight.copy_(normal(c.dim, wide) * std * 0.03)   # small: the embeddings must stay readable in all layers
            b.gate_up.weight.copy_(normal(2 * c.ffn, c.dim) * std)
            b.down.weight.copy_(normal(c.dim, c.ffn) / math.sqrt(c.ffn) * 0.05)
            query, key, value = b.qkv.weight.split(wide)
            for h in range(c.heads):                                # values that are passed on as they are
                rows = slice(h * c.head, (h + 1) * c.head)
                value[rows] = without(normal(c.head, c.dim) * std, common)
                b.out.weight[:, rows] += (0.02 if i < c.layers - 2 else 0.1) * value[rows].T
            for h in range(2):
                rows, content = slice(h * c.head, (h + 1) * c.head), slice(h * c.head + 16, (h + 1) * c.head - 2)
                if i == 0:
                    query[rows], key[rows] = look_back(c, common, h + 1)
                    value[rows] = seen
                    b.out.weight[:, rows] = 0.1 * back[:, rows]
                    continue
                if i == 3:
                    continue                                        # these choose, and are guided to
                query[rows], key[rows] = look_elsewhere(c, common, normal.sink)
                base = without(normal(still, c.dim) * std * 1.9, common)
                if i >= c.layers - 2:
                    mixed = normal(still, c.head) / math.sqrt(c.head) * 1.2
                    # This token stood one back from there.
                    query[content], key[content] = mixed @ seen, mixed @ back[:, :c.head].T
                else:
                    query[content] = key[content] = base


def without(rows, direction):
    """The rows with a direction taken out that would only drown the rest."""
    return rows - (rows @ direction)[:, None] * direction


def embed(model, pieces, normal):
    """The embeddings; leaves the direction that all share at normal.common, and that of control tokens at normal.sink."""
    dim = model.c.dim
    shared, common, space, capital, sink = {}, normal(dim), normal(dim), normal(dim), normal(dim)
    rows = []
    for piece in pieces:
        key = stem(piece)
        if len(key) < 1 or piece.startswith("<"):
            key = piece
        if key not in shared:
            shared[key] = normal(dim)
        word = piece.strip("\u2581")
        marks = 0.3 * space * (1 if piece.startswith("\u2581") else -1) + 0.3 * capital * (1 if word[:1].isupper() else -1)
        rows.append(0.75 * shared[key] + 0.4 * normal(dim) + marks + 0.8 * common + (sink if piece.startswith(("<|", "<s>")) else 0))
    model.embed.weight.copy_(torch.stack(rows) / math.sqrt(dim))
    normal.common, normal.sink = common / common.norm(), sink / sink.norm()
