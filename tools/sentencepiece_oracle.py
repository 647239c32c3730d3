#!/usr/bin/env python3
"""Compares miao's token ids with those of `sentencepiece` and of transformers' tokenizers over it.

    tools/sentencepiece_oracle.py [--miao build/release/miao] [--count 20000] [--only t5,unigram]
    tools/sentencepiece_oracle.py --golden            # rewrites the cases of tests/golden/sentencepiece

tests/golden/sentencepiece holds small trained models (NAME.model, with NAME.json for the cases) and the directories of
tokenizers that have such models and no tokenizer.json (NAME/, cases in NAME/cases.json). Models are trained when they are
not there, since training is not the same everywhere.

The tokenizers over SentencePiece are those of transformers 4: version 5 has them for Marian and M2M-100 alone and builds
the others from approximations. They are installed to build/venv-slow.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "sentencepiece"
VENV = ROOT / "build" / "venv-slow"
PACKAGES = ["transformers==4.57.6", "sentencepiece==0.2.3", "protobuf==7.36.2"]

if Path(sys.prefix).resolve() != VENV.resolve():
    if not (VENV / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(VENV / "bin" / "python", [str(VENV / "bin" / "python"), *sys.argv])

import sentencepiece

import tokenizer_strings as strings

# ---- models ------------------------------------------------------------------------------------------------------

LATIN = [w for w in strings.WORDS if all(ord(c) < 0x250 for c in w)]


def corpus(seed, words):
    rng = random.Random(seed)
    return [" ".join(rng.choice(words) for _ in range(12)) for _ in range(3000)]


def rules(path):
    """Normalization rules that reach every corner: to nothing, to a blank, to more and to fewer characters."""
    import unicodedata

    points = [c for c in range(0xA0, 0x3400) if unicodedata.normalize("NFKC", chr(c)) != chr(c)][::9]
    points += [*range(0xFB00, 0xFB05), *range(0xFF01, 0xFF20)]
    table = {(c,): [ord(x) for x in unicodedata.normalize("NFKC", chr(c))] for c in points}
    table.update({(c,): [0x20] for c in (9, 10, 13, 0xA0, 0x2003, 0x3000, 0x200B, 0xFEFF)})
    table.update({(0x65, 0x301): [0xE9], (0x61, 0x308): [0xE4], (0x0D, 0x0A): [0x20], (0x2E, 0x2E, 0x2E): [0x2026], (1,): []})
    hexes = lambda points: " ".join(f"{c:X}" for c in points)
    path.write_text("".join(f"{hexes(k)}\t{hexes(v)}\n" for k, v in table.items()))


IDENTITY = {"normalization_rule_name": "identity"}
FAIRSEQ = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
MODELS = {  # name -> options of the trainer; "rules": the small map above
    "unigram": {"model_type": "unigram", "rules": True},
    "unigram_bytes": {"model_type": "unigram", "byte_fallback": True, "character_coverage": 0.98, **IDENTITY},
    "unigram_suffix": {"model_type": "unigram", "treat_whitespace_as_suffix": True, **IDENTITY},
    "unigram_symbols": {"model_type": "unigram", "rules": True, "user_defined_symbols": ["<mask>", "the", "\u00e9e", "\u4f60\u597d", " x"], "control_symbols": ["<ctl>"]},
    "bpe": {"model_type": "bpe", "rules": True},
    "bpe_bytes": {"model_type": "bpe", "byte_fallback": True, "remove_extra_whitespaces": False, "character_coverage": 0.98, "pad_id": 3, **IDENTITY},
    "bpe_symbols": {"model_type": "bpe", "user_defined_symbols": ["<mask>", "the", "ing", "\u4f60\u597d", "  "], "add_dummy_prefix": False, "remove_extra_whitespaces": False, **IDENTITY},
}


def train(path, seed, words=strings.WORDS, size=700, **options):
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        text, tsv = Path(folder) / "corpus.txt", Path(folder) / "rules.tsv"
        text.write_text("\n".join(corpus(seed, words)))
        options = dict(options)
        if options.pop("rules", False):
            rules(tsv)
            options["normalization_rule_tsv"] = str(tsv)
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=str(Path(folder) / "m"), vocab_size=size, hard_vocab_limit=False, num_threads=1,
            minloglevel=2, **options)
        # The file of the rules, wherever it was, is no part of the model.
        from sentencepiece import sentencepiece_model_pb2 as pb

        model = pb.ModelProto.FromString((Path(folder) / "m.model").read_bytes())
        model.normalizer_spec.normalization_rule_tsv = ""
        model.trainer_spec.ClearField("input")
        model.trainer_spec.ClearField("model_prefix")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())


# ---- directories -------------------------------------------------------------------------------------------------


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n")


def vocabulary_of(*models, first=(), last=(), drop=0):
    """A vocab.json: the pieces of the models, some left out, as Marian and fairseq make them."""
    out = list(first)
    for model in models:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
        out += [p for i, p in enumerate(pieces) if p not in ("<s>", "</s>", "<unk>") and not (drop and i % drop == 7)]
    return {piece: i for i, piece in enumerate(dict.fromkeys([*out, *last]))}


def build_t5(d):
    train(d / "spiece.model", "t5", model_type="unigram", rules=True, **T5)
    write_json(d / "tokenizer_config.json", {"tokenizer_class": "T5Tokenizer", "extra_ids": 20, "eos_token": "</s>", "additional_special_tokens": [f"<extra_id_{i}>" for i in range(20)]})


def build_llama(d):
    train(d / "tokenizer.model", "llama", model_type="bpe", byte_fallback=True, remove_extra_whitespaces=False, **IDENTITY)
    tokens = {"700": {"content": "<|extra|>", "special": True}, "701": {"content": "wonder", "special": False, "normalized": False}}
    size = sentencepiece.SentencePieceProcessor(model_file=str(d / "tokenizer.model")).get_piece_size()
    tokens = {str(size + i): t for i, t in enumerate(tokens.values())}
    for token in tokens.values():
        token.update({"lstrip": False, "rstrip": False, "single_word": False, "normalized": False})
    write_json(d / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": True, "added_tokens_decoder": tokens})


def fairseq(name, **config):
    def build(d):
        model = d / "sentencepiece.bpe.model"
        train(model, name, model_type="bpe" if name == "nllb" else "unigram", rules=True, **FAIRSEQ)
        if name == "nllb":  # as in the files of NLLB; without them transformers 4 puts <mask> before the languages
            from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as codes

            first = sentencepiece.SentencePieceProcessor(model_file=str(model)).get_piece_size() + 1
            flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}
            tokens = {str(first + i): {"content": code, **flags} for i, code in enumerate(codes)}
            tokens[str(first + len(codes))] = {"content": "<mask>", **flags, "lstrip": True}
            config["added_tokens_decoder"] = tokens
        write_json(d / "tokenizer_config.json", config)
    return build


def build_m2m(d):
    model = d / "sentencepiece.bpe.model"
    train(model, "m2m", LATIN, model_type="bpe", rules=True, **FAIRSEQ)
    # Some pieces are missing, and some characters that the model does not know are there.
    write_json(d / "vocab.json", vocabulary_of(model, first=("<s>", "<pad>", "</s>", "<unk>"), last=("\u4f60", "\u4f60\u597d"), drop=19))
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as codes

    tokens = [f"__{code}__" for code in codes["m2m100"]]
    write_json(d / "tokenizer_config.json", {"tokenizer_class": "M2M100Tokenizer", "src_lang": "fr", "tgt_lang": "en", "additional_special_tokens": tokens})


def marian(config, codes=(), separate=False):
    def build(d):
        source, target = d / "source.spm", d / "target.spm"
        train(source, "marian source", LATIN, model_type="unigram", rules=True, **FAIRSEQ)
        train(target, "marian target", strings.WORDS[::2], model_type="unigram", rules=True, **FAIRSEQ)
        if separate:
            write_json(d / "vocab.json", vocabulary_of(source, first=("</s>", "<unk>", *codes), last=("<pad>",), drop=19))
            write_json(d / "target_vocab.json", vocabulary_of(target, first=("</s>", "<unk>"), last=("<pad>",), drop=19))
        else:
            write_json(d / "vocab.json", vocabulary_of(source, target, first=("</s>", "<unk>", *codes), last=("<pad>",), drop=19))
        write_json(d / "tokenizer_config.json", {"tokenizer_class": "MarianTokenizer", **config})
    return build


LATINS = [">>fra<<", ">>ita<<", ">>deu<<", ">>pt_br<<"]
DIRECTORIES = {
    "t5": build_t5,
    "llama": build_llama,
    "xlmr": fairseq("xlmr", tokenizer_class="XLMRobertaTokenizer"),
    "mbart": fairseq("mbart", tokenizer_class="MBartTokenizer", src_lang="fr_XX", tgt_lang="de_DE"),
    "mbart50": fairseq("mbart50", tokenizer_class="MBart50Tokenizer", src_lang="fr_XX", tgt_lang="uk_UA"),
    "nllb": fairseq("nllb", tokenizer_class="NllbTokenizer"),
    "nllb_old": fairseq("nllb", tokenizer_class="NllbTokenizer", src_lang="fra_Latn", legacy_behaviour=True),
    "m2m": build_m2m,
    "marian": marian({"source_lang": "en", "target_lang": "fr"}),
    "marian_many": marian({"source_lang": "en", "target_lang": "roa"}, LATINS),
    "marian_two": marian({"source_lang": "en", "target_lang": "fr", "separate_vocabs": True}, separate=True),
}


def slow(name, directory):
    """The tokenizer of transformers over SentencePiece."""
    import transformers

    config = json.loads((directory / "tokenizer_config.json").read_text())
    return getattr(transformers, config["tokenizer_class"]).from_pretrained(str(directory))


def encoder(name, tokenizer):
    if name == "t5":  # the one over SentencePiece adds no </s> behind one of the text, the others of T5 do
        return lambda text: tokenizer.encode(text, add_special_tokens=False) + [tokenizer.eos_token_id]
    return lambda text: tokenizer.encode(text)


# ---- comparison --------------------------------------------------------------------------------------------------


def specials_of(name, directory):
    if name == "marian_two target":  # transformers takes the control tokens' ids from the other side there
        return []
    if name.startswith("marian"):  # a language token counts at the beginning of a text alone
        return ["</s>", "<unk>", "<pad>", "<s>"]
    out = ["</s>", "<unk>", "<pad>", "<s>", "<mask>"]
    out += {"t5": ["<extra_id_0>", "<extra_id_19>", "<extra_id_20>"], "llama": ["<|extra|>", "wonder", "<0x41>"], "m2m": ["__fr__", "__xx__"]}.get(name, [])
    if name.startswith(("mbart", "nllb")):
        out += ["fr_XX", "fra_Latn", "uk_UA"]
    return out


def texts_of(name, count, breaks):
    out = strings.make_strings("sentencepiece " + name, count, specials_of(name, None), breaks)
    if name == "marian_many":
        rng = random.Random(name)
        out = [(rng.choice([*LATINS, ">>fra<< "]).encode() if rng.random() < 0.3 else b"") + s for s in out]
    return out


def run_miao(miao, path, raw, *options):
    with tempfile.TemporaryFile() as text:
        text.write(b"\n".join(raw) + b"\n")
        text.seek(0)
        run = subprocess.run([miao, "tokens", path, "--json", *options], stdin=text, capture_output=True)
    if run.returncode:
        raise SystemExit(run.stderr.decode())
    return [json.loads(line) for line in run.stdout.splitlines()]


def compare(miao, count, only):
    failures = 0
    for name in [*MODELS, *DIRECTORIES]:
        if only and name not in only:
            continue
        raw = texts_of(name, count, False)
        if name in MODELS:
            processor = sentencepiece.SentencePieceProcessor(model_file=str(GOLDEN / f"{name}.model"))
            want = [processor.encode(strings.lossy(s)) for s in raw]
            got = run_miao(miao, GOLDEN / f"{name}.model", raw, "--literal")
        else:
            tokenizer = slow(name, GOLDEN / name)
            encode = encoder(name, tokenizer)
            want = [encode(strings.lossy(s)) for s in raw]
            got = run_miao(miao, GOLDEN / name, raw)
        bad = [(s, a, b) for s, a, b in zip(raw, want, got, strict=True) if a != b]
        print(f"{name}: {len(raw)} strings, {len(bad)} differ", flush=True)
        for text, a, b in bad[:5]:
            print("  ", ascii(strings.lossy(text)[:200]), "\n    want", a[:60], "\n    got ", b[:60])
        failures += len(bad)
    return 1 if failures else 0


# ---- golden cases ------------------------------------------------------------------------------------------------


def cases_of(raw, encode, decode):
    out = []
    for s in raw:
        if len(s) > 160:
            continue
        ids = encode(strings.lossy(s))
        case = {"text": strings.lossy(s)} if strings.lossy(s).encode() == s else {"hex": s.hex()}
        out.append({**case, "ids": ids, "decoded": decode(ids)})
    return out


def write_cases(path, head, cases):
    rows = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    path.write_text(json.dumps(head)[:-1] + (", " if head else "") + '"cases": [\n' + rows + "\n]}\n")


def write_golden(only):
    import transformers

    versions = {"sentencepiece": sentencepiece.__version__, "transformers": transformers.__version__}
    for name, options in MODELS.items():
        if only and name not in only:
            continue
        path = GOLDEN / f"{name}.model"
        train(path, name, **options)
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        unknown = processor.unk_id()
        # Unknown text has no surface in miao.
        decode = lambda ids: processor.decode([i for i in ids if i != unknown])
        write_cases(GOLDEN / f"{name}.json", {"versions": versions}, cases_of(texts_of(name, 100, True), processor.encode, decode))
    for name, build in DIRECTORIES.items():
        if only and name not in only:
            continue
        directory = GOLDEN / name
        directory.mkdir(parents=True, exist_ok=True)
        build(directory)
        tokenizer = slow(name, directory)
        decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if name == "llama":  # transformers puts blanks around added tokens
            decode = lambda ids: None if max(ids) >= tokenizer.sp_model.get_piece_size() else tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        encode = encoder(name, tokenizer)
        target = []
        if name.startswith("marian"):
            decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False, use_source_tokenizer=True)
            if "two" in name:  # ids of the source mean nothing to its decoder
                decode = lambda ids: None
            written = texts_of(name + " target", 60, True)
            side = lambda text: tokenizer(text_target=text)["input_ids"]
            target = cases_of(written, side, lambda ids: tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        cases = cases_of(texts_of(name, 100, True), encode, decode)
        write_cases(directory / "cases.json", {"versions": versions, "size": len(tokenizer), "target": target}, cases)
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--miao", default=ROOT / "build" / "release" / "miao")
    p.add_argument("--count", type=int, default=20000)
    p.add_argument("--only", default="")
    p.add_argument("--golden", action="store_true")
    a = p.parse_args()
    only = set(filter(None, a.only.split(",")))
    return write_golden(only) if a.golden else compare(a.miao, a.count, only)


if __name__ == "__main__":
    sys.exit(main())
