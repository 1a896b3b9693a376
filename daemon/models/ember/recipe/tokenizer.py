"""Trains the tokenizer: sentencepiece BPE with byte fallback, no normalisation, no added space, digits one by one.
The passage markers [1]..[7], the two headings of the prompt and the tags of a call are single tokens. So is the quotation
mark: a name or a value in JSON is then cut alike wherever it stands.

    python tokenizer.py SCRATCH
"""
import json
import pathlib
import random
import sys

import sentencepiece

import layout
import notes
import tools

VOCAB = 8192
CONTROL = ["<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]
MARKERS = [f"[{n}]" for n in range(1, 8)]
FIXED = MARKERS + ["Question:", "Passages:", "Tools:", "<tool_call>", "</tool_call>", '"']


def main(scratch):
    scratch = pathlib.Path(scratch)
    rng = random.Random(2)
    lines = []
    for row in open(scratch / "corpus.jsonl"):
        doc = json.loads(row)
        if not doc["held_out"]:
            for heading, text in doc["blocks"]:
                lines += [line for line in f"{heading}\n{text}".split("\n") if 10 < len(line) < 2000]
    rng.shuffle(lines)
    text, size = [], 0
    for line in lines:
        text.append(line)
        size += len(line)
        if size > 12_000_000:
            break
    text += [line for _ in range(12_000) for line in notes.note(rng).text.split("\n")]
    for _ in range(3000):
        for t in tools.offer(rng, 2):
            call = json.dumps({"name": t["name"], "arguments": tools.request(rng, t)[1]}, ensure_ascii=False)
            text += layout.tools_text([t], (0, 0, 0))[0].text.split("\n") + [tools.request(rng, t)[0], call]
    (scratch / "tokenizer.txt").write_text("\n".join(text))
    sentencepiece.SentencePieceTrainer.train(
        input=str(scratch / "tokenizer.txt"), model_prefix=str(scratch / "ember"), model_type="bpe", vocab_size=VOCAB,
        byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
        split_digits=True, character_coverage=0.9995, max_sentence_length=4000, max_sentencepiece_length=14,
        control_symbols=CONTROL, user_defined_symbols=FIXED, unk_id=0, bos_id=1, eos_id=2, eos_piece="<|end|>", pad_id=-1,
        num_threads=2, input_sentence_size=200_000, shuffle_input_sentence=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
