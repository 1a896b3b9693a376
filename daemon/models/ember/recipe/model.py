"""The model: a small Llama (RMSNorm, rotary attention, SwiGLU). Three things are its own: only 8 of the 32 rotary pairs of a
head turn, the rest are free to compare contents at any distance (GGUF: rope_freqs); it begins with heads that look back,
match and copy (begin.py); and during training chosen heads can be told where to look (see Guide).
"""
import dataclasses
import math

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
        # Not tied to the embeddings: a token would predict itself, as they are large against what the layers write.
        self.output = nn.Linear(c.dim, c.vocab, bias=False)
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
        return self.output(hidden)

    def forward(self, tokens):
        return self.logits(self.hidden(tokens)[0])
