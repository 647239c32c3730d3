#!/usr/bin/env python3
"""What transformers makes of texts with tiny random encoders: entities, answers to questions, scores of documents.

    build/venv/bin/python tools/make_golden_tasks.py     writes tests/golden/tasks again
    ... --check                                          recomputes and compares with what is committed

The models are of one layer, with heads that are large enough for the tokens of a text to differ. tokenizer.json is a
WordPiece of letters and a few words, so that words have many tokens. Ranges are bytes.
"""
import argparse
import json
import math
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import torch
import transformers

import make_golden
import make_golden_encoders

ROOT = make_golden.ROOT
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
LIMIT, OVERLAP = 64, 10
WORDS = "the cat sat in paris and london who went where is big river of".split()
TEXTS = [
    "The cat sat in Paris.",
    "Who went where? London is big, and the river of Paris\u2026",
    "caf\u00e9 cafe\u0301 \u4e2d\u6587 \U0001f600 \ufb01ne",
    "x",
    " ".join(f"the {a} sat in {b}ing, and" for a in WORDS for b in WORDS[:4]),
]
QUESTIONS = [("Who sat in Paris?", TEXTS[0]), ("where is it", TEXTS[2]), ("Who went where?", TEXTS[4])]
DOCUMENTS = ["the cat sat", "London is a big river", "", "\u4e2d\u6587 caf\u00e9"]


