"""Writes a transformers encoder as GGUF with the keys, names and weight changes of llama.cpp's converter.

Those are: the root of tensor names and poolers left out; of RoBERTa and its kin, rows of the table of positions up to the
padding id left out; norms, biases and the tables of positions and segments in F32, matrices in the stored type. Heads of
sequences alone are converted, and BERT's is not whole without its pooler: llama.cpp cannot compute it, and nor can miao.
"""
import gguf
import safetensors.torch
import torch

import golden_gguf

ARCHITECTURES = {"bert": gguf.MODEL_ARCH.BERT, "roberta": gguf.MODEL_ARCH.BERT, "xlm-roberta": gguf.MODEL_ARCH.BERT,
                 "distilbert": gguf.MODEL_ARCH.BERT, "modernbert": gguf.MODEL_ARCH.MODERN_BERT,
                 "nomic_bert": gguf.MODEL_ARCH.NOMIC_BERT}
CONVERTED = ("bert", "roberta", "roberta-sequence", "xlmroberta", "xlmroberta-sequence", "distilbert", "distilbert-sequence",
             "modernbert", "modernbert-sequence", "modernbert-mean", "modernbert-mean-sequence", "nomicbert")
ROOTS = ("bert.", "roberta.", "distilbert.", "model.")


def add_keys(writer, config, positions):
    writer.add_causal_attention(False)
    writer.add_context_length(positions)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or config.hidden_dim)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "modernbert":
        writer.add_layer_norm_rms_eps(config.norm_eps)  # the key of another norm, for configurations that say norm_eps alone
        writer.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])
        writer.add_rope_freq_base_swa(config.rope_parameters["sliding_attention"]["rope_theta"])
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        writer.add_sliding_window(config.local_attention)
        if hasattr(config, "global_attn_every_n_layers"):
            writer.add_uint32(f"{writer.arch}.attention.sliding_window_pattern", config.global_attn_every_n_layers)
        writer.add_vocab_size(config.vocab_size)
        writer.add_string(f"{writer.arch}.hidden_activation", config.hidden_activation)
        pooling = dict(mean=gguf.PoolingType.MEAN, cls=gguf.PoolingType.CLS)[config.classifier_pooling]
        writer.add_uint32(f"{writer.arch}.classifier.pooling_type", pooling)
    else:
        writer.add_layer_norm_eps(getattr(config, "layer_norm_eps", 1e-12))
        writer.add_token_type_count(getattr(config, "type_vocab_size", 1))
    if config.model_type == "nomic_bert":
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if len(config.id2label) > 2:  # two are what every configuration has by default
        writer.add_classifier_output_labels([label for _, label in sorted(config.id2label.items())])


def write(folder, name, model):
    """folder/model.gguf from the checkpoint in the folder."""
    config, arch = model.config, ARCHITECTURES[model.config.model_type]
    behind_padding = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    writer = gguf.GGUFWriter(folder / "model.gguf", gguf.MODEL_ARCH_NAMES[arch])
    writer.add_name(name)
    add_keys(writer, config, config.max_position_embeddings - behind_padding)
    golden_gguf.add_tokenizer(writer, config.vocab_size)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for source, tensor in safetensors.torch.load_file(folder / "model.safetensors").items():
        source = next((source.removeprefix(root) for root in ROOTS if source.startswith(root)), source)
        if source.startswith("pooler."):
            continue
        if source == "embeddings.position_embeddings.weight":
            tensor = tensor[behind_padding:]
        if source.startswith("classifier.") and source.count(".") == 1:
            source = source.replace("classifier", "classifier.out_proj")
        own = names.get_name(source, try_suffixes=(".weight", ".bias"))
        plain = tensor.ndim == 1 or own in ("position_embd.weight", "token_types.weight") or tensor.dtype != torch.bfloat16
        kind = gguf.GGMLQuantizationType.F32 if plain else gguf.GGMLQuantizationType.BF16
        values = tensor.float().numpy()
        writer.add_tensor(own, values if plain else gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
