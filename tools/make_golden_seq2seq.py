#!/usr/bin/env python3
"""Tiny random encoder-decoders of each family, and what transformers computes and generates from them.

    make golden                         writes tests/golden/seq2seq again
    build/venv/bin/python tools/make_golden_seq2seq.py --check
                                        recomputes into build/golden-seq2seq and compares with what is committed

Each case is a folder: config.json and safetensors as the hub has them, for T5 also model.gguf, for Whisper features.npy,
and logits.npy: the logits of the decoder's ids of each input, computed alone in float32, one below the other.
manifest.json lists the cases with the ids, and what generate() gives: ids without the start, and scores of beams.
"""
import json
import pathlib
import sys

import gguf
import numpy as np
import safetensors.torch
import torch
import transformers

import golden_gguf
import make_golden

ROOT = make_golden.ROOT
VOCAB, LENGTHS = 67, ((1, 1), (7, 4), (40, 12), (58, 30))
KIN = dict(vocab_size=VOCAB, d_model=48, encoder_layers=2, decoder_layers=2, encoder_attention_heads=3,
           decoder_attention_heads=2, encoder_ffn_dim=80, decoder_ffn_dim=56, max_position_embeddings=64)
T5 = dict(vocab_size=VOCAB, d_model=48, d_kv=20, d_ff=80, num_layers=3, num_decoder_layers=2, num_heads=3, n_positions=64,
          decoder_start_token_id=0)
CASES = {
    "t5": ("T5", T5 | dict(relative_attention_num_buckets=12)),
    "flan-t5": ("T5", T5 | dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False, relative_attention_max_distance=40)),
    "bart": ("Bart", KIN | dict(scale_embedding=True)),
    "mbart": ("MBart", KIN | dict(decoder_start_token_id=2)),
    "marian": ("Marian", KIN | dict(activation_function="silu", scale_embedding=True, pad_token_id=66, eos_token_id=0,
                                    decoder_start_token_id=66, forced_eos_token_id=0)),
    "marian-two": ("Marian", KIN | dict(activation_function="relu", vocab_size=267, pad_token_id=249, eos_token_id=0,
                                        decoder_vocab_size=250, decoder_start_token_id=249, share_encoder_decoder_embeddings=False,
                                        tie_word_embeddings=False, forced_eos_token_id=0)),
    "m2m_100": ("M2M100", KIN | dict(vocab_size=800)),  # room for the tokenizer of tests/golden/sentencepiece
    "pegasus": ("Pegasus", KIN | dict(scale_embedding=True)),
    "whisper": ("Whisper", dict(vocab_size=VOCAB, d_model=48, encoder_layers=2, decoder_layers=2, num_mel_bins=20,
                                encoder_attention_heads=3, decoder_attention_heads=2, encoder_ffn_dim=80,
                                decoder_ffn_dim=56, max_source_positions=50, max_target_positions=60, pad_token_id=1,
                                bos_token_id=0, eos_token_id=2, decoder_start_token_id=3)),
}
CLASSES = {"Marian": "MarianMTModel"}
END_BIAS = {"bart": 3.5, "mbart": -2, "marian": 4, "marian-two": 2.5, "pegasus": 6}
# What generate() is asked; every case adds max_new_tokens.
SEARCHES = {
    "greedy": {},
    "beams": dict(num_beams=4),
    "best": dict(num_beams=5, num_return_sequences=3, length_penalty=0.4),
    "early": dict(num_beams=3, early_stopping=True, length_penalty=2.0),
    "never": dict(num_beams=3, early_stopping="never", length_penalty=1.3, num_return_sequences=2),
    "rules": dict(num_beams=3, no_repeat_ngram_size=2, min_new_tokens=6, repetition_penalty=1.3),
    "forced": dict(num_beams=2, forced_bos_token_id=9, bad_words_ids=[[11], [12], [13]], forced_eos_token_id=2),
}
WORDS = 22  # new tokens at most


def draw(name, model, generator):
    make_golden.draw_weights(model, generator)
    for part, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=generator)
        if "relative_attention_bias" in part or part == "shared.weight" and "T5" in type(model).__name__:
            weight.data.copy_(noise)
        elif "SelfAttention.q" in part or "EncDecAttention.q" in part:
            weight.data.copy_(1.6 * noise / weight.shape[-1] ** 0.5 / 20 ** 0.5)  # scores have no scale
        elif "shared" in part:
            weight.data.copy_(0.3 * noise)
        elif "conv" in part and weight.ndim == 3:
            weight.data.copy_(1.5 * noise / (weight.shape[1] * weight.shape[2]) ** 0.5)
    if "final_logits_bias" in model.state_dict():
        model.final_logits_bias.copy_(0.5 * torch.randn(model.final_logits_bias.shape, generator=generator))
        model.final_logits_bias[0, model.config.eos_token_id] += END_BIAS[name]  # some end early, some late


