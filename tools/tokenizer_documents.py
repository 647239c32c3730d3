"""Documents (tokenizer.json) for tools/tokenizer_oracle.py: real vocabularies with the configuration of the real model."""
import base64
import json
import mmap
import struct

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
    """The vocabulary of a GGUF file. The gguf package makes an object of every token: seconds and gigabytes."""

    SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.at = 16
        self.fields = {}
        for _ in range(self.scalar("Q")):
            key = self.text()
            self.fields[key.removeprefix("tokenizer.ggml.")] = self.value(self.scalar("I"))
        get = self.fields.get
        self.model, self.tokens, self.types = get("model"), get("tokens"), get("token_type")
        self.merges, self.scores = get("merges"), get("scores")
        self.charsmap = bytes(v & 255 for v in get("precompiled_charsmap", []))
        self.bos, self.eos, self.unk = get("bos_token_id"), get("eos_token_id"), get("unknown_token_id")

    def scalars(self, form, count):
        size = struct.calcsize("<" + form)
        values = struct.unpack_from(f"<{count}{form}", self.data, self.at)
        self.at += size * count
        return values

    def scalar(self, form):
        return self.scalars(form, 1)[0]

    def text(self):
        size = self.scalar("Q")
        self.at += size
        return bytes(self.data[self.at - size : self.at]).decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind != 9:
            return self.scalar(self.SCALARS[kind])
        kind, count = self.scalar("I"), self.scalar("Q")
        return [self.text() for _ in range(count)] if kind == 8 else list(self.scalars(self.SCALARS[kind], count))

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
            m.normalizer_spec.precompiled_charsmap = self.charsmap
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


class Case:
    """One tokenizer to compare. `need` is the vocabulary file it is made of; make(Gguf or Path) gives the document.
    `gguf`: what the ids of the GGUF file itself are compared with: "hf" the same document, "sp" SentencePiece."""

    def __init__(self, name, need, make, gguf=None):
        self.name, self.need, self.make, self.gguf = name, need, make, gguf


def byte_level_case(name, need, pre, normalizer=None, ignore_merges=False, gguf=None):
    def make(g):
        post = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
        if g.fields.get("add_bos_token", name == "llama3"):
            post = sequence("processors", post, template([(g.tokens[g.bos], g.bos)]))
        return document(g.bpe(ignore_merges=ignore_merges), g.added(), normalizer, PRE[pre], post, byte_level(regex=True))

    return Case(name, need, make, gguf)


def llama2_case(name, normalizer=None, pre=None, post=(), gguf=None, **options):
    def make(g):
        specials = [added(i, t) for i, t in enumerate(("<unk>", "<s>", "</s>"))]
        decoder = sequence("decoders", *META_DECODER, STRIP_FIRST)
        return document({**llama2_model(g), **options}, specials, normalizer, pre, template(list(post)), decoder)

    return Case(name, "vocab-llama-spm", make, gguf)


def llama2_cut(g):
    cut = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    odd = [added(0, "<unk>"), added(1, "<s>", lstrip=True), added(2, "</s>", rstrip=True, normalized=True)]
    odd += [added(vocab_id(g, "ing"), "ing", False, normalized=True, single_word=True)]
    odd += [added(32000, "the end", False, lstrip=True, rstrip=True)]
    return document(llama2_model(g), odd, {"type": "Lowercase"}, cut, template([], [("</s>", 2)]), cut)


def gemma(g):
    control = ("<bos>", "<eos>", "<pad>", "<unk>", "<mask>")
    g.types = [3 if t in control else 4 if t.startswith("<unused") else 1 for t in g.tokens]
    model = g.bpe(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    pre = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    decoder = sequence("decoders", *META_DECODER)
    return document(model, g.added(), SPACE_TO_META, pre, template([("<bos>", 2)]), decoder)


def xlmr_case(name, normalizer, pre, gguf=None):
    """`normalizer` and `pre` are functions of the precompiled map and of the Metaspace step."""
    meta = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}

    def make(g):
        charsmap = base64.b64encode(g.charsmap).decode()
        vocab = [[t, s] for t, s in zip(g.tokens, g.scores)]
        model = {"type": "Unigram", "unk_id": g.unk, "vocab": vocab, "byte_fallback": False}
        specials = [added(i, t) for i, t in enumerate(g.tokens) if g.types[i] in (2, 3)]
        precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
        return document(model, specials, normalizer(precompiled), pre(meta), template([("<s>", 0)], [("</s>", 2)]), meta)

    return Case(name, "vocab-nomic-bert-moe", make, gguf)


