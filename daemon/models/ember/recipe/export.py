"""Writes a checkpoint as GGUF for llama.cpp: architecture llama, sentencepiece tokenizer, chat template, Q8_0 weights
(norms and rope_freqs in F32).

    python export.py SCRATCH CHECKPOINT OUT.gguf
"""
import pathlib
import sys

import gguf
import numpy
import sentencepiece
import torch

from layout import TEMPLATE
from model import Ember, Shape
from shards import FIRST_WORD

Q8, F32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32


def tokens_of(sp):
    kinds = gguf.TokenType
    pieces, scores, types = [], [], []
    control = {"<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"}
    for i in range(sp.vocab_size()):
        piece = sp.id_to_piece(i)
        kind = kinds.NORMAL
        if sp.is_unknown(i):
            kind = kinds.UNKNOWN
        elif sp.is_control(i) or piece in control:
            kind = kinds.CONTROL
        elif sp.is_byte(i):
            kind = kinds.BYTE
        elif sp.get_score(i) == 0 and i > 2:
            kind = kinds.USER_DEFINED if i < FIRST_WORD else kinds.NORMAL
        pieces.append(piece.encode())
        scores.append(sp.get_score(i))
        types.append(kind)
    return pieces, scores, types


def main(scratch, checkpoint, out):
    sp = sentencepiece.SentencePieceProcessor(model_file=str(pathlib.Path(scratch) / "ember.model"))
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False)
    shape = Shape(**saved["shape"])
    model = Ember(shape)
    model.load_state_dict(saved["model"])
    w = gguf.GGUFWriter(out, "llama")
    w.add_type(gguf.GGUFType.MODEL)
    w.add_name("Ember")
    w.add_string("general.license", "MIT OR Apache-2.0")
    w.add_string("general.description", "Answers from given passages in their own words and cites them, says that they do not tell, and calls tools.")
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    w.add_context_length(shape.context)
    w.add_embedding_length(shape.dim)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.ffn)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.heads)
    w.add_key_length(shape.head)
    w.add_value_length(shape.head)
    w.add_rope_dimension_count(shape.head)
    w.add_rope_freq_base(shape.base)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_vocab_size(shape.vocab)
    pieces, scores, types = tokens_of(sp)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(pieces)
    w.add_token_scores(scores)
    w.add_token_types(types)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_uint32("tokenizer.ggml.eot_token_id", 2)
    w.add_unk_token_id(0)
    w.add_add_bos_token(False)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    w.add_bool("tokenizer.ggml.remove_extra_whitespaces", False)
    w.add_chat_template(TEMPLATE)
    # Read by the agent (daemon/src/agent): its answers from passages are held to the passages' own sentences.
    w.add_bool("familiar.quotes", True)
    w.add_uint32("familiar.passages", 1)
    w.add_uint32("familiar.passage_chars", 1000)

    def put(name, tensor):
        data = tensor.detach().float().numpy()
        if data.ndim == 2:
            w.add_tensor(name, gguf.quants.quantize(data, Q8), raw_dtype=Q8)
        else:
            w.add_tensor(name, numpy.ascontiguousarray(data, dtype=numpy.float32))

    put("token_embd.weight", model.embed.weight)
    put("output.weight", model.output.weight)
    put("output_norm.weight", model.norm.weight)
    put("rope_freqs.weight", shape.freq_factors())
    wide = shape.heads * shape.head
    for i, b in enumerate(model.blocks):
        name = f"blk.{i}."
        put(name + "attn_norm.weight", b.attn_norm.weight)
        for j, part in enumerate(("attn_q", "attn_k", "attn_v")):
            put(name + part + ".weight", b.qkv.weight[j * wide:(j + 1) * wide])
        put(name + "attn_output.weight", b.out.weight)
        put(name + "ffn_norm.weight", b.ffn_norm.weight)
        put(name + "ffn_gate.weight", b.gate_up.weight[:shape.ffn])
        put(name + "ffn_up.weight", b.gate_up.weight[shape.ffn:])
        put(name + "ffn_down.weight", b.down.weight)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
