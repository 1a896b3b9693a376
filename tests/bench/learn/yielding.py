"""What learning costs whoever asks meanwhile: the time to the first token of an answer when nothing else is done, and in the
middle of training; and how long the trainer still uses the processor after a question came.

    python3 tests/bench/learn/yielding.py [--familiar PATH] [--model GGUF] [--seed 1] [--times 20]

The quiet questions are put in between, while training waits for nobody to ask any more, so that both kinds meet the same
machine. What others run on the machine shows in both.
"""
import contextlib
import json
import pathlib
import random
import threading
import time

from common import OPEN, Musts, Refused, arguments, facts, indexed, interval, median, notes_of, place


def first_token(familiar, question):
    begun = time.time()
    with familiar.asked("POST", "/familiar/v1/ask", {"question": question, "no_tools": True, "stream": True}) as answer:
        first = None
        for line in answer:
            if line.startswith(b"data:"):
                event = json.loads(line[5:])
                if event["type"] == "text" and first is None:
                    first = time.time() - begun
                if event["type"] == "error":
                    raise RuntimeError(event)
                if event["type"] == "done":
                    return first if first is not None else time.time() - begun
    raise RuntimeError("the stream ended without an answer")


class Trainer(threading.Thread):
    """Looks every few milliseconds at how much processor time the trainer has used."""

    def __init__(self, familiar):
        super().__init__(daemon=True)
        self.familiar, self.pid, self.seen, self.lock = familiar, None, [], threading.Lock()

    def run(self):
        used = -1
        while True:
            now = self.ticks(self.pid)
            if now is None:
                self.pid = next((pid for pid in self.familiar.pids() if self.trains(pid)), None) if self.familiar.process else None
                used = -1
                time.sleep(.02)
                continue
            if now != used:
                used = now
                with self.lock:
                    self.seen.append(time.time())
            time.sleep(.002)

    @staticmethod
    def trains(pid):
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return b"worker" in words and b"train" in words
        return False

    @staticmethod
    def ticks(pid):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return None if fields[0] == "Z" else int(fields[11]) + int(fields[12])
        return None

    def busy(self, since, until):
        """When it last used the processor in this time."""
        with self.lock:
            return max((at for at in self.seen if since <= at < until), default=None)


def training(familiar, trainer, least):
    """Waits until training is under way, and the trainer has worked for a while."""
    end = time.time() + 600
    since = None
    while time.time() < end:
        state = familiar.get("learn")["state"]
        works = trainer.busy(time.time() - .2, time.time()) is not None
        since = (since or time.time()) if state == "training" and works else None
        if since and time.time() - since > least:
            return
        time.sleep(.05)
    raise SystemExit(f"no training: {familiar.get('learn')}")


def main():
    a = arguments(__doc__, times=20, facts=120, passages=6)
    r, musts = random.Random(a.seed), Musts()
    more = {**OPEN, "learn.epochs": 100, "ask.passages": a.passages, "model.keep_alive_s": 3600}
    with place(a, "yielding", more) as (folder, familiar, settings):
        made = facts(r, a.facts)
        notes_of(folder / "notes", made, a.facts // 3)
        indexed(familiar, folder)
        questions = [question for _, questions, _ in made for question in questions]
        r.shuffle(questions)
        for question in questions[:4]:
            first_token(familiar, question)
        before = [first_token(familiar, question) for question in questions[4:4 + a.times]]
        questions = questions[4 + a.times:]

        def learn():
            with contextlib.suppress(Refused, OSError, ValueError):
                ended.append(familiar.cycle())

        ended, trainer = [], Trainer(familiar)
        trainer.start()
        threading.Thread(target=learn, daemon=True).start()
        amid, between, gone = [], [], []
        for n in range(a.times):
            training(familiar, trainer, r.uniform(.3, 1.0))
            begun = time.time()
            amid.append(first_token(familiar, questions[2 * n]))
            time.sleep(.4)
            now = time.time()
            between.append(first_token(familiar, questions[2 * n + 1]))
            quiet = trainer.busy(now, now + between[-1]) is None
            last = trainer.busy(begun, now)
            gone.append((last or begun) - begun)
            musts.never(not quiet, f"the trainer still works {now - begun:.1f} s after a question")
            musts.never(bool(ended), "the cycle ended too soon; give it more facts")
            if ended:
                break
        familiar.post("learn/pause", {})
        ms = lambda values: f"{1000 * median(values):.0f} ms (least {1000 * min(values):.0f}, most {1000 * max(values):.0f})"
        print(f"first token before learning: {ms(before)}")
        print(f"first token in quiet between: {ms(between)}")
        print(f"first token in mid-training:  {ms(amid)}")
        ratio, low, high = interval(lambda one, other: median(one) / median(other), amid, between)
        print(f"ratio of medians: {ratio:.2f} (95 %: {low:.2f} to {high:.2f}); to those before learning {median(amid) / median(before):.2f}")
        wait, low_wait, high_wait = interval(lambda values: 1000 * median(values), gone)
        print(f"the trainer's processor time ends after {wait:.0f} ms in the median (95 %: {low_wait:.0f} to {high_wait:.0f}), at most {1000 * max(gone):.0f} ms")
        musts.never(low > 1.15, f"the first token comes {ratio:.2f} times as late")
        musts.never(max(gone) > .25, f"the trainer went on for {1000 * max(gone):.0f} ms")
    musts.end()


if __name__ == "__main__":
    main()
