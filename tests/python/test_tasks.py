"""Entities, answers, scores of documents and attributions: against transformers, and what is wrong with one of several."""

import json

import numpy as np
import pytest
from conftest import TASKS

import miao

GOLDEN = json.loads((TASKS / "cases.json").read_text())
OVERLAP = GOLDEN["overlap"]
LONG = "the cat " * 40  # more tokens than the models read


@pytest.fixture(scope="module")
def names(tasks):
    return miao.load(tasks["entities"], threads=2)


@pytest.fixture(scope="module")
def reader(tasks):
    return miao.load(tasks["answers"], threads=2)


def in_letters(text, span):
    return tuple(len(text.encode()[:byte].decode()) for byte in span)


@pytest.mark.parametrize("aggregation", ["simple", "first", "average", "max"])
def test_entities_of_transformers(names, aggregation):
    cases = [c for c in GOLDEN["entities"] if c["aggregation"] == aggregation]
    found = names.entities([c["text"] for c in cases], aggregation=aggregation, overlap=OVERLAP)
    for case, entities in zip(cases, found):
        text, want = case["text"], case["entities"]
        assert names.entities(text, aggregation=aggregation, overlap=OVERLAP) == entities
        assert [(e.label, e.begin, e.end) for e in entities] == [(w["label"], *in_letters(text, w["range"])) for w in want]
        assert all(isinstance(e, miao.Entity) and e.text == text[e.begin:e.end] for e in entities)
        np.testing.assert_allclose([e.score for e in entities], [w["score"] for w in want], atol=1e-4)
    assert sum(map(len, found)) > 100 and names.entities([]) == []


def test_answers_of_transformers(reader):
    for case in GOLDEN["answers"]:
        text, want = case["text"], case["answers"]
        found = reader.answer(case["question"], text, best=len(want), overlap=OVERLAP)
        assert isinstance(found, miao.Answers) and all(isinstance(a, miao.Answer) for a in found.answers)
        assert [(a.begin, a.end) for a in found.answers] == [in_letters(text, w["range"]) for w in want]
        assert all(a.text == text[a.begin:a.end] for a in found.answers)
        np.testing.assert_allclose([a.score for a in found.answers], [w["score"] for w in want], atol=1e-4)
        np.testing.assert_allclose(found.no_answer, case["none"], atol=1e-4)
        sure = found.answers[0].score >= found.no_answer
        assert found.best == (found.answers[0] if sure else None)
        assert reader.answer(case["question"], text, overlap=OVERLAP).answers == found.answers[:1]
        assert reader.answer(case["question"], [text, "a"], best=len(want), overlap=OVERLAP)[0] == found
    assert reader.answer("who", []) == []


@pytest.mark.parametrize("case", GOLDEN["rerank"], ids=lambda c: c["model"])
def test_ranking_of_transformers(tasks, case):
    ranked = miao.load(tasks[case["model"]]).rerank(case["query"], case["documents"])
    assert [r.index for r in ranked] == sorted(range(len(ranked)), key=lambda i: -case["scores"][i])
    for r in ranked:
        assert isinstance(r, miao.Ranked) and r.text == case["documents"][r.index]
        np.testing.assert_allclose(r.score, case["scores"][r.index], atol=1e-4)
    assert miao.load(tasks[case["model"]]).rerank("a", []) == []


def softmax(logits):
    x = np.exp(logits.astype(np.float64) - logits.max())
    return x / x.sum()


def test_shares_are_what_the_score_loses(classifier):
    text = "a bad, \u00e9 cab"
    found = classifier.explain(text)
    whole = classifier.classify(text)
    assert isinstance(found, miao.Explanation) and (found.label, found.score) == (whole.label, whole.score)
    assert [w.text for w in found.words] == ["a", "bad", ",", "\u00e9", "cab"]
    ids = classifier.tokenizer.encode(text)
    first = 1
    for word in found.words:
        assert isinstance(word, miao.Word) and text[word.begin:word.end] == word.text
        count = len(word.text)  # the tokenizer spells
        without = softmax(classifier.logits(ids[:first] + ids[first + count:])[0])[classifier.labels.index(found.label)]
        np.testing.assert_allclose(word.share, found.score - without, atol=1e-5)
        first += count
    assert classifier.explain([text, ""]) == [found, classifier.explain("")] and classifier.explain("").words == []


def peer(folder, kind):
    transformers = pytest.importorskip("transformers")
    special = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_max_length=64,
                                                     **special)
    torch = pytest.importorskip("torch")
    return getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32).eval(), tokenizer


TEXTS = ["The cat sat in Paris and London.", "Where is caf\u00e9 \u4e2d\u6587?", "who went where, in the sat"]


