#!/usr/bin/env python3
"""Rows of floats and the bytes that llama.cpp's quantiser makes of them, for the tests of src/compress/rounding.

    make golden                         writes tests/golden/rounding again
    build/venv/bin/python tools/make_golden_rounding.py --check
                                        quantises the committed rows again and compares with the committed bytes

values.npy and importance.npy are float32 (rows, 512): a row of weights and the mean squared activation of each of its columns.
<type>.bin holds for each row the bytes without importance, then those with it. Every kind of row is there three times; the
importance of the first is log-normal, of the second the same with zero columns (one whole block among them), of the third
with a few columns that are a thousand times as large as the others. manifest.json names the kind of each row.
"""
import argparse
import json
import pathlib
import sys

import numpy as np

from ggml_quants import TYPES, GgmlQuants

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/rounding"
COLS, REPEATS = 512, 3


def with_outliers(rng):
    x = rng.normal(size=COLS) * 0.02
    x[rng.choice(COLS, 12, replace=False)] *= 30
    return x


def on_lattice(rng):
    """What decoding Q4_0 gives, but no block reaches the end of the range of codes."""
    scales = np.float16(rng.uniform(0.001, 0.03, COLS // 32)).astype(np.float32)
    return (np.repeat(scales, 32) * rng.integers(-6, 6, COLS)).astype(np.float32)


KINDS = {
    "gaussian": lambda rng: rng.normal(size=COLS) * 0.02,
    "laplace": lambda rng: rng.laplace(size=COLS) * 0.01,
    "heavy": lambda rng: np.clip(rng.standard_t(2, size=COLS), -200, 200) * 0.02,
    "outliers": with_outliers,
    "uniform": lambda rng: rng.uniform(-1, 1, COLS),
    "positive": lambda rng: 1 + 0.1 * rng.normal(size=COLS),
    "sparse": lambda rng: rng.normal(size=COLS) * (rng.uniform(size=COLS) < 0.05),
    "zero": lambda rng: np.zeros(COLS),
    "constant": lambda rng: np.full(COLS, rng.normal() * 0.1),
    "tiny": lambda rng: rng.normal(size=COLS) * 1e-6,
    "smaller": lambda rng: rng.normal(size=COLS) * 3e-8,
    "huge": lambda rng: np.clip(rng.normal(size=COLS) * 15000, -60000, 60000),
    "scales": lambda rng: rng.normal(size=COLS) * np.repeat(10.0 ** rng.uniform(-3, 0, COLS // 16), 16),
    "lattice": on_lattice,
}


def importance(rng, which):
    out = np.exp(rng.normal(size=COLS) * 1.5)
    if which == 1:
        out[rng.uniform(size=COLS) < 0.1] = 0
        out[64:96] = 0
    if which == 2:
        out[rng.choice(COLS, 5, replace=False)] *= 1000
    return out


def rows():
    rng = np.random.default_rng(20240811)
    values = [make(rng) for make in KINDS.values() for _ in range(REPEATS)]
    weights = [importance(rng, i % REPEATS) for i in range(len(values))]
    return np.asarray(values, "<f4"), np.asarray(weights, "<f4")


def encoded(ggml, values, weights):
    """type -> (rows, 2, bytes)"""
    return {name: np.stack([np.concatenate([ggml.quantize(name, v[None]), ggml.quantize(name, v[None], w)]) for v, w in zip(values, weights)])
            for name in TYPES}


def main():
    parser = argparse.ArgumentParser(description="Rows and the bytes that llama.cpp's quantiser makes of them.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, change nothing")
    options = parser.parse_args()
    ggml = GgmlQuants()
    if not options.check:
        OUT.mkdir(exist_ok=True)
        values, weights = rows()
        np.save(OUT / "values.npy", values)
        np.save(OUT / "importance.npy", weights)
        kinds = [kind for kind in KINDS for _ in range(REPEATS)]
        (OUT / "manifest.json").write_text(json.dumps({"cols": COLS, "kinds": kinds, "types": list(TYPES)}, indent=1) + "\n")
        for name, data in encoded(ggml, values, weights).items():
            (OUT / f"{name}.bin").write_bytes(data.tobytes())
        return 0
    bad = 0
    for name, data in encoded(ggml, np.load(OUT / "values.npy"), np.load(OUT / "importance.npy")).items():
        if (OUT / f"{name}.bin").read_bytes() != data.tobytes():
            print(f"tests/golden/rounding/{name}.bin: other bytes than llama.cpp's now")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
