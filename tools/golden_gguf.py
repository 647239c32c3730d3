"""Writes a transformers decoder as GGUF with the keys, names and weight changes of llama.cpp's converter.

Those are: rows of q and k of Llama and Mistral reordered so that RoPE turns neighbouring pairs; one added to the norm
weights of Gemma; the frequency factors of Llama 3 and LongRoPE as tensors; matrices in the stored type, vectors in F32.
The tokenizer is a small list of pieces, enough for a file that any loader accepts.
"""
import math

import gguf
import numpy as np
import torch

ARCHITECTURES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2",
                 "Qwen3ForCausalLM": "qwen3", "Gemma3ForCausalLM": "gemma3"}


def pair_rows(weight, heads):
    """(heads * head_dim, ...): row i and row i + head_dim / 2 of each head become neighbours."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def llama3_factors(parameters, head_dim):
    """What each RoPE frequency is divided by."""
    wavelengths = 2 * math.pi * parameters["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
    turns = parameters["original_max_position_embeddings"] / wavelengths
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / parameters["factor"] + smooth)).astype(np.float32)


def add_rope(writer, config, head_dim):
    parameters = config.rope_parameters
    if "sliding_attention" in parameters:
        writer.add_rope_freq_base_swa(parameters["sliding_attention"]["rope_theta"])
        parameters = parameters["full_attention"]
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(parameters["rope_theta"])
    kind = parameters["rope_type"]
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(parameters["factor"])
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(parameters["factor"])
        writer.add_rope_scaling_orig_ctx_len(parameters["original_max_position_embeddings"])
        if "beta_fast" in parameters:
            writer.add_rope_scaling_yarn_beta_fast(parameters["beta_fast"])
            writer.add_rope_scaling_yarn_beta_slow(parameters["beta_slow"])
    elif kind == "longrope":
        length = parameters["original_max_position_embeddings"]
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(length)
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(parameters["factor"]) / math.log(length)))
        writer.add_tensor("rope_factors_long.weight", np.array(parameters["long_factor"], np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array(parameters["short_factor"], np.float32))
    elif kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(parameters, head_dim))


def add_tokenizer(writer, vocab):
    space = "\u2581"
    pieces = [chr(code) for code in range(33, 127)] + [space] + [space + chr(code) for code in range(97, 123)]
    pieces += [a + b for a in "abc" for b in "xyz"]
    tokens = (["<unk>", "<s>", "</s>"] + pieces)[:vocab]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_scores([-float(i) for i in range(vocab)])
    writer.add_token_types(types + [gguf.TokenType.NORMAL] * (vocab - 3))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def write(path, name, model):
    config, architecture = model.config, ARCHITECTURES[type(model).__name__]
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if architecture == "gemma3":
        writer.add_sliding_window(config.sliding_window)
    add_rope(writer, config, head_dim)
    add_tokenizer(writer, config.vocab_size)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], config.num_hidden_layers)
    for source, tensor in model.state_dict().items():
        if source == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.float().numpy()
        if architecture == "llama" and ".q_proj." in source:
            values = pair_rows(values, heads)
        if architecture == "llama" and ".k_proj." in source:
            values = pair_rows(values, kv_heads)
        if architecture == "gemma3" and source.endswith("norm.weight"):
            values = values + 1
        kind = gguf.GGMLQuantizationType.F32
        if tensor.dtype == torch.bfloat16 and values.ndim > 1:
            kind = gguf.GGMLQuantizationType.BF16
            values = gguf.quants.quantize(values, kind)
        writer.add_tensor(names.get_name(source, try_suffixes=(".weight", ".bias")), values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
