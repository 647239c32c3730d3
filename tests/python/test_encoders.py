"""Encoders: hidden states and heads against transformers, embedding and classification."""

import json
import shutil

import numpy as np
import pytest
from conftest import ENCODERS

import miao

CASES = json.loads((ENCODERS / "manifest.json").read_text())["cases"]
LONG = "a" * 80  # more tokens than the models read


def outputs(model, case):
    """Of all inputs: the hidden state of a model without a head, else what its head gives."""
    method = model.encode if case["architecture"].endswith("Model") else model.logits
    ids, types = ([i[key] for i in case["inputs"]] for key in ("ids", "types"))
    batch = method(ids, token_type_ids=types if types[0] else None)
    for one, i, t in zip(batch, ids, types):
        assert method(np.array(i), token_type_ids=t or None).tobytes() == one.tobytes()
    return batch


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_outputs_of_transformers(case):
    folder = ENCODERS / case["name"]
    want = np.load(folder / "out.npy")
    for path in [folder] + [folder / "model.gguf"] * case["gguf"]:
        batch = outputs(miao.load(path, threads=2), case)
        assert all(b.dtype == np.float32 and b.ndim == 2 for b in batch)
        np.testing.assert_allclose(np.concatenate(batch), want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_outputs_of_transformers_now(case):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    peer = getattr(transformers, case["architecture"]).from_pretrained(ENCODERS / case["name"], dtype=torch.float32)
    ids = [5, 9, 8, 7, 11, 13]  # none that a model pads with: transformers gives those a position of their own
    with torch.no_grad():
        out = peer.eval()(torch.tensor([ids]))
    model = miao.load(ENCODERS / case["name"], dtype="fp32")
    if "start_logits" in out:
        got, want = model.logits(ids), torch.stack([out.start_logits[0], out.end_logits[0]], 1)
    elif "logits" in out:
        got, want = model.logits(ids), out.logits.reshape(-1, out.logits.shape[-1])
    else:
        got, want = model.encode(ids), out.last_hidden_state[0]
    np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-5 * np.abs(want.numpy()).max())


def test_properties(encoder, classifier, encoders):
    assert (encoder.kind, encoder.family, encoder.dim, encoder.layers) == ("encoder", "bert", 48, 2)
    assert encoder.ctx == 64 and encoder.vocab == 131 and encoder.prompts == {} and encoder.labels == []
    assert encoder.methods == ["embed", "encode", "index"] and encoder.start_id is None
    assert classifier.labels == ["BAD", "FINE", "GOOD"] and "classify" in classifier.methods
    assert len(miao.load(encoders["bert-tokens"]).labels) > 1 and miao.load(encoders["bert-span"]).labels == []
    assert encoder.memory["weights"] > 0 and encoder.memory["kv_per_token"] == 0 and encoder.kernels
    assert encoder.tokenizer.encode("ab") == [2, 4, 31, 3] and "encoder" in repr(encoder)


def test_a_second_encoder_costs_memory_once(encoders):
    model = miao.load(encoders["bert"])
    before = model.memory["weights"]
    model.embed("a")
    assert model.memory["weights"] == before
    for _ in range(2):
        model.encode([1, 2])
        assert model.memory["weights"] == 2 * before


def test_embed_is_the_mean_of_the_rows(encoder):
    texts = ["hello there", "a", "", "some words and some more words"]
    rows = encoder.embed(texts)
    assert rows.shape == (4, 48) and rows.dtype == np.float32
    for text, row in zip(texts, rows):
        want = encoder.encode(encoder.tokenizer.encode(text)).mean(0)
        np.testing.assert_allclose(row, want, rtol=0, atol=1e-5 * np.abs(want).max())
        one = encoder.embed(text)
        assert one.shape == (48,) and one.tobytes() == row.tobytes()
    assert encoder.embed([]).shape == (0, 48)
    assert np.array_equal(encoder.embed(iter(texts)), rows)


def test_prompts(encoders, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(encoders["bert"], folder)
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer", "path": ""}]))
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "find ", "passage": ""}, "default_prompt_name": "query"}))
    model = miao.load(folder)
    assert model.prompts == {"query": "find ", "passage": ""}
    plain = model.embed("words", prompt="")
    assert np.array_equal(plain, model.embed("words", prompt=model.prompts["passage"]))
    assert np.array_equal(model.embed("words"), model.embed("find words", prompt=""))
    assert np.array_equal(model.embed("words", prompt="a "), model.embed("a words", prompt=""))
    assert not np.array_equal(plain, model.embed("words"))


