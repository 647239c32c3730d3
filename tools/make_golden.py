#!/usr/bin/env python3
"""Tiny random checkpoints of each model family, and what transformers computes from them.

    make golden                         writes tests/golden/models again
    build/venv/bin/python tools/make_golden.py --check
                                        recomputes into build/golden-models and compares with what is committed

Each case is a folder: config.json and safetensors as the hub has them, model.gguf as llama.cpp's converter would make
it, and the logits of two runs (float32, eager attention) as .npy: `short` within every window and context length,
`long` past all of them. manifest.json lists the cases, token ids, the positions whose logits are kept, hashes, and
for each run its noise: how far the logits move when every weight moves by one rounding step of float32.

Sizes are awkward on purpose (48, 80, 112, vocabulary 131). Weights are drawn so that attention is far from uniform, and
`matters` names settings that must change the logits of the long run when they are replaced, so that no case passes by
ignoring what it is there for.
"""
import argparse
import hashlib
import json
import pathlib
import shutil
import sys

import numpy as np
import torch
import transformers

import golden_gguf

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHORT, LONG = 20, 300
VOCAB = 131
SMALL = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
             head_dim=32, tie_word_embeddings=True, max_position_embeddings=64)


def rope(kind, theta=10000.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


# name -> class, what it is for, the configuration, and optionally
#   style    "hub": config.json with rope_theta and rope_scaling, as most published checkpoints have it;
#            "v5": rope_parameters and layer_types, as transformers 5 writes it
#   matters  list of configuration changes, each of which must change the long run
#   gguf     the runs that hold for the GGUF file; llama.cpp's files cannot say the rest (default: both)
#   dtype, shard  of the stored checkpoint
CASES = {
    "llama": dict(family="Llama", note="3 heads, 1 kv head, head_dim is not dim / heads, own output matrix", config=dict(
        hidden_size=48, intermediate_size=112, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        head_dim=24, rms_norm_eps=1e-5, max_position_embeddings=512)),
    "llama-bias": dict(family="Llama", style="v5", note="bias in attention and ffn, tied, no grouping", config=dict(
        hidden_size=80, intermediate_size=112, num_hidden_layers=1, num_attention_heads=5, num_key_value_heads=5,
        attention_bias=True, mlp_bias=True, tie_word_embeddings=True, max_position_embeddings=512)),
    "llama-linear": dict(family="Llama", note="linear RoPE scaling", matters=[dict(rope_parameters=rope("default"))],
                         config=SMALL | dict(rope_parameters=rope("linear", factor=4.0))),
    "llama-dynamic": dict(family="Llama", note="dynamic NTK RoPE scaling", gguf=["short"],
                          matters=[dict(rope_parameters=rope("default"))],
                          config=SMALL | dict(rope_parameters=rope("dynamic", factor=4.0))),
    "llama-llama3": dict(family="Llama", note="the RoPE scaling of Llama 3.1", matters=[
        dict(rope_parameters=rope("default", 5e5)), dict(rope_parameters=rope("linear", 5e5, factor=8.0))],
        config=SMALL | dict(max_position_embeddings=512, rope_parameters=rope(
            "llama3", 5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64))),
    "llama-yarn": dict(family="Llama", note="YaRN", matters=[
        dict(rope_parameters=rope("default")), dict(rope_parameters=rope("linear", factor=8.0))],
        config=SMALL | dict(max_position_embeddings=512, rope_parameters=rope(
            "yarn", factor=8.0, original_max_position_embeddings=64, beta_fast=16.0, beta_slow=1.0))),
    "llama-longrope": dict(family="Llama", style="v5", note="LongRoPE: the long factors beyond 64 tokens", matters=[
        dict(rope_parameters=rope("default"))], config=SMALL | dict(max_position_embeddings=512, rope_parameters=rope(
            "longrope", factor=8.0, original_max_position_embeddings=64,
            short_factor=[1.0 + i / 32 for i in range(16)], long_factor=[1.0 + i / 2 for i in range(16)]))),
    "llama-bf16": dict(family="Llama", note="stored in bfloat16", dtype="bfloat16",
                       config=SMALL | dict(hidden_size=80, max_position_embeddings=512)),
    "llama-sharded": dict(family="Llama", note="stored in several files", shard="40KB", gguf=[],
                          config=SMALL | dict(max_position_embeddings=512)),
    "mistral": dict(family="Mistral", note="sliding window of 32", gguf=["short"], matters=[dict(sliding_window=None)],
                    config=dict(hidden_size=112, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3,
                                num_key_value_heads=1, head_dim=16, sliding_window=32, max_position_embeddings=512)),
    "qwen2": dict(family="Qwen2", note="bias on q, k and v; head_dim 20; tied", config=dict(
        hidden_size=80, intermediate_size=112, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=True, rope_parameters=rope("default", 1e6), max_position_embeddings=512)),
    "qwen2-window": dict(family="Qwen2", note="sliding window from layer 1 on", gguf=["short"], matters=[
        dict(use_sliding_window=False), dict(max_window_layers=0, layer_types=None)], config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3,
        tie_word_embeddings=True, use_sliding_window=True, sliding_window=40, max_window_layers=1,
        rope_parameters=rope("default", 1e6), max_position_embeddings=512)),
    "qwen3": dict(family="Qwen3", note="norms on q and k; head_dim 32 of dim 48", config=dict(
        hidden_size=48, intermediate_size=112, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        head_dim=32, rope_parameters=rope("default", 1e6), max_position_embeddings=512)),
    "qwen3-yarn": dict(family="Qwen3", style="v5", note="YaRN as Qwen3 uses it for long contexts, tied", matters=[
        dict(rope_parameters=rope("default", 1e6))], config=SMALL | dict(rope_parameters=rope(
            "yarn", 1e6, factor=4.0, original_max_position_embeddings=64), max_position_embeddings=256)),
    "gemma3": dict(family="Gemma3Text", note="five sliding layers to a global one, RoPE scaled on the global one", matters=[
        dict(sliding_window=LONG + 1),
        dict(rope_parameters={"full_attention": rope("default", 1e6), "sliding_attention": rope("default", 1e4)}),
        dict(rope_parameters={"full_attention": rope("linear", 1e4, factor=8.0), "sliding_attention": rope("default", 1e4)})],
        config=dict(hidden_size=40, intermediate_size=48, num_hidden_layers=7, num_attention_heads=2,
                    num_key_value_heads=1, head_dim=16, query_pre_attn_scalar=16, sliding_window=24,
                    max_position_embeddings=512, rope_parameters={
                        "full_attention": rope("linear", 1e6, factor=8.0), "sliding_attention": rope("default", 1e4)})),
    "gemma3-layers": dict(family="Gemma3Text", style="v5", note="layer_types, query scale that is not head_dim", gguf=[],
                          matters=[dict(query_pre_attn_scalar=24), dict(layer_types=["full_attention"] * 3)],
                          config=dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=3,
                                      num_key_value_heads=3, head_dim=24, query_pre_attn_scalar=60, sliding_window=32,
                                      max_position_embeddings=512, layer_types=[
                                          "full_attention", "sliding_attention", "full_attention"])),
    "gemma": dict(family="Gemma", dtype="bfloat16", note="scaled embeddings, norms stored minus one, heads wider than dim / heads", config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        head_dim=24, max_position_embeddings=512)),
    "gemma2": dict(family="Gemma2", dtype="bfloat16", note="caps on scores and logits, every other layer slides", matters=[
        dict(attn_logit_softcapping=None), dict(final_logit_softcapping=None), dict(sliding_window=LONG + 1)],
        config=dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=2,
                    num_key_value_heads=1, head_dim=24, query_pre_attn_scalar=24, sliding_window=24,
                    attn_logit_softcapping=3.0, final_logit_softcapping=2.0, max_position_embeddings=512)),
    "phi3": dict(family="Phi3", dtype="bfloat16", note="fused matrices, LongRoPE beyond 64 tokens, a window of 80", gguf=["short", "long"],
                 matters=[dict(sliding_window=None), dict(rope_parameters=rope("default"))], config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        sliding_window=80, max_position_embeddings=512, original_max_position_embeddings=64, rope_parameters=rope(
            "longrope", original_max_position_embeddings=64, short_factor=[1.0 + i / 32 for i in range(8)],
            long_factor=[1.0 + i / 2 for i in range(8)]))),
    "phi3-partial": dict(family="Phi3", dtype="bfloat16", note="three quarters of a head are rotated", config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
        max_position_embeddings=512, rope_parameters=rope("default", partial_rotary_factor=0.75))),
    "gpt2": dict(family="GPT2", dtype="bfloat16", note="learned positions, transposed matrices", config=dict(
        n_embd=48, n_layer=2, n_head=3, n_positions=320)),
    "gpt2-inner": dict(family="GPT2", dtype="bfloat16", note="an FFN of its own size, unscaled scores", gguf=[], matters=[
        dict(scale_attn_weights=True)], config=dict(
        n_embd=40, n_layer=2, n_head=5, n_inner=112, n_positions=320, scale_attn_weights=False)),
    "gpt_neox": dict(family="GPTNeoX", dtype="bfloat16", note="a quarter of a head is rotated, attention beside FFN", matters=[
        dict(use_parallel_residual=False)], config=dict(
        hidden_size=48, intermediate_size=112, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=512)),
    "gpt_neox-serial": dict(family="GPTNeoX", dtype="bfloat16", style="v5", note="attention before FFN, all of a head is rotated", config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=512,
        use_parallel_residual=False, rope_parameters=rope("default", partial_rotary_factor=1.0))),
    "opt": dict(family="OPT", dtype="bfloat16", note="positions from row 2 on, ReLU", gguf=[], config=dict(
        hidden_size=48, ffn_dim=80, num_hidden_layers=2, num_attention_heads=3, word_embed_proj_dim=48,
        max_position_embeddings=320)),
    "opt-350m": dict(family="OPT", dtype="bfloat16", note="norms behind the sums, embeddings of their own width", gguf=[], config=dict(
        hidden_size=48, ffn_dim=80, num_hidden_layers=2, num_attention_heads=3, word_embed_proj_dim=40,
        do_layer_norm_before=False, max_position_embeddings=320)),
    "olmo2": dict(family="Olmo2", dtype="bfloat16", note="norms behind attention and FFN alone, q and k normed over all heads", config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        max_position_embeddings=512)),
    "granite": dict(family="Granite", dtype="bfloat16", note="factors on embeddings, residuals, scores and logits", matters=[
        dict(embedding_multiplier=1.0), dict(residual_multiplier=1.0), dict(attention_multiplier=1.0),
        dict(logits_scaling=1.0)], config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        embedding_multiplier=3.0, residual_multiplier=0.5, attention_multiplier=0.3, logits_scaling=0.4,
        max_position_embeddings=512)),
    "starcoder2": dict(family="Starcoder2", dtype="bfloat16", note="LayerNorm, plain FFN, a window of 40", matters=[
        dict(sliding_window=None)], config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        sliding_window=40, max_position_embeddings=512)),
    "stablelm": dict(family="StableLm", dtype="bfloat16", note="a quarter of a head is rotated, biases on q, k and v", config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
        use_qkv_bias=True, max_position_embeddings=512)),
    "stablelm-parallel": dict(family="StableLm", dtype="bfloat16", note="norms of each head of q and k, attention beside FFN behind one norm",
                              config=dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2,
                                          num_attention_heads=2, num_key_value_heads=1, qk_layernorm=True,
                                          use_parallel_residual=True, max_position_embeddings=512,
                                          rope_parameters=rope("default", partial_rotary_factor=0.5))),
    "smollm3": dict(family="SmolLM3", dtype="bfloat16", note="no rotation on every fourth layer", matters=[
        dict(no_rope_layers=[1] * 5)], config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=5, num_attention_heads=3, num_key_value_heads=1,
        max_position_embeddings=512)),
    "mixtral": dict(family="Mixtral", dtype="bfloat16", note="two of five experts", matters=[dict(num_experts_per_tok=1)], config=dict(
        hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        num_local_experts=5, num_experts_per_tok=2, sliding_window=None, max_position_embeddings=512)),
    "qwen3_moe": dict(family="Qwen3Moe", dtype="bfloat16", note="three of seven experts, their weights scaled to sum to one", matters=[
        dict(norm_topk_prob=False)], config=dict(
        hidden_size=48, intermediate_size=112, moe_intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=24, num_experts=7, num_experts_per_tok=3, norm_topk_prob=True,
        max_position_embeddings=512)),
    "qwen3_moe-raw": dict(family="Qwen3Moe", dtype="bfloat16", note="weights of experts as the router gives them", gguf=[], config=dict(
        hidden_size=48, intermediate_size=112, moe_intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, num_experts=4, num_experts_per_tok=2, max_position_embeddings=512)),
}


