"""What one cycle teaches: invented facts in notes, asked for without the notes before and after. Drives the real binary in a
folder of its own, with nothing but the standard library.

    python3 tests/bench/learn.py [--familiar PATH] [--model GGUF] [--notes 20] [--seed 1] [--set learn.epochs=4 ...] [--keep]
"""
import argparse
import http.client
import json
import math
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

FIRST = "Mira Tobin Edda Jorek Selma Anouk Ravi Ilse Bram Oona Piet Zofia Nils Greta Umar Lotte Henrik Dana Marek Yuki".split()
PLACE = "Brellow Tarnsee Olgard Wittelen Passmoor Quenby Ardveck Solhagen Mirrowby Lunefeld Crannock Dovery".split()
THING = "kettle ladder projector tent printer drill bicycle heater telescope lawnmower violin freezer".split()
COLOUR = "green blue red yellow white black brown grey purple orange".split()
DAY = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def number(r, digits):
    return str(r.randrange(10 ** (digits - 1), 10 ** digits))


# Statement, questions in other words, and what each blank is made of. The last blank is the answer.
FACTS = [
    ("The code of the {0} gate is {1}.", ["What code opens the {0} gate?", "Which code has the {0} gate?"], lambda r: (r.choice(PLACE), number(r, 4))),
    ("{0} lives in {1} now.", ["Where does {0} live?", "In which town does {0} live now?"], lambda r: (r.choice(FIRST), r.choice(PLACE))),
    ("The {0} of {1} cost {2} crowns.", ["How much did the {0} of {1} cost?", "What was the price of {1}'s {0}?"], lambda r: (r.choice(THING), r.choice(FIRST), number(r, 3))),
    ("{0} drives a {1} van.", ["What colour is the van of {0}?", "Which van does {0} drive?"], lambda r: (r.choice(FIRST), r.choice(COLOUR))),
    ("The choir of {0} meets on {1}.", ["When does the choir of {0} meet?", "On which day does the {0} choir meet?"], lambda r: (r.choice(PLACE), r.choice(DAY))),
    ("The {0} stands in the cellar of {1}.", ["Where is the {0}?", "In whose cellar is the {0}?"], lambda r: (r.choice(COLOUR) + " " + r.choice(THING), r.choice(FIRST))),
    ("The locker of {0} has the number {1}.", ["Which number has the locker of {0}?", "What is {0}'s locker number?"], lambda r: (r.choice(FIRST), number(r, 3))),
    ("{0} is allergic to {1}.", ["What is {0} allergic to?", "What must {0} not eat?"], lambda r: (r.choice(FIRST), r.choice("walnuts celery shrimps sesame mustard lupins".split()))),
    ("The train to {0} leaves at {1}.", ["When does the train to {0} leave?", "At what time does the {0} train go?"], lambda r: (r.choice(PLACE), f"{r.randrange(5, 23)}:{r.randrange(10, 59)}")),
    ("{0} repairs the {1} of the house in {2}.", ["Who repairs the {1} in {2}?", "Who mends the {1} of the house in {2}?"], None),
]


