"""Where chosen heads should look while the model trains, from the annotations of the samples. Layer by layer this is the
circuit that answers: look back, find the same words, choose, copy.
"""
import torch

import rows as r
from model import Guide


def begins(b):
    """Where the passage is said and its sentence is chosen."""
    token = b[..., r.TOKEN]
    return (token >= r.MARKERS[0]) & (token <= r.MARKERS[1]) & (b[..., r.PART] == r.ANSWER) & (b[..., r.SOURCE] >= 0)


def guides(b, layers):
    """The guides of a batch for a model of so many layers, and which words of passages stand in a question or an earlier turn."""
    g = Guide()
    n, t = b.shape[:2]
    word, part, mark, gold, group = b[..., r.WORD], b[..., r.PART], b[..., r.MARK], b[..., r.GOLD], b[..., r.GROUP]
    control = (b[..., r.TOKEN] < 7) & (b[..., r.TOKEN] > 0)
    real = (b[..., r.TOKEN] > 0).float()
    place = torch.arange(t, device=b.device).expand(n, t)
    inside = (part == r.TEXT) | (part == r.HEADER)
    g.add("before", 0, [0], real * (place > 0), index=place - 1)
    g.add("before2", 0, [1], real * (place > 1), index=place - 2)
    tools = inside & (group >= 8)
    g.add("marker", 0, [2], (inside & (group < 8)).float(), index=b[..., r.MARKER])
    g.add("tool", 1, [3], tools.float(), index=b[..., r.MARKER])
    g.add("edge", 0, [3], inside.float(), index=b[..., r.START] - 1)
    same = (word[:, :, None] == word[:, None, :]) & (word > 0)[:, :, None]

    earlier = place[:1, :, None] >= place[:1, None, :]

    def match(name, layer, heads, rows, keys, idle):
        """The same word among KEYS; where there is none, the control tokens, which counts IDLE."""
        mask = same & keys[:, None, :] & rows[:, :, None] & earlier
        found = mask.any(-1)
        mask |= ~found[:, :, None] & control[:, None, :]
        g.add(name, layer, heads, rows.float() * torch.where(found, 1.0, idle), mask=mask)
        return found

    asked = match("asked", 1, [0, 1], inside & (word >= 0), part == r.ASKED, 0.05)
    g.add("start", 1, [2], inside.float(), index=b[..., r.START])
    again = match("again", 2, [0, 1], (part == r.AGAIN) & (word >= 0), inside, 0.1)
    # The choice reads the asked words of its own turn that were found, which know where; then the right group's words that
    # are asked for.
    choice = torch.isin(mark, torch.tensor(r.CHOICES, device=b.device)) & (gold > 0)
    unit = (part == r.ANSWER) & (gold >= 8) & (gold % 8 > 0) & (b[..., r.SOURCE] >= 0) & ~choice
    turn = (b[..., r.TOKEN] == r.USER).cumsum(1)
    hit = inside & (word > 0) & (asked | (same & (part == r.AGAIN)[:, None, :]).any(-1))
    right = group[:, None, :] == (gold // 8)[:, :, None]
    first = begins(b)
    inner = b[:, None, :, r.UNIT] == (gold % 8)[:, :, None]
    mask = hit[:, None, :] & right & (choice[:, :, None] | inner)
    g.add("choose", layers - 2, [2, 3], (choice * 3.0 + first * 3.0 + unit * 0.3) * mask.any(-1), mask=mask)
    g.add("sentence", 3, [1], (first & mask.any(-1)).float(), mask=mask)
    mask = choice[:, :, None] & (again & (word > 0))[:, None, :] & (turn[:, :, None] == turn[:, None, :])
    g.add("vote", 3, [2, 3], mask.any(-1).float(), mask=mask)
    # What was asked for and is nowhere, for the refusals; where all was found, the control tokens.
    decision = choice | (mark == r.REFUSE)
    mask = decision[:, :, None] & (~again & (word > 0) & (part == r.AGAIN))[:, None, :] & (turn[:, :, None] == turn[:, None, :]) & earlier
    mask |= (decision & ~mask.any(-1))[:, :, None] & control[:, None, :]
    g.add("missing", 3, [0], decision.float(), mask=mask)
    copied = (b[..., r.SOURCE] >= 0).float()
    g.add("copy", layers - 2, [0, 1], copied, index=b[..., r.SOURCE])
    g.add("copy2", layers - 1, [0, 1], copied, index=b[..., r.SOURCE])
    return g, asked