def build(case, **changes):
    """A model of the case with the library's own random weights."""
    config = dict(vocab_size=VOCAB, bos_token_id=1, eos_token_id=2, pad_token_id=None) | case["config"] | changes
    config = getattr(transformers, case["family"] + "Config")(**json.loads(json.dumps(config)))
    config._attn_implementation = "eager"
    name = case["family"].removesuffix("Text") + ("LMHeadModel" if case["family"] == "GPT2" else "ForCausalLM")
    return getattr(transformers, name)(config).eval()


def draw_weights(model, generator):
    """Weights that make every part count: attention well away from uniform, norms away from one, biases away from zero."""
    gemma = "Gemma" in type(model).__name__
    transposed = type(model).__name__.startswith("GPT2")
    for name, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=generator)
        if name.endswith("bias"):
            value = 0.3 * noise
        elif "norm" in name or "ln_" in name:
            sharper = 1.5 if "q_norm" in name or "k_norm" in name else 1.0
            value = sharper * (1 + 0.3 * noise) - (1 if gemma else 0)
        elif any(part in name for part in ("embed_tokens", "embed_in", "embed_positions", "wte", "wpe")):
            value = 0.3 * noise
        else:
            sharper = 1.6 if "q_proj" in name or "k_proj" in name else 1.0
            if any(part in name for part in ("qkv_proj", "query_key_value", "c_attn")):
                sharper = 1.4
            value = noise * sharper / weight.shape[-2 if transposed else -1] ** 0.5
        weight.data.copy_(value)


