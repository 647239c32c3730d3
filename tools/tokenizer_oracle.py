#!/usr/bin/env python3
"""Compares miao's token ids with those of Hugging Face `tokenizers` and `sentencepiece` on generated strings.

    python3 tools/tokenizer_oracle.py --miao build/miao --vocabs DIR --work DIR [--count 100000] [--only llama3,bert]
    python3 tools/tokenizer_oracle.py --golden                # rewrites tests/golden/tokenizers

--vocabs holds vocabulary-only GGUF files (ggml-vocab-llama-bpe.gguf, ...) and tokenizer.json files; a tokenizer is built
from each vocabulary with the configuration of the real model, saved as tokenizer.json under --work, and compared twice:
through that tokenizer.json and, where the kind allows it, through the GGUF file. The strings come from a fixed seed:
every plane of Unicode, runs of blanks and line breaks, broken UTF-8, digits, CJK, emoji, combining marks, mixed scripts,
code, control tokens. `miao tokens PATH --json` gets one string a line; texts with line breaks go through --text FILE.
Needs: pip install tokenizers sentencepiece gguf
"""
import argparse
import base64
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "tokenizers"

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
REGEX = {
    "llama3": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES,
    "qwen2": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES,
    "qwen35": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + SPACES,
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|"
    r"\s*[\r\n]|\s+(?!\S)|\s+",
    "bailing": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|"
    r"\s*[\r\n]|\s+(?!\S)|\s+",
    "minicpm5": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES,
    "seed": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|" + SPACES,
    "ufakzeka": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES,
    "o200k": rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES,
    "tekken": rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES,
    "deepseek3": r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
    "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|" + r"\s+(?!\S)|\s+",
    "han_kana": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "deepseek_cjk": "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
    "bloom": " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
    "clip": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
}


# ---- configurations ----------------------------------------------------------------------------------------------


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}


