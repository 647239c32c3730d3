#!/usr/bin/env python3
"""Rounding into block formats beside llama.cpp's quantiser: weighted error and time of the same blocks, one thread each.

    build/venv/bin/python tools/compare_rounding.py [--types q4_0,q4_k] [--blocks 4096] [--seed 1]

Needs build/release/libmiao_compress.a (cmake --build build/release --target miao_compress). Rows are random, of ten kinds. Per
type, method and kind it prints the error of miao over that of llama.cpp, summed over all blocks and for the block where it
compares worst; how many blocks are worse by more than the rounding of float (none, but for `nearest`); nanoseconds per value of
both, and their ratio. Errors are weighted as src/compress/rounding/weights.h says. Without importance llama.cpp does not
search for Q4_0, Q4_1, Q5_0 and Q5_1, and for Q8_0 and MXFP4 never: `nearest` is what compares with it there in time.
"""
import argparse
import ctypes
import subprocess
import time

import numpy as np

from ggml_quants import TYPES, GgmlQuants
from peers.common import ROOT, must

COLS = 2048
BLOCK = {name: 256 for name in ("q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs")}
GROUP = {"q2_k": 16, "q3_k": 16, "q6_k": 16}
ROW_SPREAD = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4")
FLOATS = ctypes.POINTER(ctypes.c_float)
NEAREST, LEAST_SQUARES, IMPORTANCE = 0, 1, 2


class Miao:
    def __init__(self, ggml):
        release, library = ROOT / "build/release", ROOT / "build/ggml-quants/libmiao_rounding.so"
        libraries = [release / f"libmiao_{name}.a" for name in ("compress", "io", "tensor", "base")]
        must(["c++", "-std=c++20", "-O2", "-shared", "-fPIC", f"-I{ROOT}/src", ROOT / "tools/compare_rounding.cpp", "-o", library,
              "-Wl,--start-group", *libraries, "-Wl,--end-group", "-lspdlog", "-lfmt", "-lcrypto", "-lpthread"])
        self.library, self.ggml = ctypes.CDLL(str(library)), ggml

    def encode(self, name, method, x, importance=None):
        out = np.zeros((x.shape[0], self.ggml.row_bytes(name, x.shape[1])), np.uint8)
        weights = importance.ctypes.data_as(FLOATS) if importance is not None else None
        if self.library.miao_encode(TYPES[name], method, x.ctypes.data_as(FLOATS), ctypes.c_long(x.shape[0]), ctypes.c_long(x.shape[1]),
                                    weights, ctypes.c_void_p(out.ctypes.data)):
            raise SystemExit(f"{name}: not encoded")
        return out

    def decode(self, name, data, cols):
        out = np.zeros((data.shape[0], cols), np.float32)
        self.library.miao_decode(TYPES[name], ctypes.c_void_p(data.ctypes.data), out.ctypes.data_as(FLOATS), ctypes.c_long(out.size))
        return out


KINDS = ("gaussian", "laplace", "heavy", "outliers", "sparse", "one", "constant", "tiny", "large", "mixed")


def rows_of(kind, rng, rows):
    x = rng.normal(size=(rows, COLS)) * 0.02
    if kind == "laplace":
        x = rng.laplace(size=x.shape) * 0.02
    if kind == "heavy":
        x = np.clip(rng.standard_t(3, size=x.shape), -300, 300) * 0.02
    if kind == "outliers":
        x[rng.uniform(size=x.shape) < 0.02] *= 30
    if kind == "sparse":
        x[rng.uniform(size=x.shape) > 0.05] = 0
    if kind == "one":  # a single large value in every 256
        x[:, rng.integers(0, 256)::256] *= 1000
    if kind == "constant":
        x = np.repeat(x[:, ::32], 32, 1)
    if kind == "tiny":  # where scales are among the smallest F16 numbers
        x *= 10.0 ** rng.uniform(-7, -3, size=(rows, 1))
    if kind == "large":  # near the largest offset that F16 holds
        x = np.clip(x * 1e6, -65000, 65000)
    if kind == "mixed":
        x *= np.repeat(10.0 ** rng.uniform(-4, 1, size=(rows, COLS // 16)), 16, 1)
    return x.astype(np.float32)


def importance_of(rng):
    """Log-normal, with columns that no activation reached, a whole block among them."""
    importance = np.exp(rng.normal(size=COLS) * 1.5)
    importance[rng.uniform(size=COLS) < 0.02] = 0
    importance[64:96] = 0
    return importance.astype(np.float32)


def weights_of(name, x, importance):
    x = x.astype(np.float64)
    if importance is not None:
        importance = np.maximum(importance, 1e-6 * importance.mean())

    def mean_square(n):
        return np.repeat((x.reshape(len(x), -1, n) ** 2).mean(2), n, 1)

    if importance is None:
        return np.sqrt(4 * mean_square(GROUP.get(name, 32)) + x * x)
    if name == "q6_k":
        return np.broadcast_to(importance, x.shape)
    spread = mean_square(COLS) if name in ROW_SPREAD else mean_square(BLOCK.get(name, 32)) * (1 if name == "q2_k" else 2)
    return importance * np.sqrt(spread + x * x)


def timed(run):
    start = time.perf_counter()
    out = run()
    return out, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description="Rounding into block formats beside llama.cpp's quantiser.")
    parser.add_argument("--types", default=",".join(t for t in TYPES if t not in ("f16", "bf16")))
    parser.add_argument("--blocks", type=int, default=2048, help="at least so many blocks per line")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    ggml = GgmlQuants()
    miao = Miao(ggml)
    print("commit", subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True).stdout.strip())
    print(f"{'type':8}{'method':14}{'values':10}{'error':>8}{'worst':>8}{'worse':>12}{'ns/value':>10}{'llama.cpp':>10}{'time':>7}")
    for name in options.types.split(","):
        block = BLOCK.get(name, 32)
        rows = max(1, options.blocks * block // COLS)
        for method, label in ((NEAREST, "nearest"), (LEAST_SQUARES, "least squares"), (IMPORTANCE, "importance")):
            for kind in KINDS:
                x = rows_of(kind, rng, rows)
                importance = importance_of(rng) if method == IMPORTANCE else None
                theirs, their_time = timed(lambda: ggml.quantize(name, x, importance))
                mine, my_time = timed(lambda: miao.encode(name, method, x, importance))
                w = weights_of(name, x, importance)
                its, own = ((w * (x.astype(np.float64) - miao.decode(name, data, COLS)) ** 2).reshape(-1, block).sum(1) for data in (theirs, mine))
                # The search measures in float: some 1e-7 of the values are lost in their differences.
                worse = own > its * (1 + 1e-6) + 1e-13 * (w * x.astype(np.float64) ** 2).reshape(-1, block).sum(1)
                some = its > 0
                ratio = own[some] / its[some]
                print(f"{name:8}{label:14}{kind:10}{own.sum() / its.sum():8.4f}{ratio.max():8.4f}{worse.sum():6}/{len(worse):<5}"
                      f"{my_time / x.size * 1e9:10.1f}{their_time / x.size * 1e9:10.1f}{my_time / their_time:7.2f}")


if __name__ == "__main__":
    main()