@pytest.mark.oracle
@pytest.mark.parametrize("aggregation", ["simple", "first", "average", "max"])
def test_entities_of_transformers_now(tasks, aggregation):
    model, tokenizer = peer(tasks["entities"], "BertForTokenClassification")
    import transformers
    pipeline = transformers.TokenClassificationPipeline(model=model, tokenizer=tokenizer, aggregation_strategy=aggregation)
    for text, got in zip(TEXTS, miao.load(tasks["entities"], dtype="fp32").entities(TEXTS, aggregation=aggregation)):
        want = pipeline(text)
        assert [(e.label, e.begin, e.end) for e in got] == [(w["entity_group"], w["start"], w["end"]) for w in want]
        np.testing.assert_allclose([e.score for e in got], [w["score"] for w in want], atol=1e-4)


@pytest.mark.oracle
def test_answers_of_transformers_now(tasks):
    torch = pytest.importorskip("torch")
    model, tokenizer = peer(tasks["answers"], "BertForQuestionAnswering")
    mine = miao.load(tasks["answers"], dtype="fp32")
    for text in TEXTS:
        encoded = tokenizer("who sat", text, return_tensors="pt", return_offsets_mapping=True, return_token_type_ids=True)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            out = model(**encoded)
        inside = [i for i, s in enumerate(encoded.encodings[0].sequence_ids) if s == 1]
        begin, end = (softmax(logits[0].numpy()[[0, *inside]]) for logits in (out.start_logits, out.end_logits))
        spans = {(offsets[inside[b]][0], offsets[inside[e]][1]): begin[b + 1] * end[e + 1]
                 for b in range(len(inside)) for e in range(b, min(b + 15, len(inside)))}
        got = mine.answer("who sat", text)
        best = max(spans, key=spans.get)
        assert (got.answers[0].begin, got.answers[0].end) == best
        np.testing.assert_allclose([got.answers[0].score, got.no_answer], [spans[best], begin[0] * end[0]], atol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["rerank-1", "rerank-2"])
def test_ranking_of_transformers_now(tasks, name):
    torch = pytest.importorskip("torch")
    model, tokenizer = peer(tasks[name], "BertForSequenceClassification")
    with torch.no_grad():
        logits = model(**tokenizer(["who sat"] * 3, TEXTS, padding=True, return_tensors="pt", return_token_type_ids=True)).logits
    want = torch.sigmoid(logits[:, 0] if name == "rerank-1" else logits[:, 1] - logits[:, 0]).tolist()
    for ranked in miao.load(tasks[name], dtype="fp32").rerank("who sat", TEXTS):
        np.testing.assert_allclose(ranked.score, want[ranked.index], atol=1e-5)


def test_the_bad_one_is_named(tasks, reader, classifier):
    ranker = miao.load(tasks["rerank-1"])
    for call, where in [(lambda: classifier.explain(["a", "a" * 80]), "texts[1]"), (lambda: classifier.explain("a" * 80), "texts"),
                        (lambda: ranker.rerank("a", ["b", LONG, "c"]), "documents[1]"),
                        (lambda: reader.answer("a", ["b", ""]), "texts[1]"), (lambda: reader.answer("a", ""), "texts")]:
        with pytest.raises(miao.Invalid) as caught:
            call()
        assert caught.value.where == where
    assert classifier.explain("a" * 80, truncate=True).words and ranker.rerank("a", [LONG], truncate=True)


@pytest.mark.parametrize("task, call, error, where", [
    ("entities", lambda m: m.entities("a", aggregation="most"), miao.Invalid, "aggregation"),
    ("entities", lambda m: m.entities("a", overlap=-1), miao.Invalid, "overlap"),
    ("entities", lambda m: m.entities(3), TypeError, None),
    ("entities", lambda m: m.entities(["a", 3]), TypeError, None),
    ("entities", lambda m: m.entities("\ud800"), UnicodeEncodeError, None),
    ("answers", lambda m: m.answer(" ", "a"), miao.Invalid, "question"),
    ("answers", lambda m: m.answer("who " * 80, "a"), miao.Invalid, "texts"),
    ("answers", lambda m: m.answer("a", "b", best=0), miao.Invalid, "best"),
    ("answers", lambda m: m.answer("a", "b", max_tokens=0), miao.Invalid, "max_tokens"),
    ("answers", lambda m: m.answer("a", "b", max_tokens=1.5), TypeError, None),
    ("answers", lambda m: m.answer(3, "b"), TypeError, None),
    ("answers", lambda m: m.answer("a", {"b": 1}), TypeError, None),
    ("rerank-1", lambda m: m.rerank("a", "b"), TypeError, None),
    ("rerank-1", lambda m: m.rerank("a", [None]), TypeError, None),
    ("rerank-1", lambda m: m.rerank(None, ["a"]), TypeError, None),
    ("rerank-1", lambda m: m.explain(b"a"), TypeError, None),
])
def test_bad_arguments(tasks, task, call, error, where):
    with pytest.raises(error) as caught:
        call(miao.load(tasks[task]))
    if where is not None:
        assert caught.value.where == where
