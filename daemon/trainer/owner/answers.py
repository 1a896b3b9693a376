"""Asks a running familiar the questions of a file of examples, and counts the answers that are right to the letter.

    python3 answers.py SOCKET MODEL held_out.jsonl [how many to print]

It goes through /v1/chat/completions at temperature 0: the bare model, without the agent and its grammar.
"""
import http.client
import json
import socket
import sys


class Door(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def answer(door, model, question):
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 60}
    door.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = door.getresponse()
    body = json.load(response)
    if response.status != 200:
        raise SystemExit(f"{response.status}: {body}")
    return body["choices"][0]["message"]["content"]


def main(path, model, file, shown="0"):
    door = Door(path)
    right = {"asked": [], "passages": []}
    for line in open(file):
        _, question, _, *parts, _ = (segment["text"] for segment in json.loads(line)["segments"])
        wanted = "".join(parts)
        said = answer(door, model, question)
        kind = "passages" if "Passages:" in question else "asked"
        right[kind].append(said == wanted)
        if len(right[kind]) <= int(shown):
            print(json.dumps({"right": said == wanted, "question": question, "said": said, "wanted": wanted}))
    for kind, all_of in right.items():
        if all_of:
            print(f"{kind}: {sum(all_of)} of {len(all_of)} right to the letter")


if __name__ == "__main__":
    main(*sys.argv[1:])
