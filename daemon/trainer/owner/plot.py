"""Draws the loss curve of a job. Needs matplotlib.

    python3 plot.py JOB/log.jsonl loss.png "held-out wordings" 7.979 0.138

The two numbers are the loss on something held out, before and after, as `--example loss` prints them.
"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

SMOOTHED = 18   # steps; an epoch of the measured run


def main(log, picture, name, before, after):
    before, after = float(before), float(after)
    losses = [json.loads(line)["loss"] for line in open(log)]
    steps = range(1, len(losses) + 1)
    means = [sum(losses[max(0, n - SMOOTHED):n]) / min(n, SMOOTHED) for n in steps]
    pyplot.rcParams["font.size"] = 9
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.semilogy(steps, losses, color="#b9c4d0", linewidth=0.8, label="training, each step")
    axes.semilogy(steps, means, color="#1f4e79", linewidth=1.8, label=f"training, mean of {SMOOTHED} steps")
    for loss, when, line in ((before, "before", ":"), (after, "after", "--")):
        axes.axhline(loss, color="#b8541a", linewidth=1.2, linestyle=line, label=f"{name}, {when}: {loss:.2f}")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss (nats a learned token)")
    axes.set_title("Ember learns 40 things about an invented owner")
    axes.set_xlim(1, len(losses))
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.94))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main(*sys.argv[1:])
