"""The conformance guest in Python: what each tool does stands in ../README.md, and in ../cases what it answers."""

import json
import math

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.exports.tools import Output, Source
from wit_world.exports.tools import (
    ToolError_Denied,
    ToolError_Failed,
    ToolError_InvalidArguments,
    ToolError_NotFound,
    ToolError_Unavailable,
)
from wit_world.imports import ask_user, clock, generate, http, kv, log, notify, progress, search


def output(text, data=None, sources=()):
    return Output(text, data, list(sources))


def fail(kind, words):
    kinds = {
        "invalid-arguments": ToolError_InvalidArguments,
        "not-found": ToolError_NotFound,
        "denied": ToolError_Denied,
        "unavailable": ToolError_Unavailable,
    }
    raise Err(kinds.get(kind, ToolError_Failed)(words))


def lower(truth):
    return str(truth).lower()


def translated(error):
    """An import's error, by the name of its kind."""
    kind = type(error).__name__.split("_", 1)[1]
    value = getattr(error, "value", None)
    match kind:
        case "Denied":
            return ToolError_Denied(value)
        case "NotFound":
            return ToolError_NotFound(value)
        case "Invalid":
            return ToolError_InvalidArguments(value)
        case "Timeout" | "Unanswered":
            return ToolError_Unavailable(kind.lower())
        case "Quota" | "Budget":
            return ToolError_Failed(f"{kind.lower()} {value}")
        case "TooLarge":
            return ToolError_Failed(f"too-large {value}")
        case "TooLong":
            return ToolError_Failed(f"too-long {value[0]} {value[1]}")
        case _:
            return ToolError_Failed(value)


def kv_roundtrip():
    all_bytes = bytes(range(256))
    kv.set("b", all_bytes)
    kv.set("a", b"")
    same = kv.get("b") == all_bytes
    empty = kv.get("a") == b""
    wrong = kv.swap("b", b"other", b"new")
    right = kv.swap("b", all_bytes, b"new")
    absent = kv.swap("c", None, b"new")
    keys = ",".join(kv.keys(""))
    deleted, again = kv.delete("b"), kv.delete("b")
    none = kv.get("b") is None
    before = " ".join(lower(truth) for truth in (same, empty, wrong, right, absent))
    return output(f"{before} {keys} {lower(deleted)} {lower(again)} {lower(none)}")


def kv_set(key, value):
    kv.set(key, value.encode())
    return output("set")


def time():
    now = clock.now()
    return output(f"{now.seconds} {now.nanoseconds} {clock.local_offset(now.seconds)}")


def write_log():
    for level, line in zip(log.Level, ("one", "zwei", "três", "四")):
        log.write(level, line)
    return output("written")


def hit_line(hit):
    page = "-" if hit.page is None else hit.page
    score = "nan" if math.isnan(hit.score) else "inf" if math.isinf(hit.score) else int(hit.score * 100)
    parts = (hit.path, hit.title, hit.breadcrumb, hit.text, hit.start, hit.end, hit.line, page, score)
    return "|".join(str(part) for part in parts) + "|" + hit.origin.name.lower()


def source(hit):
    return Source(hit.path, hit.start, hit.end)


def find(query, limit):
    hits = search.find(query, limit)
    return output("\n".join(map(hit_line, hits)), sources=map(source, hits))


def files(suffix):
    lines, after = [], None
    while page := search.files(suffix, after):
        lines += [f"{file.path}|{file.size}|{file.modified}" for file in page]
        after = page[-1].path
    return output("\n".join(lines))


def read(path, start, length):
    hit = search.read(path, start, length)
    return output(f"{hit.text}|{hit.start}|{hit.end}", sources=[source(hit)])


def generate_text(system, prompt, max_tokens, temperature):
    degrees = math.nan if temperature < 0 else temperature / 100
    reply = generate.text(generate.Request(system, prompt, max_tokens, degrees, None))
    return output(f"{reply.text}|{reply.prompt_tokens}|{reply.completion_tokens}|{lower(reply.cut)}")


def request(method, url, body=None, credential=None):
    headers = [("X-One", "1"), ("X-Two", "zwei")]
    sent = http.Request(method, url, headers, None if body is None else body.encode(), credential)
    response = http.send(sent)
    kinds = [value for name, value in response.headers if name.lower() == "content-type"]
    return output(f"{response.status}|{response.url}|{(kinds + ['-'])[0]}|{response.body.decode()}")


def notices(title, body, at):
    notice = notify.Notice(title, body)
    notify.send(notice)
    planned = notify.schedule(notice, at)
    lines = [f"{one.id}|{one.at}|{one.notice.title}|{one.notice.body}" for one in notify.pending()]
    cancelled, again = notify.cancel(planned), notify.cancel(planned)
    return output("\n".join(lines) + f"\n{lower(cancelled)} {lower(again)} {len(notify.pending())}")


def choose(question, options):
    chosen = ask_user.choose(question, options)
    return output("none" if chosen is None else str(chosen))


def steps(count):
    for done in range(count):
        progress.report(done, count, "step")
    return output(f"{count} {lower(progress.is_cancelled())}")


def spin():
    while not progress.is_cancelled():
        pass
    fail("failed", "cancelled")


TOOLS = {
    "echo": lambda text: output(text),
    "json": lambda value: output("ok", json.dumps(value, ensure_ascii=False, separators=(",", ":"))),
    "fail": fail,
    "large": lambda bytes: output("x" * bytes),
    "kv_roundtrip": kv_roundtrip,
    "kv_set": kv_set,
    "time": time,
    "write_log": write_log,
    "find": find,
    "files": files,
    "read": read,
    "generate": generate_text,
    "request": request,
    "notices": notices,
    "confirm": lambda question: output(lower(ask_user.confirm(question))),
    "choose": choose,
    "steps": steps,
    "spin": spin,
}


class Tools(exports.Tools):
    def call(self, tool, arguments, context):
        if tool == "context":
            return output(f"{context.session}|{context.language}|{lower(context.deadline_ms > 0)}")
        try:
            return TOOLS[tool](**json.loads(arguments))
        except Err as error:
            if type(error.value).__name__.startswith("ToolError"):
                raise
            raise Err(translated(error.value)) from error
