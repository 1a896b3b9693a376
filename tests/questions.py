#!/usr/bin/env python3
"""Asks real questions about the system's documentation and prints what came back.

    tests/questions.py [BINARY] [--folder DIR] [--files N] [--facts N] [--json]

BINARY is the `familiar` to run (or FAMILIAR_BIN). A throw-away daemon indexes the folder; each question
of questions.tsv goes to `familiar search` and to `familiar ask`. A question counts for *files* when a
right file is among the three best hits or the citations, for *facts* when the answer contains the fact.
Ends with 0 when both reach their marks. A question whose files are not on this machine is left out, and
the marks sink in proportion.
"""

import argparse
import fnmatch
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main():
    options = arguments()
    folder = options.folder.resolve()
    asked, absent = [], []
    for question in read_questions(Path(__file__).with_name("questions.tsv")):
        (asked if on_this_machine(folder, question) else absent).append(question)
    if not asked:
        sys.exit(f"questions.py: no file that any question is about lies in {folder}")

    home = Path(tempfile.mkdtemp(prefix="familiar-questions."))
    daemon = Daemon(options.binary, home)
    try:
        indexing = timed(lambda: daemon.familiar("index", "add", "--wait", str(folder)))[1]
        status = daemon.ask_json("index", "status", "--json")
        rows, asking = timed(lambda: [put(daemon, folder, question) for question in asked])
    finally:
        daemon.stop()
        shutil.rmtree(home, ignore_errors=True)

    share = len(asked) / (len(asked) + len(absent))
    report = {
        "questions": len(asked),
        "absent": [question["text"] for question in absent],
        "files": sum(row["file"] for row in rows),
        "facts": sum(row["fact"] for row in rows),
        "quoted": sum(row["quoted"] for row in rows),
        "cites_right": sum(row["cites_right"] for row in rows),
        "files_needed": math.ceil(options.files * share),
        "facts_needed": math.ceil(options.facts * share),
        "documents": status.get("documents"),
        "failed": len(status.get("failed", [])),
        "index_s": round(indexing, 1),
        "ask_s": round(asking, 1),
        "rows": rows,
    }
    print(json.dumps(report, indent=2) if options.json else as_table(report))
    reached = report["files"] >= report["files_needed"] and report["facts"] >= report["facts_needed"]
    sys.exit(0 if reached else 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("binary", nargs="?", default=os.environ.get("FAMILIAR_BIN", "familiar"))
    parser.add_argument("--folder", type=Path, default=Path("/usr/share/doc"))
    parser.add_argument("--files", type=int, default=26, help="questions whose file must be found")
    parser.add_argument("--facts", type=int, default=15, help="answers that must contain the fact")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = shutil.which(options.binary)
    if not found:
        parser.error(f"there is no program {options.binary}; name it, or set FAMILIAR_BIN")
    options.binary = os.path.abspath(found)
    return options


def read_questions(path):
    questions = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            text, files, facts = line.split("\t")
            questions.append({"text": text, "files": files.split("|"), "facts": facts.split("|")})
    return questions


def on_this_machine(folder, question):
    return any(next(folder.glob(pattern), None) for pattern in question["files"])


def put(daemon, folder, question):
    """One question, searched for and asked."""
    hits = daemon.ask_json("search", "--json", "-k", "3", question["text"]).get("hits", [])
    reply, seconds = timed(lambda: daemon.ask_json("ask", "--json", question["text"]))
    answer = reply.get("answer", reply.get("error", ""))
    hit_files = [relative(folder, hit["path"]) for hit in hits]
    citations = reply.get("citations", [])
    cited = list(dict.fromkeys(relative(folder, one["path"]) for one in citations))
    return {
        "question": question["text"],
        "file": any(is_right(question, path) for path in hit_files + cited),
        "fact": contains_any(answer, question["facts"]),
        # Whether the words of the file behind a citation hold it, however the model copied them.
        "quoted": contains_any(" ".join(one["quote"] for one in citations), question["facts"]),
        "cites_right": any(is_right(question, path) for path in cited),
        "answer": answer,
        "hits": hit_files,
        "citations": cited,
        "seconds": round(seconds, 2),
    }


def relative(folder, path):
    try:
        return str(Path(path).relative_to(folder))
    except ValueError:
        return path


def is_right(question, path):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in question["files"])


def contains_any(answer, facts):
    """Whether a fact is in the answer, however cased and however broken into lines."""
    text = " ".join(answer.split()).lower()
    return any(" ".join(fact.split()).lower() in text for fact in facts)


def as_table(report):
    lines = [f"{'file':4}  {'fact':4}  question / answer"]
    for row in report["rows"]:
        lines.append(f"{yes(row['file']):4}  {yes(row['fact']):4}  {row['question']}")
        lines.append(f"{'':12}{shortened(row['answer'])}")
        if not row["file"]:
            lines.append(f"{'':12}found instead: {', '.join(row['hits']) or 'nothing'}")
    for question in report["absent"]:
        lines.append(f"{'-':4}  {'-':4}  {question} (its package is not on this machine)")
    asked = report["questions"]
    lines += [
        "",
        f"right file found   {report['files']} of {asked} (at least {report['files_needed']})",
        f"fact in the answer {report['facts']} of {asked} (at least {report['facts_needed']})",
        f"                   {report['quoted']} in the words that a citation quotes",
        f"                   {report['cites_right']} of {asked} cite the right file",
        f"indexing           {report['index_s']} s for {report['documents']} documents, {report['failed']} failed",
        f"searching, asking  {report['ask_s']} s, {report['ask_s'] / asked:.1f} s a question",
    ]
    return "\n".join(lines)


def yes(value):
    return "yes" if value else "no"


def shortened(text, limit=150):
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def timed(work):
    start = time.monotonic()
    return work(), time.monotonic() - start


class Daemon:
    """A daemon of one's own; the first command starts it."""

    def __init__(self, binary, home):
        self.binary = binary
        self.env = dict(os.environ, FAMILIAR_HOME=str(home))

    def familiar(self, *args):
        result = subprocess.run([self.binary, *args], env=self.env, capture_output=True, text=True)
        if result.returncode != 0:
            raise SystemExit(f"familiar {' '.join(args)}: {result.stderr.strip()}")
        return result.stdout

    def ask_json(self, *args):
        """The JSON that a command prints; its error, when it fails."""
        result = subprocess.run([self.binary, *args], env=self.env, capture_output=True, text=True)
        if result.returncode != 0:
            return {"error": f"error {result.returncode}: {result.stderr.strip()}"}
        return json.loads(result.stdout)

    def stop(self):
        subprocess.run([self.binary, "stop"], env=self.env, capture_output=True)


if __name__ == "__main__":
    main()