def byte_level(regex=False, space=False):
    return {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": True, "use_regex": regex}


def sequence(kind, *members):
    return {"type": "Sequence", kind: list(members)}


def template(before=(), after=()):
    def item(token):
        return {"SpecialToken": {"id": token[0], "type_id": 0}}

    single = [item(t) for t in before] + [{"Sequence": {"id": "A", "type_id": 0}}] + [item(t) for t in after]
    specials = {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in [*before, *after]}
    pair = single + [{"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": specials}


DIGITS = {"type": "Digits", "individual_digits": True}
META_DECODER = [
    {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
]
STRIP_FIRST = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
SPACE_TO_META = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
PRE = {  # name -> pre_tokenizer
    "gpt2": byte_level(regex=True),
    "roberta": byte_level(regex=True, space=True),
    "smollm": sequence("pretokenizers", DIGITS, byte_level(regex=True)),
    "falcon": sequence(
        "pretokenizers",
        {"type": "Punctuation", "behavior": "Contiguous"},
        byte_level(regex=True),
        {"type": "Digits", "individual_digits": False},
        split("[0-9][0-9][0-9]"),
    ),
    "deepseek-coder": sequence(
        "pretokenizers",
        split("[\r\n]"),
        split(r"\s?\p{L}+"),
        split(r"\s?\p{P}+"),
        split(REGEX["deepseek_cjk"]),
        DIGITS,
        byte_level(),
    ),
    "deepseek3": sequence(
        "pretokenizers", split(r"\p{N}{1,3}"), split(REGEX["han_kana"]), split(REGEX["deepseek3"]), byte_level()
    ),
    "minicpm5": sequence("pretokenizers", split(r"\p{N}{1,3}"), split(REGEX["minicpm5"]), byte_level()),
    "clip": sequence("pretokenizers", split(REGEX["clip"], "Removed", True), byte_level()),
}
for name in ("llama3", "qwen2", "qwen35", "cl100k", "bailing", "seed", "ufakzeka", "o200k", "tekken", "bloom"):
    PRE[name] = sequence("pretokenizers", split(REGEX[name]), byte_level())


def added(id_, content, special=True, **flags):
    base = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": id_, "content": content, **base, **flags, "special": special}


def document(model, added_tokens=(), normalizer=None, pre=None, post=None, decoder=None):
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added_tokens),
        "normalizer": normalizer,
        "pre_tokenizer": pre,
        "post_processor": post,
        "decoder": decoder,
        "model": model,
    }


class Gguf:
    def __init__(self, path):
        import gguf

        self.path = path
        fields = gguf.GGUFReader(path).fields
        get = lambda key: fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else None
        self.model, self.tokens, self.types = get("model"), get("tokens"), get("token_type")
        self.merges, self.scores = get("merges"), get("scores")
        self.charsmap = get("precompiled_charsmap")
        self.bos, self.eos, self.unk = get("bos_token_id"), get("eos_token_id"), get("unknown_token_id")

    def added(self):
        return [added(i, t, self.types[i] != 4) for i, t in enumerate(self.tokens) if self.types[i] in (2, 3, 4)]

    def bpe(self, **options):
        merges = [m.split(" ", 1) if m[0] != " " else [" ", m[2:]] for m in self.merges]
        vocab = {t: i for i, t in enumerate(self.tokens)}
        return {"type": "BPE", "unk_token": None, "fuse_unk": False, "vocab": vocab, "merges": merges, **options}

    def merges_from_scores(self):
        """The merge list that Hugging Face's converter makes of a SentencePiece model."""
        vocab = {t: i for i, t in enumerate(self.tokens)}
        merges = []
        for piece, score in zip(self.tokens, self.scores):
            local = []
            for cut in range(1, len(piece)):
                left, right = piece[:cut], piece[cut:]
                if left in vocab and right in vocab:
                    local.append((left, right, score))
            merges += sorted(local, key=lambda m: (vocab[m[0]], vocab[m[1]]))
        merges.sort(key=lambda m: m[2], reverse=True)
        return [[left, right] for left, right, _ in merges]

    def sentencepiece(self, kind):
        """A SentencePiece processor with the same pieces: the oracle of the kinds llama and t5."""
        import sentencepiece
        from sentencepiece import sentencepiece_model_pb2 as pb

        m = pb.ModelProto()
        for text, score, type_ in zip(self.tokens, self.scores, self.types):
            # User-defined pieces are cut out as added tokens before the model; here they are ordinary ones.
            m.pieces.add(piece=text, score=score, type=1 if type_ == 4 else type_)
        m.trainer_spec.model_type = {"bpe": 2, "unigram": 1}[kind]
        m.trainer_spec.byte_fallback = 6 in self.types
        m.normalizer_spec.name = "identity"
        m.normalizer_spec.add_dummy_prefix = True
        m.normalizer_spec.remove_extra_whitespaces = kind == "unigram"
        m.normalizer_spec.escape_whitespaces = True
        if self.charsmap:
            m.normalizer_spec.precompiled_charsmap = bytes(self.charsmap)
        return sentencepiece.SentencePieceProcessor(model_proto=m.SerializeToString())


def vocab_id(g, token):
    return g.tokens.index(token)


def llama2_model(g):
    vocab = {t: i for i, t in enumerate(g.tokens)}
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": "<unk>",
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": vocab,
        "merges": g.merges_from_scores(),
    }


