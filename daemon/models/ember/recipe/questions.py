"""Turns a sentence or line of a passage into a question that shares some of its words, in many forms. The last
templates of each list are kept for evaluation and never trained on.
"""
import re

STOP = set("""a an the this that these those is are was were be been being am do does did done has have had having of in on at to for
from by with without as or and but not no nor so if then than too very can could may might must shall should will would it its he she they them
their his her you your we our us i me my mine what which who whom whose when where why how there here all any both each few more most other some such
only own same about above below after before again against between into through during under over out up down off further once also just one two
use used using get gets got let via per etc eg ie vs new see like make made way want need needs tell know find say says mean""".split())
WORD = re.compile(r"[A-Za-z]+|\d+")

ABOUT = ["what is {w}", "what is {w}", "what does {w} do", "what are {w}", "how do I {w}", "how does {w} work", "how to {w}", "how can I {w}", "where is {w}", "where are {w} stored",
         "where can I find {w}", "when is {w}", "who {w}", "which {w}", "why {w}", "what is the default {w}", "what does {w} mean", "tell me about {w}", "{w}", "{w}", "{w}", "{w}",
         "what about {w}", "is {w}", "does {w}", "can I {w}", "what happens with {w}", "what happens if {w}", "what should I know about {w}", "which option {w}",
         "what is the {w}", "where does {w} go", "how is {w} done", "explain {w}", "find {w}", "what is known about {w}", "how many {w}", "how much {w}", "what kind of {w}",
         "what is the name of {w}", "what is used for {w}", "when does {w}", "who wrote {w}", "which file {w}", "which command {w}", "how should {w} be set", "what do I need for {w}",
         "what controls {w}", "what is {w} for", "where do I put {w}", "how do you {w}", "what was {w}", "do I need {w}", "when should I {w}", "in which case {w}", "what did they say on {w}",
         "what is the purpose of {w}", "can you tell me {w}", "I want to know {w}", "show me {w}", "what says the text about {w}", "what is needed to {w}"]
ABOUT_HELD_OUT = ["what can you say about {w}", "how would one {w}", "what is meant by {w}", "whose {w}", "what value has {w}", "since when {w}", "do you know {w}", "for what is {w} used"]
GLUE = [" ", " ", " ", " ", " the ", " of ", " of the ", " in ", " for ", " to ", " and ", " with ", " on ", " a ", " from ", " is "]


def stem(word):
    word = word.lower()
    return re.sub(r"(ations?|ings?|ied|ies|ed|es|ers?|ly|s|e|y)$", "", word) if len(word) > 4 else re.sub(r"s$", "", word) if len(word) == 4 else word


def content(text):
    """The stems of the words that carry meaning, with the place of each."""
    return [(stem(m.group()), m.start(), m.end()) for m in WORD.finditer(text)
            if m.group().lower() not in STOP and (len(m.group()) > 2 or m.group().isdigit() and len(m.group()) > 1 or m.group().isupper() and len(m.group()) > 1)]


def vary(word, rng):
    """Another form of the word, now and then."""
    r = rng.random()
    if r < 0.15:
        word = word.lower()
    elif r < 0.19:
        word = word.capitalize()
    if r > 0.75 and len(word) > 3 and word.isalpha():
        base = re.sub(r"(ing|ed|es|s|e)$", "", word) if len(word) > 5 else word
        word = rng.choice([word + "s", base + "ing", base + "ed", base + "es", base + "e", base, word[:-1] if word.endswith("s") else word + "s"])
    return word


def ask(text, weight, rng, held_out=False):
    """A question about the sentence TEXT, or None. WEIGHT gives how telling a stem is."""
    found, seen = [], set()
    for s, a, b in content(text):
        if s not in seen:
            seen.add(s)
            found.append((s, a, b))
    if not found:
        return None
    if rng.random() < 0.35 and len(found) > 2:            # a run of the text's own words
        i = rng.randrange(len(found) - 1)
        j = min(len(found) - 1, i + rng.choice([1, 1, 2, 2, 3]))
        if found[j][2] - found[i][1] > 60:
            j = i + 1
        words = " ".join(text[found[i][1]:found[j][2]].split())
        if len(words) > 80:
            return None
        words = " ".join(vary(w, rng) if w.isalpha() and rng.random() < .5 else w for w in words.split(" "))
    else:
        k = min(len(found), rng.choice([1, 2, 2, 3, 3, 3, 4, 5]))
        pool = sorted(found, key=lambda f: -(weight(f[0]) + 0.3) * rng.random() ** 0.5)[:k]
        if rng.random() < 0.6:
            pool.sort(key=lambda f: f[1])
        words = ""
        for s, a, b in pool:
            words += (rng.choice(GLUE) if words else "") + vary(text[a:b], rng)
    if not words:
        return None
    template = rng.choice(ABOUT_HELD_OUT if held_out else ABOUT)
    question = template.format(w=rng.choice(["", "", "the ", "a "]) + words if template != "{w}" else words)
    r = rng.random()
    if r < 0.5:
        question = question[0].upper() + question[1:]
    if r < 0.35 or rng.random() < 0.3:
        question += "?"
    return question.lower() if rng.random() < 0.2 else question
