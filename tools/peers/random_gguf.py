"""Writes a decoder with random weights of a real shape as GGUF: python random_gguf.py NAME FILE (in build/venv).

Widths, heads and vocabulary are those of the published models; where `layers` stands, there are fewer layers than those have,
so that a comparison takes minutes. Speed does not depend on the values of weights.
"""
import pathlib
import sys
import tempfile

SHAPES = {
    # name: (layers here, layers of the model, class, configuration)
    "Qwen3-0.6B": (12, 28, "Qwen3ForCausalLM", {
        "hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
        "vocab_size": 151936, "tie_word_embeddings": True}),
    "Gemma-3-270M": (18, 18, "Gemma3ForCausalLM", {
        "hidden_size": 640, "intermediate_size": 2048, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        "vocab_size": 262144, "sliding_window": 512, "tie_word_embeddings": True}),
    "Phi-3-mini": (3, 32, "Phi3ForCausalLM", {
        "hidden_size": 3072, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064,
        "sliding_window": 2047, "pad_token_id": 0, "tie_word_embeddings": False}),
    "GPT-2": (12, 12, "GPT2LMHeadModel", {"n_embd": 768, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}),
    "OLMo-2-1B": (4, 16, "Olmo2ForCausalLM", {
        "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 16, "num_key_value_heads": 16, "vocab_size": 100352,
        "tie_word_embeddings": False}),
    "Qwen3-MoE-30B": (2, 48, "Qwen3MoeForCausalLM", {
        "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 32768, "norm_topk_prob": True,
        "tie_word_embeddings": False}),  # of 151,936 tokens: its output matrix would hide two layers
}


def main(name, file):
    import torch
    import transformers
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    import golden_gguf
    layers, _, architecture, values = SHAPES[name]
    model_class = getattr(transformers, architecture)
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    depth = {"n_layer": layers} if architecture.startswith("GPT2") else {"num_hidden_layers": layers, "max_position_embeddings": 4096}
    model = model_class(model_class.config_class(**values, **depth))
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        folder = pathlib.Path(folder)
        model.save_pretrained(folder, max_shard_size="100GB")
        # Not the name of the model: llama.cpp looks for tokens of Phi-3 where a file is called so.
        golden_gguf.write(folder, "random", model)
        (folder / "model.gguf").rename(file)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
