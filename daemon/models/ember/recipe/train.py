"""Trains the model on the samples. The learning rate, the mix of stages and the strength of the guides follow the part of
the tokens that has been seen. It saves every few minutes and goes on from the last save if there is one.

    python train.py SCRATCH [--setting cpu|gpu] [--tokens MILLIONS] [--name NAME] [--quiet FILE]

With --quiet it waits, between two steps, for as long as FILE is there.
"""
import argparse
import dataclasses
import json
import math
import pathlib
import time

import numpy
import sentencepiece
import torch
import torch.nn.functional as F

import rows as r
from begin import initialise
from guides import begins, guides
from model import Ember, Shape
from shards import Shards


@dataclasses.dataclass
class Setting:
    shape: Shape
    batch: int               # tokens of a step
    total: float             # tokens in all, in millions
    rate: float = 2.5e-3


SETTINGS = {
    "cpu": Setting(Shape(), 4096, 8),
    "gpu": Setting(Shape(dim=384, layers=8, heads=6, ffn=1024), 65536, 3000),
}
STAGES = ("short", "mixed", "full")
NAMES = {r.PICK: "pick", r.FIND: "find", r.REFUSE: "refuse", r.CALL: "call", r.VALUE: "value", r.RECALL: "recall", r.STOP: "stop"}


def losses(model, b, with_guides):
    """The loss of the answers, of the guides and of the read-outs, and how often each kind of choice is right."""
    tokens, weight = b[..., r.TOKEN], b[..., r.WEIGHT].float()
    g, found = guides(b, model.c.layers)
    hidden, states = model.hidden(tokens, g if with_guides else None)
    target = torch.zeros_like(tokens)
    target[:, :-1] = tokens[:, 1:]
    weight[:, -1] = 0
    # A little of everything that is read is learned too.
    background = (weight == 0) & (target > 0) & (torch.rand(weight.shape, device=weight.device) < 0.06)
    weight = weight + background * 0.3
    kept = weight > 0
    logits = model.logits(hidden[kept]).float()
    each = F.cross_entropy(logits, target[kept], reduction="none")
    w = weight[kept]
    main = (each * w).sum() / w.sum()
    guided = sum(v * (4 if k == "before" else 1) for k, v in g.losses.items()) if g.losses else torch.zeros((), device=tokens.device)
    mark, truth = b[..., r.MARK][kept], target[kept]
    with torch.no_grad():
        right = logits.argmax(-1) == truth
        marks = {name: right[mark == code].float().mean() for code, name in NAMES.items()}
        marks["sentence"] = right[begins(b)[kept]].float().mean()
        opening = (tokens[kept] == r.ASSISTANT) & (mark == r.PICK)
        marks["wrongly"] = (logits.argmax(-1)[opening] == model.refusal).float().mean()
    return main, guided, probes(model, b, states, found), marks, g.losses


