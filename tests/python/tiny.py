"""Writes tiny random models as Hugging Face directories: a Llama that can talk, with a byte-level tokenizer and a chat
template; tokenizers of encoders; a Whisper, and what it can hear."""

import json
import pathlib
import shutil
import wave

import numpy as np

SPECIALS = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
VOCAB = 256 + len(SPECIALS)
BOS, EOS, IM_START, IM_END = range(256, VOCAB)
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 16, "vocab_size": VOCAB}


def byte_letters():
    """The letter that stands for each byte in byte-level BPE: printable ones for themselves."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


def tokenizer():
    letters = byte_letters()
    return {
        "version": "1.0",
        "added_tokens": [{"id": 256 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, text in enumerate(SPECIALS)],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {letters[b]: b for b in range(256)}, "merges": []},
    }


def tensors(rng):
    s = SHAPE
    heads, kv = s["num_attention_heads"] * s["head_dim"], s["num_key_value_heads"] * s["head_dim"]
    dim, ffn = s["hidden_size"], s["intermediate_size"]
    out = {"model.embed_tokens.weight": (VOCAB, dim), "lm_head.weight": (VOCAB, dim), "model.norm.weight": (dim,)}
    for i in range(s["num_hidden_layers"]):
        block = {"input_layernorm": (dim,), "post_attention_layernorm": (dim,), "self_attn.q_proj": (heads, dim),
                 "self_attn.k_proj": (kv, dim), "self_attn.v_proj": (kv, dim), "self_attn.o_proj": (dim, heads),
                 "mlp.gate_proj": (ffn, dim), "mlp.up_proj": (ffn, dim), "mlp.down_proj": (dim, ffn)}
        out |= {f"model.layers.{i}.{name}.weight": shape for name, shape in block.items()}
    return {name: np.ones(shape, np.float32) if len(shape) == 1 else rng.normal(0, 0.3, shape).astype(np.float32)
            for name, shape in out.items()}


def write_safetensors(path, arrays):
    header, at = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in arrays.values()))


def write(folder, *, seed=1, template=TEMPLATE):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5,
              "rope_theta": 10000.0, "max_position_embeddings": 1 << 18, "bos_token_id": BOS, "eos_token_id": EOS,
              "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False, **SHAPE}
    names = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}
    if template:
        names["chat_template"] = template
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    write_safetensors(folder / "model.safetensors", tensors(np.random.default_rng(seed)))
    return folder


def word_piece():
    """[CLS] text [SEP], in letters; two texts become two segments."""
    specials = {name: i for i, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])}
    letters = [chr(ord("a") + i) for i in range(26)]
    pieces = specials | {p: 4 + i for i, p in enumerate(letters + [f"##{c}" for c in letters])}

    def special(name, segment):
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def text(name, segment):
        return {"Sequence": {"id": name, "type_id": segment}}

    one = [special("[CLS]", 0), text("A", 0), special("[SEP]", 0)]
    return {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for name, i in specials.items()],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": one,
                           "pair": one + [text("B", 1), special("[SEP]", 1)],
                           "special_tokens": {name: {"id": name, "ids": [specials[name]], "tokens": [name]}
                                              for name in ["[CLS]", "[SEP]"]}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": pieces},
    }


def with_tokenizer(model, folder, text=None):
    """A copy of an encoder that has no tokenizer; `text`: that of its tokenizer.json."""
    shutil.copytree(model, folder)
    (folder / "tokenizer.json").write_text(text or json.dumps(word_piece()))
    return folder


def write_bert(folder, *, seed=3, dim=64, ffn=96, layers=2):
    """An encoder whose rows are whole blocks of the small types."""
    rng = np.random.default_rng(seed)
    config = {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": dim,
              "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": 2, "layer_norm_eps": 1e-12,
              "max_position_embeddings": 64, "type_vocab_size": 2, "vocab_size": len(word_piece()["model"]["vocab"])}
    arrays = {}

    def matrix(name, rows, cols):
        arrays[name + ".weight"] = rng.normal(0, 0.3, (rows, cols)).astype(np.float32)

    def linear(name, rows, cols):
        matrix(name, rows, cols)
        arrays[name + ".bias"] = rng.normal(0, 0.1, rows).astype(np.float32)

    def norm(name):
        arrays[name + ".weight"], arrays[name + ".bias"] = np.ones(dim, np.float32), np.zeros(dim, np.float32)

    for name, rows in ("word", config["vocab_size"]), ("position", 64), ("token_type", 2):
        matrix(f"embeddings.{name}_embeddings", rows, dim)
    norm("embeddings.LayerNorm")
    for i in range(layers):
        layer = f"encoder.layer.{i}"
        for name in "query", "key", "value":
            linear(f"{layer}.attention.self.{name}", dim, dim)
        linear(f"{layer}.attention.output.dense", dim, dim)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", ffn, dim)
        linear(f"{layer}.output.dense", dim, ffn)
        norm(f"{layer}.output.LayerNorm")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(word_piece()))
    write_safetensors(folder / "model.safetensors", arrays)
    return folder


WORDS = [" ", *(chr(c) for c in [*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("Z") + 1)]), ".", ",", "'"]
CONTROL = ["endoftext", "startoftranscript", "en", "de", "translate", "transcribe", "startoflm", "startofprev", "nospeech",
           "notimestamps"]
WHISPER_IDS = {name: len(WORDS) + i for i, name in enumerate(CONTROL)}
FIRST_TIME = len(WORDS) + len(CONTROL)
WHISPER = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
           "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_mel_bins": 80,
           "max_source_positions": 1500, "max_target_positions": 448, "vocab_size": FIRST_TIME + 1501}


def whisper_tokenizer():
    letters = byte_letters()
    pieces = {letters[ord(word)]: i for i, word in enumerate(WORDS)}
    return {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": f"<|{name}|>", "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for name, i in WHISPER_IDS.items()],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": pieces, "merges": []},
    }


def whisper_tensors(rng):
    dim, out = WHISPER["d_model"], {}

    def add(name, *shape, deviation=0.25, mean=0.0):
        out[f"model.{name}"] = rng.normal(mean, deviation, shape).astype(np.float32)

    def linear(name, *shape, bias=True):
        add(f"{name}.weight", *shape)
        if bias:
            add(f"{name}.bias", shape[0], deviation=0.1)

    def norm(name):
        add(f"{name}.weight", dim, deviation=0.1, mean=1.0)
        add(f"{name}.bias", dim, deviation=0.1)

    def attention(name):
        for part in "qkv":
            linear(f"{name}.{part}_proj", dim, dim, bias=part != "k")
        linear(f"{name}.out_proj", dim, dim)
        norm(f"{name}_layer_norm")

    linear("encoder.conv1", dim, WHISPER["num_mel_bins"], 3)
    linear("encoder.conv2", dim, dim, 3)
    for side in ("encoder", "decoder"):
        block = f"{side}.layers.0"
        add(f"{side}.embed_positions.weight", WHISPER["max_source_positions" if side == "encoder" else "max_target_positions"],
            dim, deviation=0.5)
        attention(f"{block}.self_attn")
        if side == "decoder":
            attention(f"{block}.encoder_attn")
        linear(f"{block}.fc1", 2 * dim, dim)
        linear(f"{block}.fc2", dim, 2 * dim)
        norm(f"{block}.final_layer_norm")
        norm(f"{side}.layer_norm")
    add("decoder.embed_tokens.weight", WHISPER["vocab_size"], dim, deviation=0.5)
    out["model.decoder.embed_tokens.weight"][FIRST_TIME:] *= 0.2  # few words among many times: these have to be likelier
    return out


def write_whisper(folder, *, seed=1):
    """A tiny random Whisper with real windows and times, of few words."""
    folder.mkdir(parents=True)
    ids = WHISPER_IDS
    names = {"decoder_start_token_id": ids["startoftranscript"], "eos_token_id": ids["endoftext"],
             "pad_token_id": ids["endoftext"], "bos_token_id": ids["endoftext"]}
    config = {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper",
              "activation_function": "gelu", **names, **WHISPER}
    never = [ids[name] for name in CONTROL if name not in ("endoftext", "en", "de", "notimestamps")]
    search = {"suppress_tokens": [1, 2, *never], "begin_suppress_tokens": [0, ids["endoftext"]], "is_multilingual": True,
              "lang_to_id": {f"<|{name}|>": ids[name] for name in ("en", "de")},
              "task_to_id": {name: ids[name] for name in ("transcribe", "translate")},
              "no_timestamps_token_id": ids["notimestamps"], "max_initial_timestamp_index": 50, "max_length": 448, **names}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps(search))
    (folder / "tokenizer.json").write_text(json.dumps(whisper_tokenizer()))
    write_safetensors(folder / "model.safetensors", whisper_tensors(np.random.default_rng(seed)))
    return folder


def sound(seconds, *, rate=16000, seed=5):
    """Noise that swells and fades, float32."""
    noise = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate))
    return (noise * np.sin(np.arange(len(noise)) * np.pi / rate * 2)).astype(np.float32)


def write_wav(path, samples, *, rate=16000):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path