def test_classify_is_the_softmax_of_the_head(classifier):
    texts = ["good", "bad words", ""]
    results = classifier.classify(texts)
    for text, result in zip(texts, results):
        logits = classifier.logits(classifier.tokenizer.encode(text))[0].astype(np.float64)
        want = np.exp(logits) / np.exp(logits).sum()
        assert list(result.scores) == ["BAD", "FINE", "GOOD"]
        np.testing.assert_allclose(list(result.scores.values()), want, rtol=1e-5)
        assert result.label == classifier.labels[want.argmax()] and result.score == max(result.scores.values())
        raw = classifier.classify(text, raw=True)
        np.testing.assert_allclose(list(raw.scores.values()), logits, rtol=1e-5)
    assert classifier.classify(texts[0]) == results[0] and isinstance(results[0], miao.Classification)
    assert classifier.classify([]) == []


def test_too_long_texts(encoder, classifier):
    for method in (encoder.embed, classifier.classify):
        with pytest.raises(miao.Invalid, match="82 tokens"):
            method(LONG)
        with pytest.raises(miao.Invalid, match="text 2"):
            method(["a", LONG])
        method(LONG, truncate=True)
    assert np.array_equal(encoder.embed(LONG, truncate=True), encoder.embed("a" * 62))


def test_every_head_embeds_and_encodes(encoders):
    for folder in encoders.values():
        model = miao.load(folder)
        assert model.embed(["a", "b"]).shape == (2, 48) and model.encode([1, 2, 3]).shape == (3, 48)


@pytest.mark.parametrize("call, error, where", [
    (lambda m: m.encode([]), miao.Invalid, "input_ids"),
    (lambda m: m.encode([[1], []]), miao.Invalid, "input_ids[1]"),
    (lambda m: m.encode([-1]), miao.Invalid, "input 1"),
    (lambda m: m.encode([[1], [m.vocab]]), miao.Invalid, "input 2"),
    (lambda m: m.encode([1] * (m.ctx + 1)), miao.Invalid, "input 1"),
    (lambda m: m.encode([1, 2], token_type_ids=[0]), miao.Invalid, "input 1"),
    (lambda m: m.encode([1, 2], token_type_ids=[0, 2]), miao.Invalid, "input 1"),
    (lambda m: m.encode([1, 2], token_type_ids=[0, -1]), miao.Invalid, "input 1"),
    (lambda m: m.encode([[1], [2]], token_type_ids=[[0]]), miao.Invalid, "token_type_ids"),
    (lambda m: m.encode([[1], [2]], token_type_ids=[0, 0]), TypeError, None),
    (lambda m: m.encode([1], token_type_ids=3), TypeError, None),
    (lambda m: m.encode("text"), TypeError, None),
    (lambda m: m.encode(None), TypeError, None),
    (lambda m: m.encode(np.ones(3, np.float32)), TypeError, None),
    (lambda m: m.encode(np.ones((2, 2, 2), np.int64)), TypeError, None),
    (lambda m: m.encode(np.int64(3)), TypeError, None),
    (lambda m: m.embed(3), TypeError, None),
    (lambda m: m.embed(b"a"), TypeError, None),
    (lambda m: m.embed({"a": 1}), TypeError, None),
    (lambda m: m.embed([1]), TypeError, None),
    (lambda m: m.embed(["a", None]), TypeError, None),
    (lambda m: m.embed(["\ud800"]), UnicodeEncodeError, None),
    (lambda m: m.embed("a", prompt=1), TypeError, None),
    (lambda m: m.embed("a", truncate=1.5), TypeError, None),
    (lambda m: m.embed("a", nonsense=1), TypeError, None),
])
def test_bad_arguments(encoder, call, error, where):
    with pytest.raises(error) as caught:
        call(encoder)
    if where is not None:
        assert caught.value.where == where
    assert encoder.embed("a").shape == (48,)  # and nothing else has happened


def test_no_tokenizer():
    model = miao.load(ENCODERS / "bert")
    for call in (lambda: model.embed("a"), lambda: model.tokenizer):
        with pytest.raises(miao.NotFound):
            call()
    assert model.encode([1]).shape == (1, 48)


def test_results_outlive_the_model(encoders):
    model = miao.load(encoders["bert"])
    rows, state = model.embed(["a", "b"]), model.encode([[1, 2], [3]])
    kept = rows.copy(), state[0].copy()
    model.embed(["c", "d"])
    del model
    assert (rows == kept[0]).all() and (state[0] == kept[1]).all()