def probes(model, b, states, found):
    """Read-outs of the hidden states: is the word asked for? which passage or tool, and which sentence of it, is this? is it the right one?"""
    part, gold, group = b[..., r.PART], b[..., r.GOLD], b[..., r.GROUP]
    text = (part == r.TEXT) & (torch.rand(part.shape, device=part.device) < 0.3)
    words = text & (b[..., r.WORD] >= 0)
    if not words.any():
        return torch.zeros((), device=part.device)
    loss = F.binary_cross_entropy_with_logits(model.probe_match(states[1][words]).float()[:, 0], found[words].float())
    loss = loss + F.cross_entropy(model.probe_passage(states[1][text]).float(), group[text])
    loss = loss + F.cross_entropy(model.probe_unit(states[2][text]).float(), b[..., r.UNIT][text])
    # Only where the question stands before the passages can they know that they are wanted.
    first = (gold * ((b[..., r.MARK] == r.PICK) | (b[..., r.MARK] == r.RECALL))).amax(1)
    inside = (group == first[:, None] // 8) & (first > 0)[:, None]
    want = torch.stack((inside, inside & (b[..., r.UNIT] == first[:, None] % 8)), -1).float()
    known = text & (first > 0)[:, None]
    if known.any():
        loss = loss + F.binary_cross_entropy_with_logits(model.probe_gold(states[3][known]).float(), want[known])
    return loss


# The part of the tokens from which on the rate falls, guides fade, and most samples are as long as in daily use. Before it, short ones
# teach more: they have many choices for each token that is read.
FALL = .66


def mix(part):
    """Which stage a batch is drawn from, by the part of the tokens that has been seen."""
    points = [(0, (1, 0, 0)), (.18, (.9, .1, 0)), (.45, (.4, .5, .1)), (FALL, (.3, .45, .25)), (FALL + .04, (.05, .15, .8)), (1.01, (0, 0, 1))]
    for (a, x), (z, y) in zip(points, points[1:]):
        if part < z:
            k = (part - a) / (z - a)
            return [u + (v - u) * k for u, v in zip(x, y)]
    return [0, 0, 1]


def optimisers_of(model, rate):
    """Muon for the matrices of the blocks, AdamW for the rest: embeddings are large and take large steps, what reads the last
    state takes small ones."""
    groups = {"matrices": [], "embed": [], "others": [], "output": []}
    for n, p in model.named_parameters():
        groups["matrices" if n.startswith("blocks") and p.dim() == 2 else n.split(".")[0] if n.split(".")[0] in groups else "others"].append(p)
    return [torch.optim.Muon(groups["matrices"], lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", ns_steps=4),
            torch.optim.AdamW(groups["embed"], lr=rate, betas=(.9, .98), weight_decay=0.0),
            torch.optim.AdamW(groups["others"], lr=rate, betas=(.9, .98), weight_decay=0.0),
            torch.optim.AdamW(groups["output"], lr=rate, betas=(.9, .98), weight_decay=0.0)]


# Of the rate, in the order of the optimisers.
PARTS_OF_RATE = (1, 1, .3, .15)


@torch.no_grad()
def watch(model, held, device, autocast):
    """Losses and choices on held-out documents and notes."""
    sums = {}
    for batch in held.all():
        with autocast():
            main, _, _, marks, _ = losses(model, batch.to(device), False)
        for k, v in {"loss": main, **marks}.items():
            if not math.isnan(v.item()):
                sums.setdefault(k, []).append(v.item())
    return {k: sum(v) / len(v) for k, v in sums.items()}


def shown(values):
    return " ".join(f"{k} {sum(v) / len(v) if isinstance(v, list) else v:.3f}" for k, v in values.items())


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("scratch", type=pathlib.Path)
    ap.add_argument("--setting", choices=SETTINGS, default="gpu" if torch.cuda.is_available() else "cpu")
    ap.add_argument("--tokens", type=float, help="millions of tokens in all")
    ap.add_argument("--name", default="ember")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--steps", type=int, default=10**9, help="stop after so many, for trials")
    ap.add_argument("--quiet", type=pathlib.Path)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(3)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    setting = SETTINGS[a.setting]
    total = (a.tokens or setting.total) * 1e6
    sp = sentencepiece.SentencePieceProcessor(model_file=str(a.scratch / "ember.model"))
    setting.shape.vocab = sp.vocab_size()
    model = Ember(setting.shape)
    pieces = [sp.id_to_piece(i) for i in range(sp.vocab_size())]
    initialise(model, pieces)
    model = model.to(device)
    model.refusal = sp.encode("The passages")[0]
    optimisers = optimisers_of(model, setting.rate)
    save = a.scratch / f"{a.name}.pt"
    step, spent, seen = 0, 0.0, 0
    if save.exists():
        old = torch.load(save, weights_only=False, map_location=device)
        model.load_state_dict(old["model"])
        for o, state in zip(optimisers, old["optimisers"]):
            o.load_state_dict(state)
        step, spent, seen = old["step"], old["spent"], old["seen"]

    def keep():
        new = pathlib.Path(f"{save}.new")
        torch.save({"model": model.state_dict(), "shape": dataclasses.asdict(model.c), "optimisers": [o.state_dict() for o in optimisers],
                    "step": step, "spent": spent, "seen": seen}, new)
        new.replace(save)

    def autocast():
        return torch.autocast(device, torch.bfloat16)

    stages = [Shards(a.scratch, x, setting.batch, pieces, step) for x in STAGES]
    held = Shards(a.scratch, "held", setting.batch, pieces, 0)
    rng = numpy.random.default_rng(step + 9)
    idle = time.process_time()
    log, last, saved, begun, curve = {}, time.time(), time.time(), step, open(a.scratch / f"{a.name}.curve.jsonl", "a")
    while seen < total and step - begun < a.steps:
        while a.quiet and a.quiet.exists():
            time.sleep(2)
            last = time.time()
        part = seen / total
        rate = setting.rate * min(1, (step + 1) / 100) * (1 if part < FALL else max(.02, .7 * (1 - part) / (1 - FALL)))
        for o, k in zip(optimisers, PARTS_OF_RATE):
            for group in o.param_groups:
                group["lr"] = rate * k
        shares = numpy.array([m if x.rows else 0 for m, x in zip(mix(part), stages)])
        stage = stages[rng.choice(len(stages), p=shares / shares.sum())]
        batch = stage.batch(.2 if part < .7 else .08).to(device)
        strength = 1.0 if part < FALL else max(.1, .5 * (.8 - part) / (.8 - FALL))
        with autocast():
            answer, guided, read, marks, each = losses(model, batch, part < .8)
        loss = answer + strength * (0.4 * guided + 0.3 * read)
        for o in optimisers:
            o.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in optimisers:
            o.step()
        step += 1
        seen += batch.shape[0] * batch.shape[1]
        now = time.time()
        spent, last = spent + now - last, now
        for k, v in {"loss": answer, "read": read, **marks, **{"g." + k: v for k, v in each.items()}}.items():
            v = v.item()
            if not math.isnan(v):
                log.setdefault(k, []).append(v)
        if step % 25 == 0:
            # Seconds of processor time too: on a shared machine the clock says little.
            print(f"{step} {seen / 1e6:.2f}M {spent:.0f}s cpu {time.process_time() - idle:.0f}s {shown(log)}", flush=True)
            log = {}
        if step % 500 == 0 and held.rows:
            figures = watch(model, held, device, autocast)
            curve.write(json.dumps({"step": step, "seen": seen, "spent": spent, **figures}) + "\n")
            curve.flush()
            print(f"held {step}: {shown(figures)}", flush=True)
        if now - saved > 180:
            keep()
            saved = now
    keep()


if __name__ == "__main__":
    main()