def tokenizer_json():
    pieces = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS]
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces += [*letters, *("##" + c for c in letters), "##ing", "##on", ".", ",", "?", "\u4e2d"]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    special = lambda name, segment: {"SpecialToken": {"id": name, "type_id": segment}}
    text = lambda name, segment: {"Sequence": {"id": name, "type_id": segment}}
    ends = {name: {"id": name, "ids": [vocab[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return dict(
        version="1.0", truncation=None, padding=None, added_tokens=[dict(id=i, content=pieces[i], **flags) for i in range(4)],
        normalizer=dict(type="BertNormalizer", clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True),
        pre_tokenizer=dict(type="BertPreTokenizer"),
        post_processor=dict(type="TemplateProcessing", single=[special("[CLS]", 0), text("A", 0), special("[SEP]", 0)],
                            pair=[special("[CLS]", 0), text("A", 0), special("[SEP]", 0), text("B", 1), special("[SEP]", 1)],
                            special_tokens=ends),
        decoder=dict(type="WordPiece", prefix="##", cleanup=True),
        model=dict(type="WordPiece", unk_token="[UNK]", continuing_subword_prefix="##", max_input_chars_per_word=100, vocab=vocab))


def make(folder, kind, **options):
    """A random model in bfloat16, as it is read again."""
    generator = torch.Generator().manual_seed(len(folder.name))
    small = make_golden_encoders.SMALL | dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=1)
    config = transformers.BertConfig(**small, **options)
    config._attn_implementation = "eager"
    model = kind(config).eval()
    for name, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=generator)
        if name.endswith("bias"):
            noise *= 0.1
        elif "LayerNorm" in name:
            noise = 1 + 0.2 * noise
        elif not name.startswith("bert.embeddings"):
            noise /= weight.shape[-1] ** 0.5
        weight.data.copy_(2 * noise if name.startswith(("classifier.weight", "qa_outputs.weight")) else noise)
    model.to(torch.bfloat16).save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    config = json.loads((folder / "config.json").read_text())
    config.pop("transformers_version", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def byte_range(text, begin, end):
    return [len(text[:begin].encode()), len(text[:end].encode())]


def entities(tokenizer, out_folder):
    labels = dict(id2label=dict(enumerate(LABELS)), label2id={label: i for i, label in enumerate(LABELS)})
    model = make(out_folder / "entities", transformers.BertForTokenClassification, **labels)
    out = []
    for aggregation in ("simple", "first", "average", "max"):
        pipeline = transformers.TokenClassificationPipeline(model=model, tokenizer=tokenizer, aggregation_strategy=aggregation,
                                                            stride=OVERLAP)
        for text in TEXTS:
            found = [dict(label=e["entity_group"], score=float(e["score"]), range=byte_range(text, e["start"], e["end"]))
                     for e in pipeline(text)]
            out.append(dict(aggregation=aggregation, text=text, entities=found))
    return out


@torch.no_grad()
def answers(tokenizer, out_folder, count=3, most=15):
    """As the question answering of transformers 4: softmax over the text and [CLS] of each window, best spans of all."""
    model = make(out_folder / "answers", transformers.BertForQuestionAnswering)
    out = []
    for question, text in QUESTIONS:
        encoded = tokenizer(question, text, truncation="only_second", max_length=LIMIT, stride=OVERLAP, return_token_type_ids=True,
                            return_overflowing_tokens=True, return_offsets_mapping=True)
        best, none = {}, 1.0
        for w in range(len(encoded["input_ids"])):
            inputs = {k: torch.tensor([encoded[k][w]]) for k in ("input_ids", "token_type_ids")}
            result = model(**inputs)
            sequence = encoded.encodings[w].sequence_ids
            wanted = np.array([t == 0 or s == 1 for t, s in enumerate(sequence)])
            chances = []
            for logits in (result.start_logits[0], result.end_logits[0]):
                values = np.where(wanted, logits.double().numpy(), -np.inf)
                values = np.exp(values - values.max())
                chances.append(values / values.sum())
            none = min(none, float(chances[0][0] * chances[1][0]))
            offsets = encoded["offset_mapping"][w]
            tokens = [t for t, s in enumerate(sequence) if s == 1]
            for b in tokens:
                for e in range(b, min(tokens[-1] + 1, b + most)):
                    key = (offsets[b][0], offsets[e][1])
                    best[key] = max(best.get(key, 0.0), float(chances[0][b] * chances[1][e]))
        ranked = sorted(best.items(), key=lambda item: -item[1])[:count]
        out.append(dict(question=question, text=text, none=none,
                        answers=[dict(score=score, range=byte_range(text, *key)) for key, score in ranked]))
    return out


@torch.no_grad()
def scores(tokenizer, out_folder):
    found = []
    for outputs in (1, 2):
        name = f"rerank-{outputs}"
        model = make(out_folder / name, transformers.BertForSequenceClassification, num_labels=outputs)
        logits = [model(**tokenizer([QUESTIONS[0][0]], [d], return_tensors="pt", return_token_type_ids=True)).logits[0].tolist() for d in DOCUMENTS]
        chances = [1 / (1 + math.exp(-(x[0] if outputs == 1 else x[1] - x[0]))) for x in logits]
        found.append(dict(model=name, query=QUESTIONS[0][0], documents=DOCUMENTS, scores=chances))
    return found


def write(out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "tokenizer.json").write_text(json.dumps(tokenizer_json()) + "\n")
    special = dict(unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(out / "tokenizer.json"), model_max_length=LIMIT, **special)
    cases = dict(transformers=transformers.__version__, overlap=OVERLAP, entities=entities(tokenizer, out), answers=answers(tokenizer, out),
                 rerank=scores(tokenizer, out))
    (out / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


def differences(a, b, place=""):
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            yield from differences(a[key], b[key], f"{place}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{place}[{i}]")
    elif isinstance(a, float) and isinstance(b, float):
        if abs(a - b) > 1e-5:
            yield f"{place}: {a} and {b}"
    elif a != b:
        yield f"{place}: {a!r} and {b!r}"


def main():
    parser = argparse.ArgumentParser(description="Tasks of tiny random encoders and their reference results.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, change nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    committed = ROOT / "tests/golden/tasks"
    if not options.check:
        write(committed)
        return 0
    with tempfile.TemporaryDirectory() as made:
        write(pathlib.Path(made) / "tasks")
        read = lambda folder: json.loads((folder / "cases.json").read_text())
        found = list(differences(read(committed), read(pathlib.Path(made) / "tasks")))
    print("\n".join(found) or "the same")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