def hub_config(config, family):
    """config.json as checkpoints published before transformers 5 have it."""
    out = dict(config)
    out["torch_dtype"] = out.pop("dtype")
    parameters = out.pop("rope_parameters", None)
    if parameters is None:
        return out
    if family == "Gemma3Text":
        out["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        out["sliding_window_pattern"] = out.pop("_sliding_window_pattern", 6)
        parameters = parameters["full_attention"]
    out.pop("layer_types", None)
    parameters = dict(parameters)
    names = ("rotary_emb_base", "rotary_pct") if family == "GPTNeoX" else ("rope_theta", "partial_rotary_factor")
    out[names[0]] = parameters.pop("rope_theta")
    if "partial_rotary_factor" in parameters:
        out[names[1]] = parameters.pop("partial_rotary_factor")
    if parameters["rope_type"] != "default":
        out["rope_scaling"] = parameters
    return out


def save(model, case, folder):
    folder.mkdir(parents=True)
    model.save_pretrained(folder, max_shard_size=case.get("shard", "1GB"))
    (folder / "generation_config.json").unlink(missing_ok=True)
    for path in folder.iterdir():
        path.chmod(0o644)
    config = json.loads((folder / "config.json").read_text())
    config.pop("transformers_version", None)
    if case.get("style", "hub") == "hub":
        config = hub_config(config, case["family"])
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load(folder):
    """A fresh model from disk, in float32: some RoPE kinds change a model's state as it runs."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model, ids):
    return model(torch.tensor([ids]), use_cache=False).logits[0].float().numpy()


def noise_of(folder, ids, reference):
    model, generator = load(folder), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.mul_(1 + 2.0 ** -23 * torch.randn(weight.shape, generator=generator))
    return float(np.abs(logits(model, ids) - reference).max())


def check_matters(case, model, ids):
    reference = logits(model, ids)
    for change in case.get("matters", []):
        other = build(case, **change)
        other.load_state_dict(model.state_dict())
        difference = np.abs(logits(other, ids) - reference).max()
        if difference < 0.1:
            raise SystemExit(f"{case['note']}: {change} changes the logits by {difference:.2g} only")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_case(name, case, out):
    generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
    model = build(case)
    draw_weights(model, generator)
    model = model.to(getattr(torch, case.get("dtype", "float32")))
    folder = out / name
    save(model, case, folder)
    gguf_runs = case.get("gguf", ["short", "long"])
    if gguf_runs:
        golden_gguf.write(folder, name, model)
    again = build(case)  # not model.float(): a bfloat16 model has rounded RoPE frequencies too
    again.load_state_dict(model.state_dict())
    model, runs = again, []
    for run, length in ("short", SHORT), ("long", LONG):
        ids = torch.randint(0, VOCAB, (length,), generator=generator).tolist()
        positions = list(range(length)) if run == "short" else [0, 1, 31, 32, 63, 64, 150, *range(length - 16, length)]
        values = logits(load(folder), ids)
        if not np.allclose(values, logits(model, ids), atol=1e-4):
            raise SystemExit(f"{name}: config.json as stored does not mean the model it was made from")
        np.save(folder / f"{run}.npy", np.ascontiguousarray(values[positions]))
        runs.append(dict(name=run, ids=ids, positions=positions, logits=f"{run}.npy",
                         noise=float(f"{noise_of(folder, ids, values):.1e}")))
    check_matters(case, model, ids)
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    return dict(name=name, note=case["note"], architecture=type(model).__name__, files=files, runs=runs,
                gguf=dict(file="model.gguf", runs=gguf_runs) if gguf_runs else None)


def dump(manifest):
    """JSON with the arrays of numbers on one line each."""
    text = json.dumps(manifest, indent=1)
    lines, inside = [], False
    for line in text.split("\n"):
        number = line.strip().rstrip(",").lstrip("-").isdigit() or line.strip() in ("]", "],") and inside
        lines.append(line.strip() if number else "\n" + line)
        inside = (inside or line.endswith("[")) and number or line.endswith("[")
    return "".join(lines).lstrip("\n") + "\n"


def compare(made, committed):
    """Differences between two folders: checkpoints must be the same bytes, logits the same up to noise."""
    old, new = (json.loads((folder / "manifest.json").read_text()) for folder in (committed, made))
    for before, after in zip(old["cases"], new["cases"], strict=True):
        for file, digest in after["files"].items():
            if not file.endswith(".npy") and digest != before["files"][file]:
                yield f"{after['name']}/{file}: other bytes"
        for run, again in zip(before["runs"], after["runs"], strict=True):
            values = [np.load(folder / after["name"] / run["logits"]) for folder in (committed, made)]
            difference = np.abs(values[0] - values[1]).max()
            if run["ids"] != again["ids"] or difference > max(20 * run["noise"], 1e-5):
                yield f"{after['name']}/{run['logits']}: differs by {difference:.2g}"


def write_all(description, name, make_cases, compare, **more):
    """A generator's main: tests/golden/NAME again, or with --check build/golden-NAME and how that differs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, change nothing")
    options = parser.parse_args()
    committed = ROOT / "tests/golden" / name
    out = ROOT / f"build/golden-{name}" if options.check else committed
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    shutil.rmtree(out, ignore_errors=True)
    cases = make_cases(out)
    versions = dict(transformers=transformers.__version__, torch=torch.__version__.split("+")[0])
    (out / "manifest.json").write_text(dump(versions | more | dict(cases=cases)))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{len(cases)} cases, {size / 1e6:.1f} MB in {out}")
    differences = list(compare(out, committed)) if options.check else []
    print("\n".join(differences))
    return 1 if differences else 0


def main():
    return write_all("Tiny random checkpoints and their reference logits.", "models",
                     lambda out: [make_case(name, case, out) for name, case in CASES.items()], compare)


if __name__ == "__main__":
    sys.exit(main())
