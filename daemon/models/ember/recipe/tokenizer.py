"""Trains the tokenizer: sentencepiece BPE with byte fallback, no normalisation, no added space, digits one by one.
The passage markers [1]..[7], the headings of the prompt and the tags of a call are single tokens. So is the quotation
mark. A word is cut alike wherever it stands: pieces are learned without spaces and from words in small letters, and every
piece is there four times, with and without a capital and a space before it; the space joins last. What is copied from
a sentence into JSON, or from a description into a name, keeps its tokens but for that.

    python tokenizer.py SCRATCH
"""
import json
import pathlib
import random
import re
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as format

import layout
import notes
import tools

BASE = 4096              # pieces learned; about four times as many are written
CONTROL = ["<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]
MARKERS = [f"[{n}]" for n in range(1, 8)]
FIXED = MARKERS + ["Question:", "Passages:", "Tools:", "<tool_call>", "</tool_call>", '"']
SPACE = "\u2581"


def text_of(scratch, rng):
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
    return text


def variants(model):
    """The model with every piece four times. Scores keep the order of merging: a capital merges as its small letter does, and
    spaces after everything else."""
    learned = [p for p in model.pieces if p.type == p.NORMAL]
    kept = [p for p in model.pieces if p.type != p.NORMAL]
    out = {}
    for n, p in enumerate(learned):
        if SPACE in p.piece:
            continue
        forms = [p.piece]
        if re.fullmatch("[a-z]+", p.piece):
            forms.append(p.piece.capitalize())
        for form in forms:
            # First come, first kept: "A" is learned too, as a letter of its own.
            out.setdefault(form, -float(n))
            out.setdefault(SPACE + form, -float(n) - 20_000)
    out[SPACE] = -50_000.0
    for n, size in enumerate((2, 4, 8, 3)):
        out[SPACE * size] = -40_000.0 - n
    del model.pieces[:]
    model.pieces.extend(kept)
    for piece, score in out.items():
        model.pieces.add(piece=piece, score=score)
    model.trainer_spec.vocab_size = len(model.pieces)
    return model


def main(scratch):
    scratch = pathlib.Path(scratch)
    text = text_of(scratch, random.Random(2))
    # Words are learned in small letters, one a line: no piece then begins with a space.
    words = "\n".join(re.sub(r"\b[A-Z](?=[a-z])", lambda m: m.group().lower(), line).replace(" ", "\n") for line in text)
    (scratch / "tokenizer.txt").write_text(words)
    sentencepiece.SentencePieceTrainer.train(
        input=str(scratch / "tokenizer.txt"), model_prefix=str(scratch / "ember"), model_type="bpe", vocab_size=BASE,
        byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
        split_digits=True, character_coverage=0.9995, max_sentence_length=4000, max_sentencepiece_length=14,
        control_symbols=CONTROL, user_defined_symbols=FIXED, unk_id=0, bos_id=1, eos_id=2, eos_piece="<|end|>", pad_id=-1,
        num_threads=2, input_sentence_size=3_000_000, shuffle_input_sentence=True)
    model = format.ModelProto()
    model.ParseFromString((scratch / "ember.model").read_bytes())
    (scratch / "ember.model").write_bytes(variants(model).SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
