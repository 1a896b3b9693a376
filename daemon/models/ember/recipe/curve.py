"""Draws the held-out curves of a training run as SVG: the loss, and how often each kind of choice is right.

    python curve.py SCRATCH/ember.curve.jsonl OUT.svg
"""
import json
import pathlib
import sys

WIDTH, HEIGHT, LEFT, TOP = 720, 360, 50, 20
COLOURS = {"loss": "#888888", "pick": "#1b6ca8", "recall": "#7a3e9d", "call": "#c0562b", "value": "#b08900", "find": "#2e8b57", "refuse": "#b3003c"}


def main(source, out):
    rows = [json.loads(line) for line in pathlib.Path(source).read_text().splitlines()]
    most, top = max(row["seen"] for row in rows), max(row["loss"] for row in rows)

    def x(row):
        return LEFT + (WIDTH - LEFT - 90) * row["seen"] / most

    def y(share):
        return TOP + (HEIGHT - 2 * TOP) * (1 - share)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + 20}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT + 20}" fill="white"/>']
    for share in (0, .25, .5, .75, 1):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 90}" y1="{y(share)}" y2="{y(share)}" stroke="#dddddd"/>'
                     f'<text x="{LEFT - 8}" y="{y(share) + 4}" text-anchor="end">{share:.0%}</text>')
    for name, colour in COLOURS.items():
        shown = [(x(row), y(row[name] / (top if name == "loss" else 1))) for row in rows if name in row]
        if not shown:
            continue
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in shown)
        label = f"loss (of {top:.1f})" if name == "loss" else name
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{WIDTH - 84}" y="{shown[-1][1] + 4:.1f}" fill="{colour}">{label}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - 90) / 2}" y="{HEIGHT + 12}" text-anchor="middle">{most / 1e6:.1f} million tokens</text></svg>')
    pathlib.Path(out).write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
