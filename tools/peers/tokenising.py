"""Tokenising: megabytes of text to ids against Hugging Face tokenizers with the same vocabulary."""
import json
import os
import pathlib
import statistics
import sys
import time

from peers.common import Ran, say


def measure(o, miao, models, work):
    """Megabytes a second of text to ids, start-up taken off. Hugging Face tokenizers gets the same vocabulary."""
    corpus = b"".join(p.read_bytes() for p in sorted(pathlib.Path(os.__file__).parent.glob("*.py")))
    text, empty = work / "corpus.txt", work / "empty.txt"
    text.write_bytes(corpus)
    empty.write_text("x")
    size = len(corpus) / 1e6

    def tokens(file):
        return Ran([miao.binary, "tokens", models["Q4_0"], "--text", file, "--json", "-q"])

    raw = {"miao": [], "tokenizers": []}
    peer = None
    try:
        import gguf
        import tokenizers
        fields = gguf.GGUFReader(models["Q4_0"]).fields
        pieces = fields["tokenizer.ggml.tokens"].contents()
        merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
        peer = tokenizers.Tokenizer(tokenizers.models.BPE({p: i for i, p in enumerate(pieces)}, merges))
        peer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
        kinds = fields["tokenizer.ggml.token_type"].contents()
        peer.add_special_tokens([piece for piece, kind in zip(pieces, kinds) if kind == 3])
    except ImportError as missing:
        say(f"tokenizers is left out: {missing}")
    same = None
    for _ in range(o.rounds):
        start, whole = tokens(empty), tokens(text)
        raw["miao"].append(size / (whole.seconds - start.seconds))
        if peer:
            begin = time.perf_counter()
            ids = peer.encode(corpus.decode(), add_special_tokens=False).ids
            raw["tokenizers"].append(size / (time.perf_counter() - begin))
            if json.loads(whole.out) != ids:
                sys.exit("miao and tokenizers give different ids: their speeds cannot be compared")
            same = True
    return {"corpus_mb": size, "unit": "MB/s", "rounds": raw, "same_ids": same,
            "median": {n: statistics.median(v) for n, v in raw.items() if v}}