def write_gguf(folder, name, model):
    config = model.config
    writer = gguf.GGUFWriter(folder / "model.gguf", "t5")
    writer.add_name(name)
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_block_count(config.num_layers)
    writer.add_decoder_block_count(config.num_decoder_layers)
    writer.add_head_count(config.num_heads)
    writer.add_key_length(config.d_kv)
    writer.add_value_length(config.d_kv)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_relative_attn_buckets_count(config.relative_attention_num_buckets)
    writer.add_layer_norm_rms_eps(config.layer_norm_epsilon)
    writer.add_decoder_start_token_id(config.decoder_start_token_id)
    golden_gguf.add_tokenizer(writer, VOCAB)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5, max(config.num_layers, config.num_decoder_layers))
    for source, tensor in safetensors.torch.load_file(folder / "model.safetensors").items():
        if source.endswith("embed_tokens.weight") or source == "lm_head.weight" and config.tie_word_embeddings:
            continue
        writer.add_tensor(names.get_name(source, try_suffixes=(".weight", ".bias")), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_tokenizer(folder, vocab, unknown, end):
    """Letters, their pairs and a space, and the end behind every text."""
    space = "\u2581"
    pieces = [space] + [chr(code) for code in range(97, 123)] + [space + a for a in "abcdefgh"]
    pieces += [a + b for a in "abcd" for b in "xyzabcd"]
    tokens = {0: "<pad>", 1: "<s>", 2: "</s>"} | {end: "</s>", unknown: "<unk>"}
    rest = iter(pieces)
    table = [[tokens[i] if i in tokens else next(rest), -1.0 - i / 10] for i in range(vocab)]
    special = [dict(id=i, content=table[i][0], single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
               for i in sorted(tokens)]
    metaspace = dict(type="Metaspace", replacement=space, prepend_scheme="always", split=True)
    ending = dict(type="TemplateProcessing", special_tokens={"</s>": dict(id="</s>", ids=[end], tokens=["</s>"])},
                  single=[dict(Sequence=dict(id="A", type_id=0)), dict(SpecialToken=dict(id="</s>", type_id=0))],
                  pair=[dict(Sequence=dict(id="A", type_id=0)), dict(Sequence=dict(id="B", type_id=0))])
    tokenizer = dict(version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None,
                     pre_tokenizer=metaspace, post_processor=ending, decoder=metaspace,
                     model=dict(type="Unigram", unk_id=unknown, vocab=table, byte_fallback=False))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1) + "\n")
    config = dict(eos_token="</s>", pad_token="<pad>", unk_token="<unk>", tokenizer_class="PreTrainedTokenizerFast")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


@torch.no_grad()
def generated(model, source, limit):
    out = []
    for name, options in SEARCHES.items():
        result = model.generate(**source, **options, max_new_tokens=limit, do_sample=False, output_scores=True,
                                return_dict_in_generate=True)
        ends = model.generation_config.eos_token_id
        sequences = []
        for row in result.sequences.tolist():
            row = row[1:]
            if ends in row:
                row = row[:row.index(ends) + 1]
            sequences.append(row)
        scores = result.sequences_scores.tolist() if options.get("num_beams", 1) > 1 else []
        out.append(dict(name=name, sequences=sequences, scores=[float(f"{s:.7g}") for s in scores]))
    return out


def make_case(name, out):
    family, config = CASES[name]
    generator = torch.Generator().manual_seed(int.from_bytes(name.encode()[-4:], "big"))
    config = getattr(transformers, family + "Config")(**config)
    config._attn_implementation = "eager"
    kind = getattr(transformers, CLASSES.get(family, family + "ForConditionalGeneration"))
    model = kind(config).eval()
    draw(name, model, generator)
    folder = out / name
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    config = json.loads((folder / "config.json").read_text())
    config.pop("transformers_version", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    settings = json.loads((folder / "generation_config.json").read_text())
    settings.pop("transformers_version", None)
    (folder / "generation_config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    if name == "t5":
        write_gguf(folder, name, model)
    if name in ("t5", "bart"):
        write_tokenizer(folder, VOCAB, 3, config["eos_token_id"])
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    audio = family == "Whisper"
    vocab = config.get("decoder_vocab_size") or config["vocab_size"]
    inputs, rows, features = [], [], []
    for length, words in LENGTHS[2:] if audio else LENGTHS:
        target = torch.randint(3, vocab, (words,), generator=generator)
        if audio:
            frames = torch.randn(1, config["num_mel_bins"], 100, generator=generator)
            source = dict(input_features=frames)
            features.append(np.ascontiguousarray(frames[0].T.numpy()))  # (frames, mels)
            ids = []
        else:
            ids = torch.randint(3, vocab, (length,), generator=generator).tolist()
            source = dict(input_ids=torch.tensor([ids]))
        with torch.no_grad():
            logits = model(**source, decoder_input_ids=target[None], use_cache=False).logits[0]
        rows.append(logits.float().numpy())
        searches = generated(model, source, WORDS) if length >= 7 and not audio else []
        inputs.append(dict(ids=ids, decoder_ids=target.tolist(), generate=searches))
    np.save(folder / "logits.npy", np.ascontiguousarray(np.concatenate(rows)))
    if features:
        np.save(folder / "features.npy", np.concatenate(features))
    files = {path.name: make_golden.sha256(path) for path in sorted(folder.iterdir()) if path.suffix != ".npy"}
    return dict(name=name, architecture=kind.__name__, files=files, inputs=inputs, gguf=name == "t5")


def compare(made, committed):
    old, new = (json.loads((folder / "manifest.json").read_text()) for folder in (committed, made))
    for before, after in zip(old["cases"], new["cases"], strict=True):
        if before["files"] != after["files"]:
            yield f"{after['name']}: another checkpoint"
        for a, b in zip(before["inputs"], after["inputs"], strict=True):
            if [g["sequences"] for g in a["generate"]] != [g["sequences"] for g in b["generate"]]:
                yield f"{after['name']}: other sequences"
        values = [np.load(folder / after["name"] / "logits.npy") for folder in (committed, made)]
        difference = np.abs(values[0] - values[1]).max() / np.abs(values[0]).max()
        if not difference < 1e-5:
            yield f"{after['name']}: differs by {difference:.2g}"


def main():
    return make_golden.write_all("Tiny random encoder-decoders and their reference outputs.", "seq2seq",
                                 lambda out: [make_case(name, out) for name in CASES], compare, words=WORDS,
                                 searches=SEARCHES)


if __name__ == "__main__":
    sys.exit(main())
