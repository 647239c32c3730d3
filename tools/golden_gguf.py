"""Writes a transformers decoder as GGUF with the keys, names and weight changes of llama.cpp's converter.

Those are: rows of q and k of Llama and its kin reordered so that RoPE turns neighbouring pairs; one added to the norm
weights of Gemma; the matrices of GPT-2 transposed; q, k and v of GPT-NeoX stacked; experts stacked in one tensor, and the
head norms of StableLM; the frequency factors of Llama 3 and LongRoPE as tensors; matrices in the stored type, vectors
in F32. The tokenizer is a small list of pieces, enough for a file that any loader accepts.
"""
import math
import re

import gguf
import numpy as np
import safetensors.torch
import torch

ARCHITECTURES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2",
                 "Qwen3ForCausalLM": "qwen3", "Gemma3ForCausalLM": "gemma3", "GemmaForCausalLM": "gemma",
                 "Gemma2ForCausalLM": "gemma2", "Phi3ForCausalLM": "phi3", "GPT2LMHeadModel": "gpt2",
                 "GPTNeoXForCausalLM": "gptneox", "Olmo2ForCausalLM": "olmo2", "GraniteForCausalLM": "granite",
                 "Starcoder2ForCausalLM": "starcoder2", "StableLmForCausalLM": "stablelm",
                 "SmolLM3ForCausalLM": "smollm3", "MixtralForCausalLM": "llama", "Qwen3MoeForCausalLM": "qwen3moe"}
PAIRED = ("llama", "granite", "smollm3")  # rows of q and k are reordered


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
    writer.add_rope_dimension_count(int(head_dim * parameters.get("partial_rotary_factor", 1.0)))
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
        factor = parameters.get("factor") or config.max_position_embeddings / length
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(factor) / math.log(length)))
        writer.add_tensor("rope_factors_long.weight", np.array(parameters["long_factor"], np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array(parameters["short_factor"], np.float32))
    elif kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(parameters, head_dim))


def add_tokenizer(writer, vocab):
    space = "\u2581"
    pieces = [chr(code) for code in range(33, 127)] + [space] + [space + chr(code) for code in range(97, 123)]
    pieces += [a + b for a in "abc" for b in "xyz"]
    tokens = (["<unk>", "<s>", "</s>"] + pieces)[:vocab]
    tokens += [f"<{i}>" for i in range(len(tokens), vocab)]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_scores([-float(i) for i in range(vocab)])
    writer.add_token_types(types + [gguf.TokenType.NORMAL] * (vocab - 3))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def add_keys(writer, config, architecture):
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", heads)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    if architecture not in ("gpt2", "gptneox", "stablelm", "starcoder2"):
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if hasattr(config, "rms_norm_eps"):
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    for name in "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon":
        if hasattr(config, name):
            writer.add_layer_norm_eps(getattr(config, name))
    writer.add_vocab_size(config.vocab_size)
    if architecture in ("gemma3", "gemma2", "starcoder2", "phi3") and config.sliding_window:
        writer.add_sliding_window(config.sliding_window)
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if architecture in ("gptneox", "stablelm"):
        writer.add_parallel_residual(config.use_parallel_residual)
    if architecture == "granite":
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    if hasattr(config, "num_experts_per_tok"):
        writer.add_expert_count(config.num_local_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if architecture == "qwen3moe":
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if architecture != "gpt2":
        add_rope(writer, config, head_dim)


def converted(config, architecture, source, values):
    """A tensor as the converter writes it."""
    heads = config.num_attention_heads
    if architecture in PAIRED and ".q_proj." in source:
        return pair_rows(values, heads)
    if architecture in PAIRED and ".k_proj." in source:
        return pair_rows(values, config.num_key_value_heads)
    if architecture.startswith("gemma") and source.endswith("norm.weight"):
        return values + 1
    if architecture == "gpt2" and values.ndim == 2 and "h." in source:
        return np.ascontiguousarray(values.T)
    if architecture == "gptneox" and "query_key_value" in source:
        by_head = values.reshape(heads, 3, -1, *values.shape[1:])
        return np.ascontiguousarray(by_head.swapaxes(0, 1)).reshape(values.shape)
    return values


STACKS = {  # what is stacked, and the name that the whole has
    r"(.*)\.block_sparse_moe\.experts\.\d+\.w1\.weight": "ffn_gate_exps", r"(.*)\.block_sparse_moe\.experts\.\d+\.w2\.weight": "ffn_down_exps",
    r"(.*)\.block_sparse_moe\.experts\.\d+\.w3\.weight": "ffn_up_exps", r"(.*)\.mlp\.experts\.\d+\.gate_proj\.weight": "ffn_gate_exps",
    r"(.*)\.mlp\.experts\.\d+\.up_proj\.weight": "ffn_up_exps", r"(.*)\.mlp\.experts\.\d+\.down_proj\.weight": "ffn_down_exps",
    r"(.*)\.q_layernorm\.norms\.\d+\.weight": "attn_q_norm", r"(.*)\.k_layernorm\.norms\.\d+\.weight": "attn_k_norm"}


def stacked(tensors):
    """(name or GGUF name, values): single tensors as they are, members of a stack together, in their order."""
    groups = {}
    for source, values in tensors.items():
        for pattern, name in STACKS.items():
            if re.fullmatch(pattern, source):
                layer = re.search(r"\.layers\.(\d+)\.", source).group(1)
                number = int(re.findall(r"\.(\d+)\.", source)[-1])
                groups.setdefault(f"blk.{layer}.{name}.weight", {})[number] = values
                break
        else:
            yield source, values
    for name, members in groups.items():
        yield name, torch.stack([members[i] for i in sorted(members)])


def write(folder, name, model):
    """folder/model.gguf from the checkpoint in the folder."""
    config, architecture = model.config, ARCHITECTURES[type(model).__name__]
    writer = gguf.GGUFWriter(folder / "model.gguf", architecture)
    writer.add_name(name)
    add_keys(writer, config, architecture)
    add_tokenizer(writer, config.vocab_size)
    arch = {"phi3": "PHI3", "qwen3moe": "QWEN3MOE"}.get(architecture, architecture.upper())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch], config.num_hidden_layers)
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    order = {name: i for i, name in enumerate(model.state_dict())}  # experts are not in it by name: they come last
    tensors = dict(sorted(tensors.items(), key=lambda item: order.get(item[0], len(order))))
    for source, tensor in stacked(tensors):
        if source == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = converted(config, architecture, source, tensor.float().numpy())
        kind = gguf.GGMLQuantizationType.F32
        own = source if source.startswith("blk.") else names.get_name(source, try_suffixes=(".weight", ".bias"))
        small = own.endswith(("_norm.weight", "ffn_gate_inp.weight"))
        if tensor.dtype == torch.bfloat16 and values.ndim > 1 and not small:
            kind = gguf.GGMLQuantizationType.BF16
            values = gguf.quants.quantize(values, kind)
        writer.add_tensor(own, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
