#!/usr/bin/env python3
"""A full-precision model to measure quantisation on, made of a quantised Llama file.

    build/venv/bin/python tools/make_reference.py MODEL.gguf FOLDER

Where the only copy of a model is a 4-bit one, its dequantised weights lie on the old grid, and an encoder that finds that
grid again loses nothing: figures would flatter. So the weights are dequantised and then put in another order that changes
nothing of what the model computes, but leaves no block of columns as it was:

    channels of the residual stream    columns of q, k, v, gate, up and the embedding, rows of o and down, norms
    neurons of each FFN                rows of gate and up, columns of down
    heads                              groups of q heads with their k and v head, and the heads within a group
    dimensions of v                    within a head: rows of v, columns of o. (Those of q and k are bound to RoPE)

FOLDER gets model.safetensors (F16) with config.json and tokenizer.json as the hub has them, and model.gguf (F16, vectors
in F32). The same file and --seed give the same bytes. Not for files with biases or experts.
"""
import argparse
import json
import pathlib
import sys

import gguf
import numpy as np
import safetensors.numpy

HUGGING_FACE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "attn_norm": "input_layernorm",
                "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
                "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
                "ffn_down": "mlp.down_proj"}
SMOLLM_PATTERN = "smollm"


class Model:
    """A Llama GGUF file: its values of config.json's names, its tensors in float32 (out, in)."""

    def __init__(self, file):
        self.reader = gguf.GGUFReader(file)
        if self.value("general.architecture") != "llama":
            raise SystemExit(f"{file}: only files of the architecture llama can be permuted, not {self.value('general.architecture')}")
        if self.value("llama.expert_count", 0):
            raise SystemExit(f"{file}: a mixture of experts cannot be permuted")
        self.tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32) for t in self.reader.tensors}
        if any(name.endswith(".bias") for name in self.tensors):
            raise SystemExit(f"{file}: a model with biases cannot be permuted")
        self.dim, self.layers = self.value("llama.embedding_length"), self.value("llama.block_count")
        self.ffn_dim, self.heads = self.value("llama.feed_forward_length"), self.value("llama.attention.head_count")
        self.kv_heads = self.value("llama.attention.head_count_kv", self.heads)
        self.head_dim = self.value("llama.attention.key_length", self.dim // self.heads)

    def value(self, key, fallback=None):
        field = self.reader.fields.get(key)
        return fallback if field is None else field.contents()


def permuted(model, seed):
    """The same function with its channels, neurons and heads in another order."""
    random = np.random.default_rng(seed)
    channels = random.permutation(model.dim)
    out = {}
    for name, values in model.tensors.items():
        stem = name.split(".")[-2]
        if stem in ("attn_output", "ffn_down"):
            out[name] = values[channels]
        elif values.ndim == 2 or stem.endswith("norm"):
            out[name] = values[..., channels]
        else:
            out[name] = values  # factors of RoPE
    group = model.heads // model.kv_heads
    for layer in range(model.layers):
        def order(stem, rows, cols=None):
            name = f"blk.{layer}.{stem}.weight"
            values = out[name] if rows is None else out[name][rows]
            out[name] = values if cols is None else values[:, cols]

        neurons = random.permutation(model.ffn_dim)
        order("ffn_gate", neurons)
        order("ffn_up", neurons)
        order("ffn_down", None, neurons)
        kv = random.permutation(model.kv_heads)
        heads = np.concatenate([h * group + random.permutation(group) for h in kv])
        dims = np.stack([random.permutation(model.head_dim) for _ in kv])  # of v, one order a k/v head
        inside = np.arange(model.head_dim)
        order("attn_q", (heads[:, None] * model.head_dim + inside).ravel())
        order("attn_k", (kv[:, None] * model.head_dim + inside).ravel())
        order("attn_v", (kv[:, None] * model.head_dim + dims).ravel())
        order("attn_output", None, (heads[:, None] * model.head_dim + np.repeat(dims, group, axis=0)).ravel())
    return out


def write_gguf(model, tensors, file, dtype):
    writer = gguf.GGUFWriter(file, "llama")
    for key, field in model.reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type", "general.quantization_version"):
            continue
        kind = field.types[0]
        writer.add_key_value(key, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if dtype == np.float16 else gguf.LlamaFileType.ALL_F32)
    for name, values in tensors.items():
        writer.add_tensor(name, values.astype(dtype if values.ndim == 2 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def unpaired(values, heads):
    """Rows of q and k as Hugging Face has them: GGUF's rotate in neighbouring pairs."""
    return values.reshape(heads, -1, 2, values.shape[-1]).swapaxes(1, 2).reshape(values.shape)


def write_hugging_face(model, tensors, folder, dtype):
    out = {}
    for name, values in tensors.items():
        *block, stem, _ = name.split(".")
        if stem == "rope_freqs":
            raise SystemExit("files with RoPE factors cannot be written as a Hugging Face directory")
        if stem in ("attn_q", "attn_k"):
            values = unpaired(values, model.heads if stem == "attn_q" else model.kv_heads)
        prefix = f"model.layers.{block[1]}." if block else ""
        out[f"{prefix}{HUGGING_FACE[stem]}.weight"] = np.ascontiguousarray(values.astype(dtype))
    safetensors.numpy.save_file(out, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": np.dtype(dtype).name, "hidden_act": "silu",
        "hidden_size": model.dim, "intermediate_size": model.ffn_dim, "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads, "num_key_value_heads": model.kv_heads, "head_dim": model.head_dim,
        "rms_norm_eps": model.value("llama.attention.layer_norm_rms_epsilon"), "rope_theta": model.value("llama.rope.freq_base", 10000.0),
        "max_position_embeddings": model.value("llama.context_length"), "vocab_size": tensors["token_embd.weight"].shape[0],
        "tie_word_embeddings": "output.weight" not in tensors, "bos_token_id": model.value("tokenizer.ggml.bos_token_id"),
        "eos_token_id": model.value("tokenizer.ggml.eos_token_id")}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_tokenizer(model, folder):
    """tokenizer.json of a byte-level BPE with SmolLM's pre-tokenizer; other tokenizers stay in the GGUF file alone."""
    if model.value("tokenizer.ggml.model") != "gpt2" or model.value("tokenizer.ggml.pre") != SMOLLM_PATTERN:
        print("make_reference: no tokenizer.json: only SmolLM's kind is written", file=sys.stderr)
        return
    tokens, types = model.value("tokenizer.ggml.tokens"), model.value("tokenizer.ggml.token_type")
    special = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
               for i, (token, kind) in enumerate(zip(tokens, types)) if kind == gguf.TokenType.CONTROL]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": {**byte_level, "add_prefix_space": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: i for i, token in enumerate(tokens)}, "merges": model.value("tokenizer.ggml.merges")}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False) + "\n")
    names = {key: tokens[model.value(f"tokenizer.ggml.{key}_token_id")] for key in ("bos", "eos", "unknown")
             if model.value(f"tokenizer.ggml.{key}_token_id") is not None}
    settings = {"tokenizer_class": "GPT2Tokenizer", "bos_token": names.get("bos"), "eos_token": names.get("eos"),
                "unk_token": names.get("unknown"), "model_max_length": model.value("llama.context_length"), "add_bos_token": False}
    if model.value("tokenizer.chat_template"):
        settings["chat_template"] = model.value("tokenizer.chat_template")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16", help="of matrices; float32 is for tests")
    o = parser.parse_args()
    model, dtype = Model(o.model), np.dtype(o.dtype).type
    tensors = permuted(model, o.seed)
    o.folder.mkdir(parents=True, exist_ok=True)
    write_gguf(model, tensors, o.folder / "model.gguf", dtype)
    write_hugging_face(model, tensors, o.folder, dtype)
    write_tokenizer(model, o.folder)
    print(f"{o.folder}: {sum(v.size for v in tensors.values()):,} weights, {o.dtype}")


if __name__ == "__main__":
    main()