def bert_document(vocab, lower=True):
    specials = [added(vocab[t], t) for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    specials[-1]["lstrip"] = not lower  # some models ship it so
    return document(
        {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
        specials,
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": lower,
        },
        pre={"type": "BertPreTokenizer"},
        post=template([("[CLS]", vocab["[CLS]"])], [("[SEP]", vocab["[SEP]"])]),
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    )


def documents(vocabs):
    """name -> (tokenizer.json document, GGUF path to compare as well or None)"""

    def gguf_file(name):
        return next(iter(Path(vocabs).glob(f"*{name}*.gguf")), None)

    out = {}
    byte_level_files = {  # file -> [(name, pre-tokenizer, normalizer, ignore_merges, compare the GGUF too)]
        "smollm2": [("smollm2", "smollm", None, False, True)],
        "vocab-gpt-2": [("gpt2", "gpt2", None, False, True), ("roberta", "roberta", None, False, False)],
        "llama-bpe": [
            ("llama3", "llama3", None, True, True),
            ("cl100k", "cl100k", None, False, False),
            ("o200k", "o200k", None, True, False),
            ("tekken", "tekken", None, True, False),
            ("minicpm5", "minicpm5", None, True, False),
        ],
        "qwen2": [
            ("qwen2", "qwen2", {"type": "NFC"}, False, False),
            ("qwen2-gguf", "qwen2", None, False, True),
            ("qwen2-nfkc", "qwen2", {"type": "NFKC"}, False, False),
            ("qwen2-nfd", "qwen2", {"type": "NFD"}, False, False),
            ("qwen2-nfkd", "qwen2", {"type": "NFKD"}, False, False),
            ("qwen2-lower", "qwen2", {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": True}]}, False, False),
            ("bailing", "bailing", None, False, False),
            ("seed", "seed", None, False, False),
            ("ufakzeka", "ufakzeka", None, False, False),
        ],
        "qwen35": [("qwen35", "qwen35", None, False, True)],
        "starcoder": [("starcoder", "smollm", None, False, True)],
        "command-r": [("command-r", "smollm", {"type": "NFC"}, False, False)],
        "falcon": [("falcon", "falcon", None, False, True)],
        "deepseek-coder": [("deepseek-coder", "deepseek-coder", None, False, True)],
        "deepseek-llm": [("deepseek3", "deepseek3", None, False, False), ("bloom", "bloom", None, False, False)],
    }
    for file, variants in byte_level_files.items():
        path = gguf_file(file)
        if not path:
            continue
        g = Gguf(path)
        for name, pre, normalizer, ignore, compare in variants:
            post = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
            if name == "llama3":
                post = sequence("processors", post, template([(g.tokens[g.bos], g.bos)]))
            out[name] = (
                document(g.bpe(ignore_merges=ignore), g.added(), normalizer, PRE[pre], post, byte_level(regex=True)),
                path if compare else None,
            )
    if path := gguf_file("llama-spm"):
        g = Gguf(path)
        model = llama2_model(g)
        specials = [added(i, t) for i, t in enumerate(("<unk>", "<s>", "</s>"))]
        prepend = sequence("normalizers", {"type": "Prepend", "prepend": "\u2581"}, SPACE_TO_META)
        decoder = sequence("decoders", *META_DECODER, STRIP_FIRST)
        out["llama2"] = (document(model, specials, prepend, None, template([("<s>", 1)]), decoder), None)
        metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
        out["llama2-new"] = (document(model, specials, None, metaspace, template([("<s>", 1)]), decoder), None)
        cut = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
        odd = [added(0, "<unk>"), added(1, "<s>", lstrip=True), added(2, "</s>", rstrip=True, normalized=True)]
        odd += [added(vocab_id(g, "ing"), "ing", False, normalized=True, single_word=True), added(32000, "the end", False, lstrip=True, rstrip=True)]
        out["llama2-cut"] = (document(model, odd, {"type": "Lowercase"}, cut, template([], [("</s>", 2)]), {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}), None)
        out["llama2-no-bytes"] = (document({**model, "byte_fallback": False}, specials, prepend, None, None, decoder), None)
    if path := gguf_file("gemma-4"):
        g = Gguf(path)
        g.types = [3 if t in ("<bos>", "<eos>", "<pad>", "<unk>", "<mask>") else 4 if t.startswith("<unused") else 1 for t in g.tokens]
        model = g.bpe(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
        pre = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
        out["gemma"] = (document(model, g.added(), SPACE_TO_META, pre, template([("<bos>", 2)]), sequence("decoders", *META_DECODER)), None)
    if path := gguf_file("nomic-bert-moe"):
        g = Gguf(path)
        charsmap = base64.b64encode(bytes(g.charsmap)).decode()
        model = {"type": "Unigram", "unk_id": g.unk, "vocab": [[t, s] for t, s in zip(g.tokens, g.scores)], "byte_fallback": False}
        meta = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
        specials = [added(i, t) for i, t in enumerate(g.tokens) if g.types[i] in (2, 3)]
        precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
        post = template([("<s>", 0)], [("</s>", 2)])
        pre = sequence("pretokenizers", {"type": "WhitespaceSplit"}, meta)
        out["xlmr"] = (document(model, specials, precompiled, pre, post, meta), None)
        squeeze = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
        strip = {"type": "Strip", "strip_left": False, "strip_right": True}
        out["t5-new"] = (document(model, specials, sequence("normalizers", precompiled, strip, squeeze), meta, post, meta), None)
        out["nmt"] = (document(model, specials, sequence("normalizers", {"type": "Nmt"}, {"type": "NFKC"}), sequence("pretokenizers", {"type": "Whitespace"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"}, meta), post, meta), None)
    if path := gguf_file("bert-bge"):
        g = Gguf(path)
        vocab = {}
        for i, t in enumerate(g.tokens):
            vocab[t if g.types[i] == 3 else t[1:] if t[0] == "\u2581" else "##" + t] = i
        out["bert"] = (bert_document(vocab), path)
        out["bert-cased"] = (bert_document(vocab, lower=False), None)
    for path in sorted(Path(vocabs).glob("*.json")):
        out[path.stem] = (json.loads(path.read_text()), None)
    return out


# ---- strings -----------------------------------------------------------------------------------------------------

WORDS = """the of and to in is that it was for on are as with his they at be this from have or by one had not but what
all were when we there can an your which their said if do will each about how up out them then she many some so these
would other into has more her two like him see time could no make than first been its who now people my made over did
down only way find use may water long little very after words called just where most know I'm don't we've they'll
IT'S YOU'RE He'd can't could've Tokenization internationalization antidisestablishmentarianism naive cafe resume
def return import class print(f"{x}") std::vector<int> -> {} [] () == != <= // /* */ #include https://example.com/a?b=c&d=1
user@example.org 3.14159 1,000,000 0xDEADBEEF 12:34:56 2024-01-31 $5.00 50% C++ C# .NET node.js a_b_c camelCaseWord SNAKE_CASE
Stra\u00dfe gr\u00f6\u00dfer \u00c4rger \u00e9\u00e8\u00ea\u00eb \u00f1and\u00fa a\u00e7\u00e3o cora\u00e7\u00e3o \u0130stanbul \u0131ss\u0131z \u015dan\u011do \u0141\u00f3d\u017a \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u1f08\u03b8\u1fc6\u03bd\u03b1\u03b9 \u0395\u03bb\u03bb\u03ac\u03b4\u03b1 \u039f\u0394\u039f\u03a3 \u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 \u0423\u043a\u0440\u0430\u0457\u043d\u0430
\u4f60\u597d \u4e16\u754c \u4e2d\u6587\u5206\u8bcd \u65e5\u672c\u8a9e \u30c6\u30ad\u30b9\u30c8 \u3072\u3089\u304c\u306a \u30ab\u30bf\u30ab\u30ca \ud55c\uad6d\uc5b4 \ubb38\uc7a5 \u0e44\u0e17\u0e22\u0e20\u0e32\u0e29\u0e32 \u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e \u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0627\u0644\u0633\u0644\u0627\u0645 \u05e2\u05d1\u05e8\u05d9\u05ea \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u0540\u0561\u0575\u0565\u0580\u0565\u0576
\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd 1\ufe0f\u20e3 \u2764\ufe0f \u00bd \u00b2 \u2167 \u2460 \u0663\u0664\u0665 \u096a\u096b \u4e09 \u3007
\ufb01ligature \ufb00 \u338f \u337f \u00c5 \u00c5 e\u0301 a\u0308\u0323 \u1e0b\u0323 Vi\u1ec7t Nam Vie\u0323\u0302t \u200b zero\u200bwidth soft\u00adhyphen \ufeffbom
""".split()
BLANKS = [" ", "  ", "   ", "\t", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085", "\u200b", "\u1680", "    ", " \t "]
BREAKS = ["\n", "\n\n", "\r\n", "\r", " \n", "\n ", "\n\n\n ", "\n\t"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["'s", "'S", "'ll", "'LL", "'\u017f", "'re", "''", "...", "\u2026", "\u3002", "\uff0c", "\u00ab", "\u2014", "\u201c", "\u2019s", "\u0964", "\u06d4", "\u060c"]
DIGIT = list("0123456789") + ["12", "345", "6789", "1234567", "\u0663", "\u00b2", "\u00bd", "\u2167", "\u0967", "\U0001d7d8", "\u3007", "\u4e09"]
MARKS = [chr(c) for c in (0x300, 0x301, 0x308, 0x323, 0x327, 0x328, 0x345, 0x591, 0x5B0, 0x64B, 0x93C, 0x94D, 0x9CD, 0xE38, 0xE48, 0x1DC0, 0x20D0, 0x20DD, 0x302A, 0x3099, 0xFE0F, 0x1D165, 0xE0100)]


def any_point(rng):
    while True:
        plane = rng.random()
        if plane < 0.5:
            c = rng.randrange(0x20, 0x3000)
        elif plane < 0.8:
            c = rng.randrange(0x3000, 0x10000)
        elif plane < 0.9:
            c = rng.randrange(0x10000, 0x20000)
        else:
            c = rng.randrange(0x110000)
        if not 0xD800 <= c <= 0xDFFF and c not in (0x0A, 0x0D):
            return chr(c)


def make_string(rng, specials, breaks):
    style = rng.random()
    parts = []
    n = rng.choice((1, 2, 3, 5, 8, 13, 21, 40))
    word = lambda: rng.choice(WORDS)
    blank = lambda: rng.choice(BLANKS + (BREAKS if breaks else []))
    if style < 0.3:  # text
        for _ in range(n):
            parts += [word(), rng.choice((" ", " ", " ", blank(), rng.choice(PUNCT), ""))]
    elif style < 0.45:  # everything beside everything
        pick = (word, blank, lambda: rng.choice(PUNCT), lambda: rng.choice(DIGIT), lambda: rng.choice(MARKS), lambda: any_point(rng))
        parts = [rng.choice(pick)() for _ in range(n)]
    elif style < 0.55:
        parts = [any_point(rng) for _ in range(n)]
    elif style < 0.62:  # blanks
        parts = [blank() if rng.random() < 0.8 else rng.choice(WORDS + PUNCT) for _ in range(n)]
    elif style < 0.7:
        parts = [rng.choice(DIGIT) if rng.random() < 0.8 else rng.choice(PUNCT + [" "]) for _ in range(n)]
    elif style < 0.78:  # marks on letters
        for _ in range(n):
            parts += [rng.choice((word(), any_point(rng), "a", "E", "\u05e9", "\u0915", "\uac00", "\u1100\u1161"))]
            parts += [rng.choice(MARKS) for _ in range(rng.randrange(4))]
    elif style < 0.86:  # letters of mixed case and scripts without blanks
        parts = [rng.choice(("a", "B", "\u01c5", "\u02b0", "\u05d0", "\u4e00", "\u0301", "\u0431", "\u0412", "'s", "'T", "1", "_", "-", word())) for _ in range(n)]
    elif style < 0.94 and specials:
        for _ in range(n):
            parts += [rng.choice(specials) if rng.random() < 0.4 else word(), rng.choice(("", " ", "  ", blank(), "x"))]
    else:  # broken UTF-8 (as surrogate escapes)
        for _ in range(n):
            raw = bytes(rng.randrange(128, 256) for _ in range(rng.randrange(1, 4))) if rng.random() < 0.5 else word().encode()[: rng.randrange(1, 9)]
            parts.append(raw.decode("utf-8", "surrogateescape"))
    return "".join(parts)


def make_strings(seed, count, specials, breaks=False):
    rng = random.Random(seed)
    out = []
    while len(out) < count:
        s = make_string(rng, specials, breaks)
        if s and (breaks or not any(c in s for c in "\n\r")):
            out.append(s.encode("utf-8", "surrogateescape"))
    return out


def lossy(raw):
    return raw.decode("utf-8", "replace")


def specials_of(doc):
    texts = [t["content"] for t in doc["added_tokens"]]
    return texts[:8] + texts[-8:] + [texts[0][:-1], texts[0].upper()] if texts else []


# ---- comparison --------------------------------------------------------------------------------------------------


def expected(tokenizer, strings):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [e.ids for e in tokenizer.encode_batch([lossy(s) for s in strings])]


def run_lines(miao, path, strings):
    out = subprocess.run([miao, "tokens", str(path), "--json"], input=b"\n".join(strings) + b"\n", capture_output=True, check=True)
    rows = [json.loads(line) for line in out.stdout.splitlines()]
    return [row["ids"] if isinstance(row, dict) else row for row in rows]


def run_text(miao, path, raw):
    with tempfile.NamedTemporaryFile(suffix=".txt") as f:
        f.write(raw)
        f.flush()
        out = subprocess.run([miao, "tokens", str(path), "--json", "--text", f.name], capture_output=True, check=True)
    row = json.loads(out.stdout)
    return row["ids"] if isinstance(row, dict) else row


def report(name, strings, want, got):
    bad = [i for i, (a, b) in enumerate(zip(want, got)) if a != b]
    missing = len(want) - len(got)
    print(f"{name}: {len(strings)} strings, {len(bad)} differ" + (f", {missing} missing" if missing else ""), flush=True)
    for i in bad[:5]:
        print("  ", ascii(strings[i]), "\n    want", want[i][:60], "\n    got ", got[i][:60])
    return len(bad) + abs(len(want) - len(got))


def compare(miao, vocabs, work, count, only):
    failures = 0
    for name, (doc, gguf_path) in documents(vocabs).items():
        if only and name not in only:
            continue
        path = Path(work) / f"{name}.json"
        path.write_text(json.dumps(doc, ensure_ascii=False))
        tokenizer = Tokenizer.from_str(path.read_text())
        strings = make_strings(f"{name} lines", count, specials_of(doc))
        want = expected(tokenizer, strings)
        failures += report(name, strings, want, run_lines(miao, path, strings))
        if gguf_path:
            plain = [e.ids for e in tokenizer.encode_batch([lossy(s) for s in strings])]
            failures += report(name + " (GGUF)", strings, plain, run_lines(miao, gguf_path, strings))
        texts = [b"".join(make_strings(f"{name} text {i}", 500, specials_of(doc), True)) for i in range(max(1, count // 10000))]
        got = [run_text(miao, path, t) for t in texts]
        failures += report(name + " (texts)", texts, expected(tokenizer, texts), got)
    return failures


# ---- golden samples ----------------------------------------------------------------------------------------------


def small_charsmap(directory):
    """A small precompiled map, made by SentencePiece from rules."""
    import unicodedata

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    points = [c for c in range(0xA0, 0x3400) if unicodedata.normalize("NFKC", chr(c)) != chr(c)][::3]
    points += [*range(0xFB00, 0xFB05), *range(0xFF01, 0xFF20)]
    rules = {(c,): [ord(x) for x in unicodedata.normalize("NFKC", chr(c))] for c in points}
    rules.update({(c,): [0x20] for c in (9, 10, 13, 0xA0, 0x3000, 0x200B, 0xFEFF)})
    rules.update({(0x65, 0x301): [0xE9], (0x61, 0x308): [0xE4], (0x0D, 0x0A): [0x20], (0x2E, 0x2E, 0x2E): [0x2026], (1,): []})
    tsv, corpus = directory / "rules.tsv", directory / "corpus.txt"
    hexes = lambda points: " ".join(f"{c:X}" for c in points)
    tsv.write_text("".join(f"{hexes(k)}\t{hexes(v)}\n" for k, v in rules.items()))
    corpus.write_text("\n".join(" ".join(WORDS[i : i + 9]) for i in range(0, len(WORDS), 3)))
    model = directory / "m"
    sentencepiece.SentencePieceTrainer.train(input=str(corpus), model_prefix=str(model), vocab_size=300, hard_vocab_limit=False, normalization_rule_tsv=str(tsv), minloglevel=2)
    m = pb.ModelProto.FromString(model.with_suffix(".model").read_bytes())
    return base64.b64encode(m.normalizer_spec.precompiled_charsmap).decode()


def train(kind, directory):
    """A small model of a kind as a tokenizer.json document, trained on generated text."""
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    rng = random.Random("train")
    lines = [" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(3000)]
    if kind == "bytes":
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(vocab_size=1400, initial_alphabet=alphabet, special_tokens=["<|end|>", "<|im_start|>"], show_progress=False)
        t.decoder = decoders.ByteLevel()
    elif kind == "chars":
        t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        t.normalizer = normalizers.Replace(" ", "\u2581")
        t.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
        bytes_ = [f"<0x{b:02X}>" for b in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=1100, limit_alphabet=120, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, show_progress=False)
    elif kind == "unigram":
        t = Tokenizer(models.Unigram())
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=900, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
        t.decoder = decoders.Metaspace()
    else:
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = normalizers.BertNormalizer()
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
        t.decoder = decoders.WordPiece()
    t.train_from_iterator(lines, trainer)
    doc = json.loads(t.to_str())
    if kind == "chars":  # byte tokens are pieces of the model, not added tokens
        doc["added_tokens"] = doc["added_tokens"][:3]
        doc["decoder"] = sequence("decoders", *META_DECODER, STRIP_FIRST)
        doc["pre_tokenizer"] = None
    if kind == "unigram":
        doc["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": small_charsmap(directory)}
    return doc


def golden_variants():
    """name -> (base, the fields that differ from it)"""
    out = {name.replace("-", "_"): ("bytes", {"pre_tokenizer": pre}) for name, pre in PRE.items() if name not in ("clip",)}
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        out["bytes_" + form.lower()] = ("bytes", {"normalizer": {"type": form}, "pre_tokenizer": PRE["qwen2"]})
    fold = [{"type": "Lowercase"}, {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": True}]
    out["bytes_fold"] = ("bytes", {"normalizer": sequence("normalizers", *fold), "pre_tokenizer": PRE["gpt2"]})
    odd = [added(0, "<|end|>", lstrip=True), added(1, "<|im_start|>", rstrip=True), added(1400, "ing", False, single_word=True)]
    odd += [added(1401, "the end", False, normalized=True, lstrip=True, rstrip=True)]
    post = sequence("processors", byte_level(), template([("<|im_start|>", 1)], [("<|end|>", 0)]))
    out["bytes_added"] = ("bytes", {"added_tokens": odd, "post_processor": post, "normalizer": {"type": "Lowercase"}, "pre_tokenizer": PRE["gpt2"]})
    prepend = sequence("normalizers", {"type": "Prepend", "prepend": "\u2581"}, SPACE_TO_META)
    first = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    always = {**first, "prepend_scheme": "always", "split": True}
    bos = template([("<s>", 1)])
    out["llama2"] = ("chars", {"normalizer": prepend, "post_processor": bos})
    out["llama2_new"] = ("chars", {"normalizer": None, "pre_tokenizer": first, "post_processor": bos})
    merged = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    out["gemma"] = ("chars", {"normalizer": SPACE_TO_META, "pre_tokenizer": merged, "decoder": sequence("decoders", *META_DECODER)})
    out["chars_cut"] = ("chars", {"normalizer": {"type": "Nmt"}, "pre_tokenizer": always, "decoder": always})
    ends = template([], [("</s>", 1)])
    out["t5"] = ("unigram", {"pre_tokenizer": sequence("pretokenizers", {"type": "WhitespaceSplit"}, always), "post_processor": ends})
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    squeeze = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
    out["t5_new"] = ("unigram", {"normalizer": ["<base>", strip, squeeze], "pre_tokenizer": always, "post_processor": ends})
    words = sequence("pretokenizers", {"type": "Whitespace"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"}, always)
    out["unigram_words"] = ("unigram", {"normalizer": {"type": "NFKC"}, "pre_tokenizer": words})
    parts = sequence("pretokenizers", {"type": "CharDelimiterSplit", "delimiter": "e"}, {"type": "Digits", "individual_digits": False}, {"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "Punctuation", "behavior": "Contiguous"}, always)
    out["unigram_parts"] = ("unigram", {"normalizer": None, "pre_tokenizer": parts})
    bert = template([("[CLS]", 2)], [("[SEP]", 3)])
    cased = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False}
    out["bert"] = ("words", {"post_processor": bert})
    out["bert_cased"] = ("words", {"normalizer": cased, "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}})
    return out


def write_golden():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    bases = {}
    for kind in ("bytes", "chars", "unigram", "words"):
        path = GOLDEN / f"base_{kind}.json"
        if not path.exists():  # training is not deterministic: the small models stay what they are
            with tempfile.TemporaryDirectory() as directory:
                path.write_text(json.dumps(train(kind, Path(directory)), separators=(",", ":")) + "\n")
        bases[kind] = json.loads(path.read_text())
    for name, (kind, patch) in golden_variants().items():
        normalizer = patch.get("normalizer")
        if isinstance(normalizer, list):  # "<base>" stands for the base's own
            patch["normalizer"] = sequence("normalizers", *[bases[kind]["normalizer"] if n == "<base>" else n for n in normalizer])
        doc = {**bases[kind], **patch}
        tokenizer = Tokenizer.from_str(json.dumps(doc))
        for token in patch.get("added_tokens", []):  # the library numbers the new ones itself
            token["id"] = tokenizer.token_to_id(token["content"])
        cases = []
        for raw in make_strings("golden " + name, 120, specials_of(doc), True):
            if len(raw) > 160:
                continue
            ids = tokenizer.encode(lossy(raw)).ids
            case = {"text": lossy(raw)} if lossy(raw).encode() == raw else {"hex": raw.hex()}
            cases.append({**case, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=True)})
        if isinstance(normalizer, list):
            patch["normalizer"] = normalizer
        head = {"tokenizers": tokenizers.__version__, "base": f"base_{kind}.json", "patch": patch}
        rows = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        (GOLDEN / f"{name}.json").write_text(json.dumps(head)[:-1] + ', "cases": [\n' + rows + "\n]}\n")
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--miao")
    p.add_argument("--vocabs")
    p.add_argument("--work", default=".")
    p.add_argument("--count", type=int, default=100000)
    p.add_argument("--only", default="")
    p.add_argument("--golden", action="store_true")
    a = p.parse_args()
    if a.golden:
        return write_golden()
    print("tokenizers", tokenizers.__version__)
    return 1 if compare(a.miao, a.vocabs, a.work, a.count, set(filter(None, a.only.split(",")))) else 0


if __name__ == "__main__":
    sys.exit(main())
