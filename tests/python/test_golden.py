"""Logits against those of transformers on the tiny models of tests/golden/models, from both kinds of files."""

import json

import numpy as np
import pytest
from conftest import GOLDEN

import miao

MANIFEST = json.loads((GOLDEN / "manifest.json").read_text())
RUNS = [(case, run, name)
        for case in MANIFEST["cases"]
        for run in case["runs"]
        for name in ["", case["gguf"]["file"] if case.get("gguf") and run["name"] in case["gguf"]["runs"] else None]
        if name is not None]


@pytest.mark.parametrize("case, run, file", RUNS, ids=lambda v: v["name"] if isinstance(v, dict) else v or "folder")
def test_logits_of_transformers(case, run, file):
    folder = GOLDEN / case["name"]
    model = miao.load(folder / file, kv="f32", ctx=len(run["ids"]))
    logits = model.logits(run["ids"])
    assert logits.shape == (len(run["ids"]), model.vocab) and logits.dtype == np.float32
    want = np.load(folder / run["logits"])
    np.testing.assert_allclose(logits[run["positions"]], want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.oracle
@pytest.mark.parametrize("name", [case["name"] for case in MANIFEST["cases"]])
def test_logits_of_transformers_now(name):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    ids = [5, 9, 2, 7, 11, 3]
    peer = transformers.AutoModelForCausalLM.from_pretrained(GOLDEN / name, dtype=torch.float32).eval()
    with torch.no_grad():
        want = peer(torch.tensor([ids])).logits[0].numpy()
    got = miao.load(GOLDEN / name, dtype="fp32", ctx=len(ids)).logits(ids)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())
