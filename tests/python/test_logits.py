import numpy as np
import pytest
from conftest import GOLDEN

import miao


def test_a_batch_is_its_texts_bit_for_bit(model):
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, model.vocab, n).tolist() for n in [3, 1, 300, 40, 250, 7, 256, 64, 65]]
    batch = model.logits(texts)
    assert [b.shape for b in batch] == [(len(t), model.vocab) for t in texts]
    for text, logits in zip(texts, batch):
        assert logits.tobytes() == model.logits(text).tobytes()


def test_rows_depend_on_what_is_before_them_alone(model):
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    assert model.logits(ids[:4]).tobytes() == model.logits(ids)[:4].tobytes()


def test_threads_and_instruction_sets_change_no_bit(folder):
    ids = list(range(100))
    want = miao.load(folder, threads=1).logits(ids).tobytes()
    assert miao.load(folder, threads=2, isa="scalar").logits(ids).tobytes() == want


def test_results_outlive_the_model(folder):
    model = miao.load(folder)
    logits = model.logits([1, 2, 3])
    kept = logits.copy()
    del model
    assert (logits == kept).all() and logits.flags.owndata is False


def test_numpy_ids(model):
    ids = np.array([[1, 2, 3], [4, 5, 6]], np.int64)
    assert np.array_equal(model.logits(ids[0]), model.logits([1, 2, 3]))
    assert [m.shape for m in model.logits(ids)] == [(3, model.vocab)] * 2


def test_score_is_the_log_softmax_of_the_next_token(model):
    ids = [int(i) for i in np.random.default_rng(2).integers(0, model.vocab, 300)]
    scores = model.score(ids)
    assert scores.shape == (299,) and scores.dtype == np.float32
    x = model.logits(ids).astype(np.float64)[:-1]
    want = x[range(299), ids[1:]] - x.max(1) - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1))
    np.testing.assert_allclose(scores, want, rtol=1e-6)
    assert model.score(ids[:1]).shape == (0,)


def test_score_of_a_text(model):
    assert np.array_equal(model.score("Hello"), model.score(model.tokenizer.encode("Hello")))


@pytest.mark.parametrize("call, error, where", [
    (lambda m: m.logits([]), miao.Invalid, "input_ids"),
    (lambda m: m.logits([[1], []]), miao.Invalid, "input_ids[1]"),
    (lambda m: m.logits([1, -1]), miao.Invalid, ""),
    (lambda m: m.logits([1, m.vocab]), miao.Invalid, ""),
    (lambda m: m.logits([2**70]), miao.Invalid, "input_ids[0]"),
    (lambda m: m.logits([[1], [10**6]]), miao.Invalid, ""),
    (lambda m: m.logits([1] * (m.ctx + 1)), miao.Invalid, ""),
    (lambda m: m.score([]), miao.Invalid, "text"),
    (lambda m: m.score(""), miao.Invalid, "text"),
    (lambda m: m.score([1, 2, m.vocab]), miao.Invalid, "ids"),
    (lambda m: m.logits("text"), TypeError, None),
    (lambda m: m.logits(b"\1\2"), TypeError, None),
    (lambda m: m.logits(3), TypeError, None),
    (lambda m: m.logits(None), TypeError, None),
    (lambda m: m.logits([1.5]), TypeError, None),
    (lambda m: m.logits(["1"]), TypeError, None),
    (lambda m: m.logits([[1], 2]), TypeError, None),
    (lambda m: m.logits([[[1]]]), TypeError, None),
    (lambda m: m.logits({1: 2}), TypeError, None),
    (lambda m: m.logits(), TypeError, None),
    (lambda m: m.logits(np.ones(3, np.float32)), TypeError, None),
])
def test_bad_ids(model, call, error, where):
    with pytest.raises(error) as caught:
        call(model)
    if where is not None:
        assert caught.value.where == where
    assert len(model.logits([1])) == 1  # and nothing else has happened


def test_properties():
    model = miao.load(GOLDEN / "qwen3/model.gguf", threads=1, ctx=64, isa="scalar")
    assert (model.family, model.architecture) == ("qwen3", "gguf:qwen3")
    assert miao.load(GOLDEN / "qwen3").architecture == "Qwen3ForCausalLM"
    assert model.ctx == 64 and model.isa == "scalar" and model.layers > 0 and model.dim > 0
    assert set(model.memory) == {"weights", "embedding", "buffers", "kv_reserved", "kv_per_token"}
    assert {"weights", "format", "gemv", "gemm", "bytes"} == set(model.kernels[0])
    assert sum(k["bytes"] for k in model.kernels) <= model.memory["weights"]
    assert "qwen3" in repr(model)