def bert_case(name, lower, gguf=None):
    def make(g):
        vocab = {}
        for i, t in enumerate(g.tokens):
            vocab[t if g.types[i] == 3 else t[1:] if t[0] == "\u2581" else "##" + t] = i
        return bert_document(vocab, lower)

    return Case(name, "vocab-bert-bge", make, gguf)


def cases():
    """All comparisons, those of one vocabulary file beside each other."""
    fold = sequence("normalizers", {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": True})
    prepend = sequence("normalizers", {"type": "Prepend", "prepend": "\u2581"}, SPACE_TO_META)
    first = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    squeeze = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    spaces, punctuation = {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"}
    out = [
        byte_level_case("smollm2", "smollm2", "smollm", gguf="hf"),
        byte_level_case("gpt2", "vocab-gpt-2", "gpt2", gguf="hf"),
        byte_level_case("roberta", "vocab-gpt-2", "roberta"),
        byte_level_case("mpt", "vocab-mpt", "gpt2", gguf="hf"),
        byte_level_case("gpt-neox", "vocab-gpt-neox", "gpt2"),
        byte_level_case("llama3", "vocab-llama-bpe", "llama3", ignore_merges=True, gguf="hf"),
        byte_level_case("cl100k", "vocab-llama-bpe", "cl100k"),
        byte_level_case("o200k", "vocab-llama-bpe", "o200k", ignore_merges=True),
        byte_level_case("tekken", "vocab-llama-bpe", "tekken", ignore_merges=True),
        byte_level_case("minicpm5", "vocab-llama-bpe", "minicpm5", ignore_merges=True),
        byte_level_case("qwen2", "vocab-qwen2", "qwen2", {"type": "NFC"}),
        byte_level_case("qwen2-plain", "vocab-qwen2", "qwen2", gguf="hf"),
        byte_level_case("qwen2-nfkc", "vocab-qwen2", "qwen2", {"type": "NFKC"}),
        byte_level_case("qwen2-nfd", "vocab-qwen2", "qwen2", {"type": "NFD"}),
        byte_level_case("qwen2-nfkd", "vocab-qwen2", "qwen2", {"type": "NFKD"}),
        byte_level_case("qwen2-lower", "vocab-qwen2", "qwen2", fold),
        byte_level_case("bailing", "vocab-qwen2", "bailing"),
        byte_level_case("seed", "vocab-qwen2", "seed"),
        byte_level_case("ufakzeka", "vocab-qwen2", "ufakzeka"),
        byte_level_case("qwen35", "vocab-qwen35", "qwen35", gguf="hf"),
        byte_level_case("starcoder", "vocab-starcoder", "smollm", gguf="hf"),
        byte_level_case("refact", "vocab-refact", "smollm", gguf="hf"),
        byte_level_case("command-r", "vocab-command-r", "smollm", {"type": "NFC"}),
        byte_level_case("falcon", "vocab-falcon", "falcon", gguf="hf"),
        byte_level_case("deepseek-coder", "vocab-deepseek-coder", "deepseek-coder", gguf="hf"),
        byte_level_case("deepseek3", "vocab-deepseek-llm", "deepseek3"),
        byte_level_case("bloom", "vocab-deepseek-llm", "bloom"),
        llama2_case("llama2", prepend, None, [("<s>", 1)], gguf="sp"),
        llama2_case("llama2-new", None, first, [("<s>", 1)]),
        llama2_case("llama2-no-bytes", prepend, byte_fallback=False),
        Case("llama2-cut", "vocab-llama-spm", llama2_cut),
        Case("gemma", "vocab-gemma-4", gemma),
        xlmr_case("xlmr", lambda m: m, lambda meta: sequence("pretokenizers", spaces, meta), gguf="sp"),
        xlmr_case("t5-new", lambda m: sequence("normalizers", m, strip, squeeze), lambda meta: meta),
        xlmr_case("nmt", lambda m: sequence("normalizers", {"type": "Nmt"}, {"type": "NFKC"}),
                  lambda meta: sequence("pretokenizers", {"type": "Whitespace"}, punctuation, meta)),
        bert_case("bert", True, gguf="hf"),
        bert_case("bert-cased", False),
    ]
    read = lambda path: json.loads(path.read_text())
    out += [Case(name, name + ".json", read) for name in ("claude", "all-minilm-l6-v2", "whisper")]
    return out
