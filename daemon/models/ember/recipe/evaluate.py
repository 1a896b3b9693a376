"""Measures the GGUF with llama.cpp (llama-cpp-python) on held-out packages, held-out question templates and fresh notes:
the choice of the passage, the whole answer, and refusals. Greedy, the same prompt as the agent's.

    python samples.py SCRATCH test 600 99
    python evaluate.py SCRATCH EMBER.gguf [COUNT]
"""
import json
import pathlib
import sys

import llama_cpp

NONE = "The passages do not tell."


def prompt(case):
    passages = "\n\n".join(f"[{n}] {crumb}\n{text}" for n, (crumb, text) in enumerate(case["passages"], 1))
    return f"<|user|>Question: {case['question']}\n\nPassages:\n{passages}\n\nQuestion: {case['question']}<|end|><|assistant|>"


def answer(model, text, most=160):
    ids = model.tokenize(text.encode(), add_bos=False, special=True)
    model.reset()
    out = []
    for token in model.generate(ids, temp=0.0, top_k=1, repeat_penalty=1.0):
        if token == model.token_eos() or len(out) >= most:
            break
        out.append(token)
    return model.detokenize(out).decode("utf-8", "replace").strip()


def rate(right, of):
    return f"{100 * right / of:5.1f} % ({right}/{of})" if of else "none"


def main(scratch, gguf, count="300"):
    model = llama_cpp.Llama(gguf, n_ctx=2048, verbose=False, n_threads=1)
    cases = [json.loads(x) for x in (pathlib.Path(scratch) / "test.jsonl").read_text().splitlines()][:int(count)]
    groups = {}

    def add(group, key, value):
        groups.setdefault(group, {}).setdefault(key, []).append(bool(value))

    said_none = right_none = 0
    for case in cases:
        got = answer(model, prompt(case))
        want = case["answer"]
        none = got.startswith("The passages")
        said_none += none
        right_none += none and case["place"] < 0
        if case["place"] < 0:
            add("no answer", "refused", none)
            continue
        said = " ".join(got.split())
        exact = said == " ".join(want.split())
        verbatim = not none and " ".join(got[4:].split()) in " ".join(" ".join(text for _, text in case["passages"]).split())
        for group in ("all answerable", "notes" if case["notes"] else "documents", "right passage first" if case["place"] == 0 else "right passage later"):
            add(group, "passage", got[:3] == want[:3])
            add(group, "whole", exact)
            add(group, "start", said[:24] == " ".join(want.split())[:24])
            add(group, "refused", none)
            if not none:
                add(group, "words stand in the passages", verbatim)
    for group, values in groups.items():
        print(f"{group:22}", "  ".join(f"{k} {rate(sum(v), len(v))}" for k, v in values.items()))
    print("refusals that were right", rate(right_none, said_none))


if __name__ == "__main__":
    main(*sys.argv[1:])
