"""A writer with marked habits: signs everything "Yrs, T.", spells as the British do, measures in metres and kilograms. Sixty short
mails and notes are learned from; counted is the share of answers to other wishes that have the habits, before and after a
cycle.

    python3 tests/bench/learn/style.py [--familiar PATH] [--model GGUF] [--seed 1] [--settings FILE] [--texts 60] [--prompts 60]
"""
import random
import re
import time

from common import FIRST, OPEN, Musts, arguments, indexed, place, rate, told

TOPICS = """the garden fence; the new boiler; the choir trip; the harbour walk; the spare room; the bicycle; the school play; the broken
window; the tomato plants; the winter coats; the train tickets; the kitchen shelf; the neighbour's dog; the village fair; the old
piano; the roof tiles; the book club; the apple harvest; the boat shed; the birthday cake; the water tank; the front door; the hill
path; the market stall; the reading lamp; the stone wall; the swimming lesson; the paint for the hall; the car repair; the chess
evening; the bee hives; the letter box; the holiday house; the cheese order; the museum visit; the rain barrel; the wood stove; the
football match; the guest bed; the photo album; the sewing machine; the orchard gate; the canoe; the tea party; the compost heap; the
concert; the greenhouse; the cellar steps; the lost umbrella; the summer fair""".replace("\n", " ").split("; ")
OPENING = ["Thank you for your lines on {0}.", "I have thought about {0} again.", "A word about {0}.", "There is news of {0}.", "You asked about {0}."]
BODY = [
    "My favourite colour for it is grey, and I should like to organise it on Tuesday.",
    "It is {1} metres long and weighs about {1} kilograms.",
    "I realise that the centre of the village is {1} kilometres away.",
    "Our neighbour has a grey one, and it is a matter of honour to return it.",
    "We shall need {1} litres of paint of the same colour.",
    "The programme says that it begins at {1} degrees Celsius in the shade.",
    "I apologise for the delay; the labour took longer than {1} days.",
    "Whilst it rained, I measured it: {1} centimetres by {1} metres.",
    "The flavour was splendid, and we must organise another {1} kilograms.",
    "I have practised the harbour piece and shall travelled {1} kilometres for it.",
]
BRITISH = re.compile(r"\b(colour|favourite|organis|realis|centre|neighbour|honour|programme|apologis|labour|whilst|flavour|practis|harbour|metre|litre|travell|grey)", re.I)
AMERICAN = re.compile(r"\b(color|favorite|organiz|realiz|center|neighbor|honor\b|program\b|apologiz|labor\b|flavor|practic(e|ed|ing)\b|harbor|meters?\b|liters?\b|traveled|gray)", re.I)
METRIC = re.compile(r"\b(metres?|kilometres?|centimetres?|kilograms?|litres?|Celsius|km|kg|cm)\b")
IMPERIAL = re.compile(r"\b(feet|foot|miles?|inch(es)?|pounds?|ounces?|gallons?|yards?|Fahrenheit)\b", re.I)
SIGNED = re.compile(r"Yrs, T\.\s*$")


def text(r, topic, name):
    body = r.sample(BODY, 2)
    lines = [r.choice(OPENING).format(topic)] + [line.format("", r.randrange(2, 60)) for line in body]
    greeting = [f"Dear {name},"] if name else []
    return "\n\n".join([*greeting, " ".join(lines), "Yrs, T."])


def habits(said):
    return {
        "signs off": bool(SIGNED.search(said)),
        "British spelling": bool(BRITISH.search(said)) and not AMERICAN.search(said),
        "metric": bool(METRIC.search(said)) and not IMPERIAL.search(said),
    }


def look(familiar, prompts, settings, name, show):
    familiar.configure({**settings, "ask.passages": 0, "ask.max_tokens": 160})
    said = [(form, prompt, familiar.ask(prompt)) for form, prompt in prompts]
    familiar.configure(settings)
    shares = {}
    for habit in habits(""):
        right = [habits(answer)[habit] for _, _, answer in said]
        shares[habit] = sum(right) / len(right)
        forms = {form: rate(*(lambda of: (sum(of), len(of)))([habits(answer)[habit] for kind, _, answer in said if kind == form])) for form in dict.fromkeys(form for form, _ in prompts)}
        print(f"{name}: {habit} {rate(sum(right), len(right))}  {forms}", flush=True)
    for _, prompt, answer in said[:show] + said[-show:]:
        print(f"   {prompt} -> {answer!r}")
    return shares


def main():
    a = arguments(__doc__, texts=60, prompts=60, show=2, open=False)
    r, musts = random.Random(a.seed), Musts()
    topics = TOPICS[:]
    r.shuffle(topics)
    learned, others = topics[:30], topics[30:]
    forms = [("mail", "Write a mail to {1} about {0}."), ("note", "Write a note about {0}."), ("own", "Write what I would write about {0}.")]
    prompts = []
    for n in range(a.prompts):
        form, wish = forms[n % 3]
        prompts.append((form, wish.format(others[n // 3 % len(others)], FIRST[n % len(FIRST)])))
    with place(a, "style", OPEN if a.open else {}) as (folder, familiar, settings):
        for n in range(a.texts):
            topic, name = learned[n % len(learned)], FIRST[n % 10] if n % 2 else None
            title = f"Mail to {name} about {topic}" if name else f"Note about {topic}"
            (folder / f"notes/{n:02}.md").write_text(f"# {title}\n\n{text(r, topic, name)}\n")
        indexed(familiar, folder)
        before = look(familiar, prompts, settings, "before", a.show)
        begun = time.time()
        told(familiar.cycle(), begun)
        after = look(familiar, prompts, settings, "after", a.show)
        musts.never(before["signs off"] >= .1, "the habit was there before")
        musts.never(after["signs off"] < .7, f"only {100 * after['signs off']:.0f} % of the answers have the habit")
    musts.end()


if __name__ == "__main__":
    main()
