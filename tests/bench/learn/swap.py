"""Generations that change under load: clients ask the same questions at temperature 0 while generations take turns. Every answer
must be, word for word, what the generation that it names says when it is asked alone by a daemon just started; none may
fail, and whoever asks after a change must have the new one. The longest stall is printed.

    python3 tests/bench/learn/swap.py [--familiar PATH] [--model GGUF] [--seed 1] [--clients 8] [--swaps 20] [--generations 3]

Once without passages and once with them, as in daily use. Every second client streams.
"""
import json
import random
import threading
import time

from common import OPEN, Musts, arguments, facts, indexed, median, notes_of, place, rate, told


class Asker(threading.Thread):
    def __init__(self, familiar, questions, seed, stop):
        super().__init__(daemon=True)
        self.familiar, self.questions, self.stop = familiar, questions, stop
        self.r, self.streams, self.done, self.errors = random.Random(seed), seed % 2 == 0, [], []

    def run(self):
        while not self.stop.is_set():
            question = self.r.choice(self.questions)
            begun = time.time()
            try:
                answer = streamed(self.familiar, question) if self.streams else asked(self.familiar, question)
                self.done.append((begun, time.time(), question, answer["adapter"], answer["answer"]))
            except Exception as error:
                self.errors.append(f"{question}: {type(error).__name__}: {error}")


def asked(familiar, question):
    return familiar.post("ask", {"question": question, "no_tools": True})


def streamed(familiar, question):
    """The last event; the texts before it must make up its answer."""
    texts = []
    with familiar.asked("POST", "/familiar/v1/ask", {"question": question, "no_tools": True, "stream": True}) as answer:
        for line in answer:
            if line.startswith(b"data:"):
                event = json.loads(line[5:])
                if event["type"] == "text":
                    texts.append(event["text"])
                if event["type"] == "error":
                    raise RuntimeError(event)
                if event["type"] == "done":
                    if "".join(texts).strip() != event["answer"].strip():
                        raise RuntimeError(f"streamed {''.join(texts)!r}, and then said {event['answer']!r}")
                    return event
    raise RuntimeError("the stream ended without an answer")


def serve(familiar, number):
    familiar.post("learn/rollback", {"generation": number})


def load(a, familiar, questions, during):
    """All answers and errors of the clients while `during` runs."""
    stop = threading.Event()
    clients = [Asker(familiar, questions, a.seed * 1000 + n, stop) for n in range(a.clients)]
    for client in clients:
        client.start()
    during()
    stop.set()
    for client in clients:
        client.join(300)
    return [one for client in clients for one in client.done], [error for client in clients for error in client.errors]


def look(a, familiar, questions, numbers, r, musts):
    cold, names, usual = {}, {}, set()
    for number in numbers:
        serve(familiar, number)
        # Asked alone, by a daemon that has answered nothing yet.
        familiar.stop()
        familiar.start()
        for question in questions:
            answer = asked(familiar, question)
            names[number] = answer["adapter"]
            cold[answer["adapter"], question] = answer["answer"]
        # And under the same load, but without changes: a model that answers several at once may round differently.
        steady, _ = load(a, familiar, questions, lambda: time.sleep(3 * a.pause))
        usual |= {(adapter, question, said) for _, _, question, adapter, said in steady}
        quiet = [ended - begun for begun, ended, *_ in steady]
    musts.never(len(set(names.values())) != len(numbers), f"generations {numbers} are called {names}")
    differ = sum(len({cold[name, question] for name in names.values()}) > 1 for question in questions)
    rounded = {(name, question) for name, question, said in usual if cold.get((name, question)) != said}
    print(f"{differ} of {len(questions)} questions tell the generations apart; {len(rounded)} of {len(cold)} have other answers under load without any change", flush=True)

    swapped, took, turn = [], [], [numbers[-1]]

    def changes():
        for n in range(a.swaps):
            turn.append(r.choice([number for number in numbers if number != turn[-1]]))
            begun = time.time()
            serve(familiar, turn[-1])
            took.append(time.time() - begun)
            swapped.append((time.time(), names[turn[-1]]))
            time.sleep(a.pause * r.uniform(0, 2))

    answers, errors = load(a, familiar, questions, changes)
    wrong = [one for one in answers if cold.get((one[3], one[2])) != one[4]]
    foreign = [one for one in wrong if (one[3], one[2], one[4]) not in usual]
    stale = 0
    for begun, ended, _, adapter, _ in answers:
        before = [name for at, name in swapped if at <= begun]
        during = [name for at, name in swapped if begun < at]
        # The next change may have come while it was answered.
        stale += bool(before) and adapter != before[-1] and adapter not in during[:1]
    by = {name: sum(one[3] == name for one in answers) for name in names.values()}
    print(f"{len(answers)} answers by {by}, {a.swaps} changes")
    print("equal to a cold run:", rate(len(answers) - len(wrong), len(answers)))
    print("equal to one without changes:", rate(len(answers) - len(foreign), len(answers)))
    busy = [ended - begun for begun, ended, *_ in answers]
    ends = sorted(one[1] for one in answers)
    gaps = [late - early for early, late in zip(ends, ends[1:])]
    print(f"an answer took {median(quiet):.2f} s and at most {max(quiet):.2f} s without changes, {median(busy):.2f} s and at most {max(busy):.2f} s with them")
    print(f"the longest stall, in which nobody was answered: {max(gaps):.2f} s; a change took {median(took):.2f} s and at most {max(took):.2f} s")
    for begun, ended, question, adapter, said in wrong[:6]:
        others = [name for name in names.values() if cold[name, question] == said]
        near = min((abs(at - begun) for at, _ in swapped), default=0)
        print(f"   {question} by {adapter}, {near:.2f} s from a change: {said!r}, cold {cold.get((adapter, question))!r}; so says {others}")
    for error in errors[:5]:
        print("  ", error)
    musts.never(wrong, f"{len(wrong)} answers are not what their generation says cold, {len(foreign)} not under load either")
    musts.never(errors, f"{len(errors)} requests failed")
    musts.never(stale, f"{stale} answers by a generation that no longer served when they were asked for")


def main():
    a = arguments(__doc__, clients=8, swaps=20, generations=3, facts=24, pause=2.0)
    r, musts, used = random.Random(a.seed), Musts(), set()
    with place(a, "swap", {**OPEN, "learn.least_samples": 4, "learn.from_zero": 0}) as (folder, familiar, settings):
        made, numbers = [], [0]
        while len(numbers) <= a.generations:
            part = facts(r, a.facts, used)
            notes_of(folder / "notes", part, a.facts // 2, first=len(made))
            made += part
            indexed(familiar, folder)
            begun = time.time()
            ended = familiar.cycle()
            told(ended, begun, checks=not ended["accepted"])
            if ended["accepted"]:
                numbers.append(ended["generation"])
            elif len(made) > 3 * a.facts * a.generations:
                raise SystemExit("no generations came of it")
        questions = [questions[0] for _, questions, _ in r.sample(made, 12)]
        for passages in (0, 6):
            print(f"with {passages} passages", flush=True)
            familiar.configure({**settings, "ask.passages": passages})
            look(a, familiar, questions, numbers, r, musts)
    musts.end()


if __name__ == "__main__":
    main()
