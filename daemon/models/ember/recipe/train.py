"""Trains the model on the samples, by the clock: the learning rate, the mix of stages and the strength of the guides
follow the part of the time that has passed. It saves every few minutes and goes on from the last save if there is one.

    python train.py SCRATCH MINUTES [--name NAME] [--threads 2]
"""
import argparse
import dataclasses
import math
import pathlib
import random
import time

import numpy
import sentencepiece
import torch
import torch.nn.functional as F

import samples as s
from model import Ember, Guide, Shape, initialise

TOKEN, WORD, PART, PASSAGE, UNIT, MARKER, START, SOURCE, GOLD, WEIGHT = range(10)


class Shards:
    """All samples of a stage, drawn in batches of about the same length."""

    def __init__(self, scratch, stage, tokens, pieces):
        self.swap = numpy.arange(len(pieces))
        keep = set("\u2581 . , : ; ? ) ( - / F ind \u2581- ). \u2581> \u2581( <0x0A>".split(" "))
        self.fixed = numpy.array([p in keep for p in pieces])
        self.rows, self.known, self.pattern, self.scratch = [], set(), f"samples-{stage}-*.npz", scratch
        self.tokens, self.rng, self.queue = tokens, random.Random(5), []
        self.look()

    def look(self):
        """Take in the sample files that are there by now."""
        for f in sorted(set(self.scratch.glob(self.pattern)) - self.known):
            self.known.add(f)
            data = numpy.load(f)
            ends, flat = numpy.cumsum(data["sizes"]), data["rows"]
            for a, b in zip(ends - data["sizes"], ends):
                self.rows.append(flat[a:b])
            print(f.name, len(self.rows), "samples", flush=True)

    def disguise(self, rows):
        """The same sample in other tokens: each token of the text becomes a random one, everywhere alike. Copying and
        matching must then work for every token, also the rare ones."""
        rows, swap = rows.copy(), self.swap
        random_ids = numpy.array(self.rng.sample(range(17, len(swap)), len(swap) - 17))
        swap[17:] = numpy.where(self.fixed[17:], numpy.arange(17, len(swap)), random_ids)
        text = (rows[:, PART] != s.OTHER) & ((rows[:, PART] != s.ANSWER) | (rows[:, GOLD] > 0))
        rows[text, TOKEN] = swap[rows[text, TOKEN]]
        return rows

    def batch(self, disguised=0.0):
        if not self.queue:
            self.look()
            order = sorted(range(len(self.rows)), key=lambda i: len(self.rows[i]) * self.rng.uniform(.93, 1.07))
            now = []
            for i in order:
                if now and (len(now) + 1) * max(len(self.rows[j]) for j in now + [i]) > self.tokens:
                    self.queue.append(now)
                    now = []
                now.append(i)
            self.rng.shuffle(self.queue)
        chosen = [self.rows[i] for i in self.queue.pop()]
        width = -(-max(len(r) for r in chosen) // 16) * 16
        out = numpy.zeros((len(chosen), width, 10), dtype=numpy.int64)
        out[:, :, WORD] = -1
        out[:, :, SOURCE] = -1
        for n, r in enumerate(chosen):
            out[n, :len(r)] = self.disguise(r) if self.rng.random() < disguised else r
        return torch.from_numpy(out)


def guides(b):
    """Where the guided heads should look, from the annotations of the samples."""
    g = Guide()
    n, t = b.shape[:2]
    word, part, real = b[..., WORD], b[..., PART], (b[..., TOKEN] > 0).float()
    place = torch.arange(t).expand(n, t)
    inside = ((part == s.TEXT) | (part == s.HEADER))
    g.add("before", 0, [0], real * (place > 0), index=place - 1)
    g.add("before2", 0, [1], real * (place > 1), index=place - 2)
    g.add("marker", 0, [2], inside.float(), index=b[..., MARKER])
    g.add("edge", 0, [3], inside.float(), index=b[..., START] - 1)
    same = (word[:, :, None] == word[:, None, :]) & (word > 0)[:, :, None]

    def match(name, layer, heads, rows, keys):
        mask = same & keys[:, None, :] & rows[:, :, None]
        found = mask.any(-1)
        mask[:, :, 0] |= ~found
        g.add(name, layer, heads, rows.float() * torch.where(found, 1.0, 0.15), mask=mask)
        return found

    found = match("asked", 1, [0, 1], inside & (word >= 0), part == s.ASKED)
    g.add("start", 1, [2], inside.float(), index=b[..., START])
    known = match("again", 2, [0, 1], (part == s.AGAIN) & (word >= 0), inside)
    gold = b[..., GOLD]
    want = (gold >= 8) & (gold % 8 > 0)
    head = want & (b[..., TOKEN] == s.ASSISTANT)
    unit = want & ~head & (b[..., SOURCE] >= 0)
    hit = found & inside & (word > 0)
    mask = hit[:, None, :] & (b[:, None, :, PASSAGE] == gold[:, :, None] // 8) & (head[:, :, None] | (b[:, None, :, UNIT] == gold[:, :, None] % 8))
    ok = mask.any(-1)
    g.add("choose", 3, [0, 1], ((head * 3.0) + unit * 0.3) * ok, mask=mask)
    turn = (b[..., TOKEN] == s.USER).cumsum(1)             # the answer's first position also reads the asked words of its turn
    mask = ((gold > 0) & (b[..., TOKEN] == s.ASSISTANT))[:, :, None] & (known & (word > 0))[:, None, :] & (turn[:, :, None] == turn[:, None, :])
    g.add("vote", 3, [2, 3], mask.any(-1).float(), mask=mask)
    g.add("copy", 4, [0, 1], (b[..., SOURCE] >= 0).float(), index=b[..., SOURCE])
    return g, found


def losses(model, b, with_guides):
    tokens, weight = b[..., TOKEN], b[..., WEIGHT].float()
    g, found = guides(b)
    hidden, states = model.hidden(tokens, g if with_guides else None)
    target = torch.zeros_like(tokens)
    target[:, :-1] = tokens[:, 1:]
    weight = torch.where((b[..., PART] == s.ANSWER) & (b[..., GOLD] > 0), weight.clamp_min(2.5), weight)
    weight[:, -1] = 0
    background = (weight == 0) & (target > 0) & (torch.rand(weight.shape) < 0.02)
    weight = weight + background * 0.1
    rows = weight > 0
    logits = model.logits(hidden[rows]).float()
    each = F.cross_entropy(logits, target[rows], reduction="none")
    w = weight[rows]
    main = (each * w).sum() / w.sum()
    guided = sum(v * (4 if k == "before" else 1) for k, v in g.losses.items()) if g.losses else torch.zeros(())
    part, gold = b[..., PART], b[..., GOLD]
    text = (part == s.TEXT) & (torch.rand(part.shape) < 0.3)
    words = text & (b[..., WORD] >= 0)
    probes = F.binary_cross_entropy_with_logits(model.probe_match(states[1][words]).float()[:, 0], found[words].float())
    probes = probes + F.cross_entropy(model.probe_passage(states[1][text]).float(), b[..., PASSAGE][text])
    probes = probes + F.cross_entropy(model.probe_unit(states[2][text]).float(), b[..., UNIT][text])
    first = (gold * ((tokens == s.ASSISTANT) & (gold % 8 > 0))).amax(1)
    inside = (b[..., PASSAGE] == first[:, None] // 8) & (first > 0)[:, None]
    want = torch.stack((inside, inside & (b[..., UNIT] == first[:, None] % 8)), -1).float()
    probes = probes + F.binary_cross_entropy_with_logits(model.probe_gold(states[3][text]).float(), want[text])
    with torch.no_grad():
        at = tokens[rows] == s.ASSISTANT
        guess, truth, code = logits[at].argmax(-1), target[rows][at], gold[rows][at]
        right = guess == truth
        one = (code >= 8) & (code % 8 > 0)
        marks = {"choose": right[one].float().mean(), "find": right[(code % 8 == 0) & (code > 0)].float().mean(),
                 "none": right[code == 0].float().mean(), "notnone": (guess[one] < 13).float().mean()}
    return main, guided, probes, marks, g.losses


def mix(part):
    """Which stage a batch is drawn from, by the part of the time that has passed."""
    points = [(0, (1, 0, 0)), (.15, (.8, .2, 0)), (.3, (.3, .6, .1)), (.6, (.1, .3, .6)), (.8, (.05, .1, .85)), (1.01, (0, 0, 1))]
    for (a, x), (z, y) in zip(points, points[1:]):
        if part < z:
            k = (part - a) / (z - a)
            return [u + (v - u) * k for u, v in zip(x, y)]
    return [0, 0, 1]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("scratch", type=pathlib.Path)
    ap.add_argument("minutes", type=float)
    ap.add_argument("--name", default="ember")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--tokens", type=int, default=4096)
    ap.add_argument("--rate", type=float, default=2.5e-3)
    ap.add_argument("--steps", type=int, default=10**9)
    ap.add_argument("--f32", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(3)
    sp = sentencepiece.SentencePieceProcessor(model_file=str(a.scratch / "ember.model"))
    model = Ember(Shape(vocab=sp.vocab_size()))
    pieces = [sp.id_to_piece(i) for i in range(sp.vocab_size())]
    initialise(model, pieces)
    matrices = [p for n, p in model.named_parameters() if n.startswith("blocks") and p.dim() == 2]
    others = [p for n, p in model.named_parameters() if not (n.startswith("blocks") and p.dim() == 2)]
    optimisers = [torch.optim.Muon(matrices, lr=a.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", ns_steps=4),
                  torch.optim.AdamW(others, lr=a.rate * .3, betas=(.9, .98), weight_decay=0.0)]
    save = a.scratch / f"{a.name}.pt"
    step, spent, seen = 0, 0.0, 0
    if save.exists():
        old = torch.load(save, weights_only=False)
        model.load_state_dict(old["model"])
        for o, state in zip(optimisers, old["optimisers"]):
            o.load_state_dict(state)
        step, spent, seen = old["step"], old["spent"], old["seen"]

    def keep():
        torch.save({"model": model.state_dict(), "shape": dataclasses.asdict(model.c), "optimisers": [o.state_dict() for o in optimisers],
                    "step": step, "spent": spent, "seen": seen}, str(save) + ".new")
        pathlib.Path(str(save) + ".new").replace(save)

    stages = [Shards(a.scratch, x, a.tokens, pieces) for x in ("short", "mixed", "full")]
    rng, log, last, saved, begun = random.Random(step + 9), {}, time.time(), time.time(), step
    while spent < a.minutes * 60 and step - begun < a.steps:
        part = spent / (a.minutes * 60)
        rate = a.rate * min(1, (step + 1) / 100) * (1 if part < .65 else max(.02, 1 - (part - .65) / .35))
        for o, k in zip(optimisers, (1, .3)):
            for group in o.param_groups:
                group["lr"] = rate * k
        stage = rng.choices(stages, [m if x.rows else 0 for m, x in zip(mix(part), stages)])[0]
        batch = stage.batch(.25 if part < .7 else .1)
        strength = 1.0 if part < .4 else max(.1, 1 - (part - .4) / .3)
        with torch.autocast("cpu", torch.bfloat16, enabled=not a.f32):
            answer, guided, probes, marks, each = losses(model, batch, part < .7)
        loss = answer + strength * (0.4 * guided + 0.3 * probes)
        for o in optimisers:
            o.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in optimisers:
            o.step()
        step += 1
        seen += batch.shape[0] * batch.shape[1]
        now = time.time()
        spent += now - last
        last = now
        for k, v in {"loss": answer, "probes": probes, **marks, **{"g." + k: v for k, v in each.items()}}.items():
            v = v.item()
            if not math.isnan(v):
                log.setdefault(k, []).append(v)
        if step % 50 == 0:
            for x in stages:
                if not x.rows:
                    x.look()
            print(f"{step} {seen / 1e6:.2f}M {spent:.0f}s {seen / spent:.0f}/s " + " ".join(f"{k} {sum(v) / len(v):.3f}" for k, v in log.items()), flush=True)
            log = {}
        if now - saved > 180:
            keep()
            saved = now
    keep()


if __name__ == "__main__":
    main()
