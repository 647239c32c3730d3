"""Documents by meaning: where hits stand, what a file keeps, and what is refused."""

import json

import numpy as np
import pytest
from conftest import REAL_MODELS

import miao

LINES = ["the cat sat", "a dog ran", "tax law is dry", "bread and jam", "rain in may"]


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notes")
    (folder / "notes.txt").write_text("\n".join(LINES) + "\n")
    (folder / "long.md").write_text("# Head\n\nfirst words here.\n\nsecond words there, caf\u00e9.\n")
    (folder / "faq.jsonl").write_text("".join(json.dumps({"answer": line, "id": i}) + "\n" for i, line in enumerate(LINES)))
    return folder


def cosines(encoder, query, texts):
    vectors, q = encoder.embed(texts), encoder.embed(query)
    return vectors @ q / np.linalg.norm(vectors, axis=1) / np.linalg.norm(q)


def test_hits_are_by_cosine(encoder, notes):
    index = encoder.index(notes / "notes.txt")
    assert isinstance(index, miao.Index) and (index.passages, index.embedded, index.approximate) == (5, 5, False)
    hits = index.search("a cat ran", top=5)
    want = cosines(encoder, "a cat ran", LINES)
    assert all(isinstance(h, miao.Hit) and h.text == LINES[h.line - 1] for h in hits)
    np.testing.assert_allclose([h.score for h in hits], [want[h.line - 1] for h in hits], atol=1e-6)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True) and len({h.line for h in hits}) == 5
    assert {h.file for h in hits} == {str(notes / "notes.txt")} and hits[0].fields == {}
    assert index.search("a cat ran", top=2) == hits[:2] and index.search("a cat ran", exact=True) == hits
    assert index.search(["a cat ran", "jam"], top=5) == [hits, index.search("jam", top=5)] and index.search([]) == []
    assert index.search("a", prompt=" cat r") != index.search("a")


def test_files_folders_and_texts(encoder, notes):
    both = encoder.index([str(notes / "notes.txt"), notes / "long.md"])
    assert {h.file for h in both.search("words", top=20)} == {str(notes / "notes.txt"), str(notes / "long.md")}
    assert encoder.index(notes).passages == 3 and encoder.index(notes / "long.md", split="lines").passages == 3
    faq = encoder.index(notes / "faq.jsonl", field="answer").search("jam", top=1)[0]
    assert faq.text == LINES[faq.fields["id"]] and faq.line == faq.fields["id"] + 1

    index = encoder.index(texts=[*LINES, {"text": "more\nof it", "page": 7}])
    hit = next(h for h in index.search("more of it", top=6) if h.fields)
    assert (hit.file, hit.line, hit.text, hit.fields) == ("texts", 6, "more\nof it", {"page": 7})
    want = encoder.index(notes / "notes.txt").search("rain", top=6)
    assert [h.text for h in index.search("rain", top=6) if not h.fields] == [h.text for h in want]


def test_a_file_keeps_what_was_computed(encoder, notes, tmp_path):
    file = tmp_path / "a.miaoindex"
    first = encoder.index(texts=LINES, file=file)
    again = encoder.index(texts=LINES, file=str(file))
    assert (first.embedded, again.embedded) == (5, 0) and again.search("jam") == first.search("jam")
    assert encoder.index(texts=[*LINES[1:], "new"], file=file).embedded == 1
    with pytest.raises(miao.Invalid):  # made with another prompt
        encoder.index(texts=LINES, file=file, prompt="a ")
    (tmp_path / "b.txt").write_text("a letter of mine")
    with pytest.raises(miao.Invalid):
        encoder.index(texts=LINES, file=tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_text() == "a letter of mine"


def test_an_index_outlives_names(encoders):
    model = miao.load(encoders["bert"])
    index = model.index(texts=LINES)
    del model
    assert len(index.search("cat")) == 5


@pytest.mark.parametrize("call, error, where", [
    (lambda m, f: m.index(), miao.Invalid, "paths"),
    (lambda m, f: m.index([]), miao.Invalid, "paths"),
    (lambda m, f: m.index(texts=[]), miao.Invalid, "paths"),
    (lambda m, f: m.index(3), TypeError, None),
    (lambda m, f: m.index([3]), TypeError, None),
    (lambda m, f: m.index(f / "none.txt"), miao.NotFound, None),
    (lambda m, f: m.index(texts="one"), TypeError, None),
    (lambda m, f: m.index(texts=["a", 3]), TypeError, None),
    (lambda m, f: m.index(texts=[{"txt": "a"}]), miao.Invalid, "texts[0]"),
    (lambda m, f: m.index(texts=[{"text": 3}]), miao.Invalid, None),
    (lambda m, f: m.index(texts=[{"text": "a", "b": {1}}]), TypeError, None),
    (lambda m, f: m.index(texts=["a", " "], split="words"), miao.Invalid, "split"),
    (lambda m, f: m.index(texts=["a"], passage=3), miao.Invalid, "passage"),
    (lambda m, f: m.index(texts=["a"], file=f / "none/a.miaoindex"), miao.NotFound, None),
    (lambda m, f: m.index(f / "faq.jsonl"), miao.Invalid, None),
    (lambda m, f: m.index(texts=["a"]).search(" "), miao.Invalid, "queries"),
    (lambda m, f: m.index(texts=["a"]).search(["a", ""]), miao.Invalid, "queries[1]"),
    (lambda m, f: m.index(texts=["a"]).search("a", top=0), miao.Invalid, "top"),
    (lambda m, f: m.index(texts=["a"]).search("a" * 80), miao.Invalid, None),
    (lambda m, f: m.index(texts=["a"]).search(3), TypeError, None),
    (lambda m, f: m.index(texts=["a"]).search("a", prompt=3), TypeError, None),
])
def test_bad_arguments(encoder, notes, call, error, where):
    with pytest.raises(error) as caught:
        call(encoder, notes)
    if where is not None:
        assert caught.value.where == where


def test_the_real_one():
    if not (REAL_MODELS / "all-MiniLM-L6-v2").exists():
        pytest.skip("needs all-MiniLM-L6-v2 in build/models")
    index = miao.load(REAL_MODELS / "all-MiniLM-L6-v2").index(texts=LINES)
    assert index.search("a kitten")[0].text == LINES[0] and index.search("breakfast")[0].text == LINES[3]
