"""tools/make_reference.py: the permuted model computes what the file it is made of computes."""
import subprocess
import sys

import gguf
import numpy as np
import pytest

from conftest import GOLDEN, ROOT

import miao


def make(source, folder, *flags):
    subprocess.run([sys.executable, ROOT / "tools/make_reference.py", source, folder, *flags], check=True)
    return folder


def logits(path, ids):
    return miao.load(path, dtype="fp32", threads=2).logits(ids)


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_another_order_computes_the_same(name, tmp_path):
    source, ids = GOLDEN / name / "model.gguf", [1, 5, 9, 2, 77, 30, 41]
    make(source, tmp_path, "--dtype", "float32")
    want = logits(source, ids)
    for copy in tmp_path / "model.gguf", tmp_path:  # GGUF, Hugging Face
        np.testing.assert_allclose(logits(copy, ids), want, rtol=0, atol=2e-5 * np.abs(want).max())
    before, after = (next(t for t in gguf.GGUFReader(f).tensors if t.name == "blk.0.ffn_down.weight").data
                     for f in (source, tmp_path / "model.gguf"))
    assert sorted(before.ravel()) == sorted(after.ravel())
    assert (before != after).mean() > 0.9


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    source = GOLDEN / "llama" / "model.gguf"
    files = [(make(source, tmp_path / n, "--seed", n) / "model.gguf").read_bytes() for n in "712"]
    again = (make(source, tmp_path / "again", "--seed", "7") / "model.gguf").read_bytes()
    assert files[0] == again and files[1] != files[2]


def test_a_real_model(real_model, tmp_path):
    make(real_model, tmp_path)
    ids = miao.load(real_model, threads=2).tokenizer.encode("The capital of France is Paris, and its largest river")
    want = logits(real_model, ids)
    for copy in tmp_path / "model.gguf", tmp_path:
        assert miao.load(copy, threads=2).tokenizer.encode("Ein Test: 1234 \U0001f600\n\n  x") == \
            miao.load(real_model, threads=2).tokenizer.encode("Ein Test: 1234 \U0001f600\n\n  x")
        got = logits(copy, ids)
        assert (got.argmax(1) == want.argmax(1)).all()
        np.testing.assert_allclose(got, want, rtol=0, atol=0.01 * np.abs(want).max())  # F16


def test_what_cannot_be_permuted_is_refused(tmp_path):
    for name, word in ("gpt2", "architecture"), ("llama-bias", "biases"), ("mixtral", "experts"):
        with pytest.raises(subprocess.CalledProcessError) as caught:
            subprocess.run([sys.executable, ROOT / "tools/make_reference.py", GOLDEN / name / "model.gguf", tmp_path],
                           check=True, capture_output=True, text=True)
        assert word in caught.value.stderr
