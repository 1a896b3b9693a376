"""The peer: LoRA by PEFT and PyTorch on the CPU, on random weights of SmolLM2-135M's shape.

Rank 16 on all linears, AdamW, float32, one sequence a step, a step after each: what `familiar bench train`
does. Arguments: TOKENS THREADS. Prints one JSON object: tokens/s of the median and of the fastest of five
steps, and the peak RSS in bytes.
"""

import json
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPE = dict(
    hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
    intermediate_size=1536, vocab_size=49152, tie_word_embeddings=True,
)


def main() -> None:
    tokens, threads = int(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).to(torch.float32)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=LINEARS))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4)
    ids = torch.randint(0, SHAPE["vocab_size"], (1, tokens))

    def step() -> float:
        begun = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - begun

    step()
    seconds = sorted(step() for _ in range(5))
    print(json.dumps({
        "tokens_per_s": tokens / seconds[2],
        "best_tokens_per_s": tokens / seconds[0],
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()
