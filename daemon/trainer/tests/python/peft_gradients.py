"""The loss and the adapter's gradients as PyTorch and PEFT compute them, for the Rust test that runs this.

Usage: python peft_gradients.py FOLDER...

In each folder, model.gguf has F32 weights; peft/ is an adapter in PEFT's format; examples.json is a list of
{tokens, weights}, where weights[i] is the loss weight of predicting tokens[i]. Written is gradients.safetensors: `loss`,
and the gradient of each adapter tensor by its name.
"""

import json
import sys
from pathlib import Path

import torch
from gguf import GGUFReader
from peft import PeftModel
from safetensors.torch import save_file
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

CLASSES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM),
}
# A norm's name in transformers depends on the architecture.
NORMS = {"ffn_norm": "post_attention_layernorm"}
GEMMA_NORMS = {
    "ffn_norm": "pre_feedforward_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


class File:
    def __init__(self, path):
        self.reader = GGUFReader(path)
        self.architecture = self.value("general.architecture")

    def value(self, key, default=None):
        field = self.reader.get_field(key)
        return default if field is None else field.contents()

    def number(self, key, default=None):
        return self.value(f"{self.architecture}.{key}", default)

    def tensors(self):
        return {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in self.reader.tensors}


def config(file, tied):
    rope = {"rope_type": "default", "rope_theta": file.number("rope.freq_base")}
    if factor := file.number("rope.scaling.factor"):
        rope |= {"rope_type": "linear", "factor": factor}
    head = file.number("attention.key_length")
    settings = {
        "vocab_size": file.number("vocab_size"),
        "hidden_size": file.number("embedding_length"),
        "intermediate_size": file.number("feed_forward_length"),
        "num_hidden_layers": file.number("block_count"),
        "num_attention_heads": file.number("attention.head_count"),
        "num_key_value_heads": file.number("attention.head_count_kv"),
        "head_dim": head,
        "max_position_embeddings": file.number("context_length"),
        "rms_norm_eps": file.number("attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": tied,
        "rope_parameters": rope,
    }
    if file.architecture == "qwen2":
        del settings["head_dim"]
    if file.architecture == "gemma3":
        pattern = file.number("attention.sliding_window_pattern")
        local = {"rope_type": "default", "rope_theta": file.number("rope.freq_base_swa")}
        settings |= {
            "query_pre_attn_scalar": head,
            "sliding_window": file.number("attention.sliding_window"),
            "layer_types": [
                "sliding_attention" if (block + 1) % pattern else "full_attention"
                for block in range(file.number("block_count"))
            ],
            "final_logit_softcapping": file.number("final_logit_softcapping"),
            "rope_parameters": {"full_attention": rope, "sliding_attention": local},
        }
    return settings


def unpermuted(rows, heads):
    """Rows of queries or keys as transformers has them, where convert_hf_to_gguf.py permuted them."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def renamed(file):
    names = PARTS | (GEMMA_NORMS if file.architecture == "gemma3" else NORMS)
    heads = {"attn_q": file.number("attention.head_count"), "attn_k": file.number("attention.head_count_kv")}
    state = {}
    for name, value in file.tensors().items():
        stem, kind = name.rsplit(".", 1)
        part = stem.split(".")[-1]
        if file.architecture == "llama" and part in heads:
            value = unpermuted(value, heads[part])
        # Gemma's norms multiply with 1 + weight; the converter adds the 1.
        if file.architecture == "gemma3" and part.endswith("norm"):
            value = value - 1
        place = TOP[stem] if stem in TOP else f"model.layers.{stem.split('.')[1]}.{names[part]}"
        state[f"{place}.{kind}"] = value
    return state


def base(path):
    file = File(path)
    make_config, make_model = CLASSES[file.architecture]
    state = renamed(file)
    tied = "lm_head.weight" not in state
    model = make_model(make_config(attn_implementation="eager", **config(file, tied)))
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or [name for name in missing if not (tied and name == "lm_head.weight")]:
        sys.exit(f"{path}: missing {missing}, unexpected {unexpected}")
    return model.float()


def loss_of(model, example):
    tokens = torch.tensor([example["tokens"]])
    weights = torch.tensor(example["weights"][1:], dtype=torch.float64)
    logits = model(input_ids=tokens).logits[0, :-1].double()
    losses = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
    return (losses * weights).sum(), weights.sum()


def compute(folder):
    model = PeftModel.from_pretrained(base(folder / "model.gguf"), folder / "peft", is_trainable=True)
    model.eval()
    parts = [loss_of(model, example) for example in json.loads((folder / "examples.json").read_text())]
    loss = sum(part for part, _ in parts) / sum(weight for _, weight in parts)
    loss.backward()
    found = {"loss": loss.detach().reshape(1)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found[name.replace(".default.", ".")] = parameter.grad.contiguous()
    save_file(found, folder / "gradients.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(2)
    for folder in sys.argv[1:]:
        compute(Path(folder))
