"""What the benches of learning share: a daemon in a folder of its own, made-up facts, and shares with their intervals. Nothing
but the standard library, and nothing of the machine's own Familiar is touched.
"""
import argparse
import contextlib
import http.client
import json
import math
import os
import pathlib
import random
import shutil
import signal
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

# For scripts that look at something else than the gate.
OPEN = {
    "learn.gate.divergence": "9",
    "learn.gate.perplexity": "1",
    "learn.gate.guard_loss": "1",
    "learn.gate.earlier_loss": "9",
    "learn.gate.question_loss": "1",
    "learn.gate.cases": "10",
}


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


def facts(r, count, used=None):
    """Made-up facts: a statement, questions on it, the answer. `used` keeps what several calls asked for apart."""
    made, used = [], set() if used is None else used
    while len(made) < count:
        statement, questions, fill = r.choice(FACTS[:-1])
        blanks = fill(r)
        key = (statement, blanks[:-1])
        if key in used:
            continue
        used.add(key)
        made.append((statement.format(*blanks), [q.format(*blanks) for q in questions], blanks[-1]))
    return made


class Refused(RuntimeError):
    """The daemon answered with an error."""


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
        self.process, self.model = None, "ember"

    def start(self):
        self.log = open(self.home / "daemon.log", "a")
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen([self.program, "daemon"], env=self.env(), stdout=self.log, stderr=self.log)
        while True:
            if self.process.poll() is not None:
                sys.exit(open(self.home / "daemon.log").read())
            with contextlib.suppress(OSError, Refused):
                self.get("status")
                return
            time.sleep(.05)

    def env(self):
        return {**os.environ, "FAMILIAR_HOME": str(self.home)}

    def configure(self, settings):
        lines = {}
        for key, value in settings.items():
            table, name = key.rsplit(".", 1)
            lines.setdefault(table, []).append(f"{name} = {value}")
        (self.home / "config.toml").write_text("\n".join(f"[{t}]\n" + "\n".join(v) for t, v in lines.items()) + "\n")
        if self.process:
            self.post("config/reload", {})

    @contextlib.contextmanager
    def asked(self, method, path, body=None):
        """The open response; an answer that streams is read from it line by line."""
        link = Unix(str(self.socket))
        link.request(method, path, json.dumps(body) if body is not None else None, {"content-type": "application/json"})
        answer = link.getresponse()
        try:
            if answer.status != 200:
                raise Refused(f"{path}: {answer.status} {answer.read().decode()}")
            yield answer
        finally:
            link.close()

    def call(self, method, path, body=None):
        with self.asked(method, path, body) as answer:
            return json.loads(answer.read())

    def post(self, path, body):
        return self.call("POST", "/familiar/v1/" + path, body)

    def get(self, path):
        return self.call("GET", "/familiar/v1/" + path)

    def run(self, *args):
        done = subprocess.run([self.program, *args], env=self.env(), capture_output=True, text=True)
        if done.returncode:
            raise Refused(f"{args}: {done.stderr}")
        return done.stdout

    def ask(self, question):
        return self.post("ask", {"question": question, "no_tools": True})["answer"]

    def say(self, text, **sampling):
        """The bare model's word, without passages, tools or a session."""
        body = {"model": self.model, "messages": [{"role": "user", "content": text}], **sampling}
        return self.call("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"] or ""

    def cycle(self):
        """Runs a cycle to its verdict."""
        return self.post("learn/now", {})

    def pids(self):
        """The daemon and all that it started."""
        found, parents = [self.process.pid], {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        for pid in found:
            found.extend(child for child, parent in parents.items() if parent == pid)
        return found

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                print("the daemon did not stop within 60 s", flush=True)
        self.process = None


def rate(right, of):
    """A share with its 95 % Wilson interval."""
    z, p, of = 1.96, right / max(of, 1), max(of, 1)
    middle, half = (p + z * z / 2 / of) / (1 + z * z / of), z / (1 + z * z / of) * math.sqrt(p * (1 - p) / of + z * z / 4 / of / of)
    return f"{right}/{of} = {100 * p:.1f} % ({100 * max(middle - half, 0):.1f} to {100 * min(middle + half, 1):.1f})"


def median(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def interval(statistic, *samples, rounds=5000):
    """A statistic of one or more samples with its 95 % bootstrap interval."""
    r = random.Random(1)
    again = sorted(statistic(*([r.choice(s) for _ in s] for s in samples)) for _ in range(rounds))
    return statistic(*samples), again[int(.025 * rounds)], again[int(.975 * rounds)]


def recall(familiar, made, settings, show=0):
    """How many facts come back without any passage: exactly, as whole words."""
    return sum(known(familiar, made, settings, show)), sum(len(questions) for _, questions, _ in made)


def known(familiar, made, settings, show=0):
    """For each fact, how many of its questions are answered right without any passage."""
    familiar.configure({**settings, "ask.passages": 0})
    right = []
    for _, questions, value in made:
        right.append(0)
        for question in questions:
            said = familiar.ask(question)
            right[-1] += value.lower() in said.lower()
            if show > 0:
                show -= 1
                print(f"   {question} -> {said[:90]!r} ({value})")
    familiar.configure(settings)
    return right


def notes_of(folder, made, notes, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    each = len(made) // notes
    for n in range(notes):
        part = made[n * each:(n + 1) * each]
        (folder / f"note-{first + n:02}.md").write_text(f"# Note {first + n}\n\n" + "\n\n".join(s for s, _, _ in part) + "\n")


def arguments(doc, **more):
    """The flags that every script has, and those of its own with their defaults."""
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--familiar", type=pathlib.Path, default="target/release/familiar")
    ap.add_argument("--model", type=pathlib.Path, help="a GGUF file; without it, the embedded model")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, such as learn.epochs=4")
    ap.add_argument("--settings", type=pathlib.Path, help="a file of such settings, one a line")
    ap.add_argument("--keep", action="store_true", help="leave the folder")
    for name, default in more.items():
        name = "--" + name.replace("_", "-")
        if isinstance(default, bool):
            ap.add_argument(name, action="store_true")
        else:
            ap.add_argument(name, type=type(default), default=default)
    a = ap.parse_args()
    a.familiar = a.familiar.resolve()
    if a.settings:
        lines = (line.strip().removeprefix("--set ").strip() for line in a.settings.read_text().splitlines())
        a.set = [line for line in lines if "=" in line and not line.startswith("#")] + a.set
    return a


def begin(a, name, more=None):
    """A folder with a daemon's home and settings: those of the bench, then those of the caller."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"familiar-{name}-"))
    familiar = Familiar(a.familiar, folder)
    # It learns when it is told, never by itself in the middle of a measurement.
    settings = {"learn.sources": '["folders"]', "learn.folders": json.dumps([str(folder / "notes")]), "learn.idle_minutes": 1440, "model.name": '"ember"'}
    if a.model:
        shutil.copytree(a.model.parent, familiar.home / "data/models", ignore=lambda d, names: [n for n in names if n != a.model.name])
        settings["model.name"] = f'"{a.model.stem}"'
    familiar.model = settings["model.name"].strip('"')
    settings.update(more or {})
    settings.update(pair.split("=", 1) for pair in a.set)
    familiar.configure(settings)
    return folder, familiar, settings


@contextlib.contextmanager
def place(a, name, more=None):
    """The same, running, with an indexed folder of notes; gone in the end."""
    folder, familiar, settings = begin(a, name, more)
    # Whoever ends it early ends its daemon too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        (folder / "notes").mkdir()
        familiar.start()
        familiar.run("index", "add", "--wait", str(folder / "notes"))
        yield folder, familiar, settings
    finally:
        familiar.stop()
        if a.keep:
            print(folder)
        else:
            shutil.rmtree(folder)


def indexed(familiar, folder):
    """Waits until the index has what was written there."""
    familiar.run("index", "add", "--wait", str(folder / "notes"))
    files = sum(1 for file in (folder / "notes").rglob("*") if file.is_file())
    end = time.time() + 60
    while time.time() < end:
        status = familiar.get("index")
        if status["documents"] + len(status["failed"]) >= files and not status["pending"]:
            return
        time.sleep(.2)


def told(ended, begun, checks=True):
    """One line on a cycle, and its checks."""
    print(f"cycle: {time.time() - begun:.0f} s, generation {ended['generation']}, accepted {ended['accepted']}: {ended['reason']}", flush=True)
    for check in ended["eval"]["checks"] if checks else []:
        print("  ", "ok" if check["passed"] else "NO", check["says"], flush=True)


class Musts:
    """What must never happen; any of it makes the script fail."""

    def __init__(self):
        self.broken = []

    def never(self, happened, what):
        if happened:
            self.broken.append(what)
            print("NEVER:", what, flush=True)

    def end(self):
        print("FAILED: " + f"{len(self.broken)} things happened that must not" if self.broken else "held")
        sys.exit(1 if self.broken else 0)