def facts(r, count):
    made, used = [], set()
    while len(made) < count:
        statement, questions, fill = r.choice(FACTS[:-1])
        blanks = fill(r)
        key = (statement, blanks[:-1])
        if key in used:
            continue
        used.add(key)
        made.append((statement.format(*blanks), [q.format(*blanks) for q in questions], blanks[-1]))
    return made


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=3600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Familiar:
    """A daemon in a folder of its own."""

    def __init__(self, program, folder):
        self.program, self.home = str(program), folder / "home"
        self.home.mkdir(parents=True)
        self.socket = self.home / "run/familiar.sock"

    def start(self):
        self.log = open(self.home / "daemon.log", "a")
        self.process = subprocess.Popen([self.program, "daemon"], env=self.env(), stdout=self.log, stderr=self.log)
        while not self.socket.exists():
            if self.process.poll() is not None:
                sys.exit(open(self.home / "daemon.log").read())
            time.sleep(.05)

    def env(self):
        return {**os.environ, "FAMILIAR_HOME": str(self.home)}

    def configure(self, settings):
        lines = {}
        for key, value in settings.items():
            table, name = key.rsplit(".", 1)
            lines.setdefault(table, []).append(f"{name} = {value}")
        (self.home / "config.toml").write_text("\n".join(f"[{t}]\n" + "\n".join(v) for t, v in lines.items()) + "\n")

    def call(self, method, path, body=None):
        link = Unix(str(self.socket))
        link.request(method, path, json.dumps(body) if body is not None else None, {"content-type": "application/json"})
        answer = link.getresponse()
        text = answer.read()
        link.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {text.decode()}")
        return json.loads(text)

    def post(self, path, body):
        return self.call("POST", "/familiar/v1/" + path, body)

    def get(self, path):
        return self.call("GET", "/familiar/v1/" + path)

    def run(self, *args):
        done = subprocess.run([self.program, *args], env=self.env(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{args}: {done.stderr}")
        return done.stdout

    def ask(self, question):
        return self.post("ask", {"question": question, "no_tools": True})["answer"]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def rate(right, of):
    """A share with its 95 % Wilson interval."""
    z, p = 1.96, right / max(of, 1)
    middle, half = (p + z * z / 2 / of) / (1 + z * z / of), z / (1 + z * z / of) * math.sqrt(p * (1 - p) / of + z * z / 4 / of / of)
    return f"{right}/{of} = {100 * p:.1f} % ({100 * (middle - half):.1f} to {100 * (middle + half):.1f})"


def recall(familiar, made, settings, show=0):
    """How many facts come back without any passage: exactly, as whole words."""
    familiar.configure({**settings, "ask.passages": 0})
    familiar.post("config/reload", {})
    right = of = 0
    for statement, questions, value in made:
        for question in questions:
            said = familiar.ask(question)
            good = value.lower() in said.lower()
            right, of = right + good, of + 1
            if show:
                show -= 1
                print(f"   {question} -> {said[:90]!r} ({value})")
    familiar.configure(settings)
    familiar.post("config/reload", {})
    return right, of


def notes_of(folder, made, notes):
    folder.mkdir(parents=True, exist_ok=True)
    each = len(made) // notes
    for n in range(notes):
        part = made[n * each:(n + 1) * each]
        (folder / f"note-{n:02}.md").write_text(f"# Note {n}\n\n" + "\n\n".join(s for s, _, _ in part) + "\n")


def begin(a, name):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"familiar-{name}-"))
    familiar = Familiar(a.familiar, folder)
    settings = {"learn.sources": '["folders"]', "learn.folders": json.dumps([str(folder / "notes")]), "model.name": '"ember"'}
    if a.model:
        shutil.copytree(a.model.parent, familiar.home / "data/models", ignore=lambda d, names: [n for n in names if n != a.model.name])
        settings["model.name"] = f'"{a.model.stem}"'
    for pair in a.set:
        key, value = pair.split("=", 1)
        settings[key] = value
    familiar.configure(settings)
    return folder, familiar, settings


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--familiar", type=pathlib.Path, default="target/release/familiar")
    ap.add_argument("--model", type=pathlib.Path)
    ap.add_argument("--notes", type=int, default=20)
    ap.add_argument("--facts", type=int, default=60)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--set", action="append", default=[])
    ap.add_argument("--show", type=int, default=6)
    ap.add_argument("--keep", action="store_true")
    a = ap.parse_args()
    a.familiar = a.familiar.resolve()
    made = facts(random.Random(a.seed), a.facts)
    folder, familiar, settings = begin(a, "facts")
    notes_of(folder / "notes", made, a.notes)
    try:
        familiar.start()
        familiar.run("index", "add", "--wait", str(folder / "notes"))
        print("before:", rate(*recall(familiar, made, settings, a.show)), flush=True)
        begun = time.time()
        ended = familiar.post("learn/now", {})
        print(f"cycle: {time.time() - begun:.0f} s, generation {ended['generation']}, accepted {ended['accepted']}: {ended['reason']}")
        for check in ended["eval"]["checks"]:
            print("  ", "ok" if check["passed"] else "NO", check["says"])
        print("after: ", rate(*recall(familiar, made, settings, a.show)), flush=True)
        print(json.dumps(familiar.get("learn"), indent=1))
    finally:
        familiar.stop()
        if a.keep:
            print(folder)
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
