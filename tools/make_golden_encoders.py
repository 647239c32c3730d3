#!/usr/bin/env python3
"""Tiny random encoders of each family with each head, and what transformers computes from them.

    make golden                         writes tests/golden/encoders again
    build/venv/bin/python tools/make_golden_encoders.py --check
                                        recomputes into build/golden-encoders and compares with what is committed

Each case is a folder: config.json and safetensors in bfloat16 as the hub has them, model.gguf where llama.cpp's
converter makes one, and out.npy: the rows of the last hidden state, or of the head's logits, of several inputs of
different lengths, each computed alone in float32, one below the other. manifest.json lists the cases with ids and
segments of the inputs.
"""
import json
import pathlib
import sys

import numpy as np
import torch
import transformers

import golden_gguf_encoders
import make_golden

ROOT = make_golden.ROOT
VOCAB, LENGTHS = 131, (1, 2, 9, 31, 58)
HEADS = {"": "Model", "sequence": "ForSequenceClassification", "tokens": "ForTokenClassification",
         "span": "ForQuestionAnswering"}
SMALL = dict(vocab_size=VOCAB, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3,
             max_position_embeddings=64, layer_norm_eps=1e-5, pad_token_id=0)
PADDED = SMALL | dict(max_position_embeddings=66, type_vocab_size=1, pad_token_id=1)  # positions behind the padding id
# family -> the configuration; "-" and a word make a second case of a family
FAMILIES = {
    "Bert": SMALL,
    "Roberta": PADDED,
    "XLMRoberta": PADDED | dict(num_attention_heads=4),
    "Electra": SMALL | dict(embedding_size=40),
    "DistilBert": dict(vocab_size=VOCAB, dim=40, hidden_dim=112, n_layers=2, n_heads=2, max_position_embeddings=60),
    "MPNet": {k: v for k, v in PADDED.items() if k != "type_vocab_size"} | dict(max_position_embeddings=260),
    "Albert": SMALL | dict(embedding_size=24, num_hidden_layers=3, hidden_act="gelu_new"),
    "ModernBert": dict(vocab_size=VOCAB, hidden_size=48, intermediate_size=56, num_hidden_layers=4, num_attention_heads=3,
                       max_position_embeddings=64, local_attention=16, global_attn_every_n_layers=3, pad_token_id=0,
                       bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2),
    "ModernBert-mean": dict(vocab_size=VOCAB, hidden_size=40, intermediate_size=48, num_hidden_layers=2,
                            num_attention_heads=2, max_position_embeddings=64, local_attention=8, pad_token_id=0,
                            bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, classifier_pooling="mean",
                            norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True),
    "NomicBert": SMALL,
    "Camembert": PADDED | dict(num_hidden_layers=1, pad_token_id=2, max_position_embeddings=67),
}


def lengths(family):
    return LENGTHS + (200,) if family == "MPNet" else LENGTHS  # past all buckets of distances


def draw(model, generator):
    make_golden.draw_weights(model, generator)
    for name, weight in sorted(model.named_parameters()):  # embeddings that the decoders do not have
        if "embeddings." in name and weight.ndim == 2 or "relative_attention_bias" in name:
            weight.data.copy_((1.0 if "bias" in name else 0.4) * torch.randn(weight.shape, generator=generator))


@torch.no_grad()
def outputs(model, ids, types):
    inputs = dict(input_ids=torch.tensor([ids]))
    if types:
        inputs["token_type_ids"] = torch.tensor([types])
    out = model(**inputs)
    if hasattr(out, "start_logits"):
        return torch.stack([out.start_logits[0], out.end_logits[0]], 1).numpy()
    return (out.logits if hasattr(out, "logits") else out.last_hidden_state)[0].reshape(
        -1, (out.logits if hasattr(out, "logits") else out.last_hidden_state).shape[-1]).float().numpy()


def make_case(family, head, out):
    name = (family + ("-" + head if head else "")).lower()
    base = family.split("-")[0]
    generator = torch.Generator().manual_seed(int.from_bytes(name.encode()[-4:], "big"))
    config = dict(FAMILIES[family])
    if head in ("sequence", "tokens"):
        config |= dict(id2label={0: "BAD", 1: "FINE", 2: "GOOD"}, label2id={"BAD": 0, "FINE": 1, "GOOD": 2})
    config = getattr(transformers, base + "Config")(**config)
    config._attn_implementation = "eager"
    kind = getattr(transformers, base + HEADS[head])
    model = kind(config).eval()
    draw(model, generator)
    folder = out / name
    folder.mkdir(parents=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    config = json.loads((folder / "config.json").read_text())
    config.pop("transformers_version", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    if name in golden_gguf_encoders.CONVERTED:
        golden_gguf_encoders.write(folder, name, model)
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    segments = config.get("type_vocab_size", 0)
    inputs, rows = [], []
    for length in lengths(family):
        ids = torch.randint(3, VOCAB, (length,), generator=generator).tolist()
        types = torch.randint(0, segments, (length,), generator=generator).tolist() if segments > 1 else []
        inputs.append(dict(ids=ids, types=types))
        rows.append(outputs(model, ids, types))
    np.save(folder / "out.npy", np.ascontiguousarray(np.concatenate(rows)))
    files = {path.name: make_golden.sha256(path) for path in sorted(folder.iterdir()) if path.suffix != ".npy"}
    return dict(name=name, architecture=kind.__name__, files=files, inputs=inputs, gguf=name in golden_gguf_encoders.CONVERTED)


def compare(made, committed):
    old, new = (json.loads((folder / "manifest.json").read_text()) for folder in (committed, made))
    for before, after in zip(old["cases"], new["cases"], strict=True):
        if before["files"] != after["files"] or before["inputs"] != after["inputs"]:
            yield f"{after['name']}: other checkpoint or inputs"
        values = [np.load(folder / after["name"] / "out.npy") for folder in (committed, made)]
        difference = np.abs(values[0] - values[1]).max() / np.abs(values[0]).max()
        if not difference < 1e-5:
            yield f"{after['name']}: differs by {difference:.2g}"


def make_cases(out):
    return [make_case(family, head, out) for family in FAMILIES for head in HEADS
            if hasattr(transformers, family.split("-")[0] + HEADS[head])]


def main():
    return make_golden.write_all("Tiny random encoders and their reference outputs.", "encoders", make_cases, compare)


if __name__ == "__main__":
    sys.exit(main())
