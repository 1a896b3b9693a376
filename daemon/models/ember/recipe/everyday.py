"""Everyday English as documents, out of WordNet: what words mean and sentences that use them, related ones together. Writes
everyday.jsonl beside corpus.jsonl and in its form.

    python everyday.py SCRATCH
"""
import collections
import json
import pathlib
import random
import re
import sys

from corpus import held_out
from meanings import load

# What a definition is told as, by part of speech; {w} is the word, {d} the definition.
FORMS = {
    "n": ["A {w} is {d}", "{w}: {d}", "{w} means {d}", "The word {w} stands for {d}", "{w} is {d}"],
    "v": ["To {w} is to {d}", "{w}: {d}", "Who wants to {w} has to {d}", "{w} means: {d}"],
    "a": ["What is {w} is {d}", "{w}: {d}", "{w} means {d}"],
    "r": ["{w}: {d}", "{w} means {d}"],
}
FOLDERS = ["wiki", "words", "reader", "notes", "pages", "glossary", "home", "lexicon"]


def upper(text):
    return text[:1].upper() + text[1:]


def sentences(m, sense, rng):
    """The definition in one of its forms, and the examples that are sentences."""
    words = [w.replace("_", " ") for w in sense.words if w[0].islower()]
    gloss = re.sub(r"^\([^)]*\)\s*", "", sense.gloss).split(";")[0].strip()
    out = []
    if words and 15 < len(gloss) < 160:
        forms = FORMS[sense.pos]
        if sense.pos == "n" and re.match(r"an? ", gloss):
            forms = forms[:1] * 4 + forms[1:2]
        form = rng.choice(forms)
        if words[0][0] in "aeiou" and form.startswith("A {w}"):
            form = "An" + form[1:]
        text = form.format(w=words[0], d=gloss)
        if len(words) > 1 and rng.random() < .15:
            text += ", also called " + " or ".join(words[1:3])
        out.append(upper(text) + ".")
    for example in sense.examples:
        example = example.strip(" ;,.")
        if example.count(" ") >= 2 and len(example) < 160:
            out.append(upper(example) + ("" if example[-1] in "?!" else "."))
    return out


def main(scratch):
    rng, m = random.Random(4), load()
    groups = collections.defaultdict(list)
    for key, s in m.senses.items():
        if not any(m.common(w) > 12 for w in s.words) or all(w[0].isupper() for w in s.words):
            continue
        above = [o for kind, o in s.points if kind in "@&" and o in m.senses]
        groups[above[0] if above else key].append(s)
    count = 0
    with open(pathlib.Path(scratch) / "everyday.jsonl", "w") as out:
        for above, senses in groups.items():
            name = m.senses[above].words[0].replace("_", " ")
            rng.shuffle(senses)
            for at in range(0, len(senses), 12):
                blocks = []
                for s in senses[at:at + 12]:
                    told = sentences(m, s, rng)
                    if told:
                        # A few share a paragraph; the heading is what is above them, or a word of theirs.
                        if blocks and rng.random() < .8:
                            blocks[-1][1] += " " + " ".join(told)
                        else:
                            blocks.append([upper(s.words[0].replace("_", " ")) if rng.random() < .3 else upper(name), " ".join(told)])
                if blocks:
                    path = f"{rng.choice(FOLDERS)}/{re.sub('[^a-z]+', '-', name.lower()).strip('-')}.{rng.choice(['md', 'txt', 'html'])}"
                    count += sum(len(text) for _, text in blocks)
                    out.write(json.dumps({"package": name, "path": path, "held_out": held_out(name), "blocks": blocks}) + "\n")
    print(count, "characters")


if __name__ == "__main__":
    main(*sys.argv[1:])
