#!/usr/bin/env python3
"""Writes <format>.bin beside this script: random block bytes, then the FP32 values they decode to.

Layout of a file: 3 blocks of the format (raw bytes), then 3 * block values as little-endian FP32. The values come from
gguf.quants.dequantize (gguf 0.19.0, numpy 2.4.6), which is checked bit for bit against ggml's C code upstream.
Scales are random finite F16, including subnormals; run again only when a format is added.
"""
import pathlib

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T

# Byte offsets of F16 scales within a block.
HALVES = {
    "F16": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}
NAMES = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
         "IQ4_XS", "MXFP4"]


def main():
    rng = np.random.default_rng(20240607)
    here = pathlib.Path(__file__).parent
    for name in NAMES:
        qtype = T[name]
        block, size = GGML_QUANT_SIZES[qtype]
        count = 96 if block == 1 else 3
        data = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for offset in HALVES.get(name, []):
            scale = (rng.standard_normal(count) * 0.05).astype(np.float16)
            scale[-1] = np.float16(3e-6)  # subnormal
            data[:, offset:offset + 2] = scale.view(np.uint8).reshape(count, 2)
        if name == "BF16":
            values = rng.standard_normal(count).astype(np.float32)
            data = (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8).reshape(count, 2)
        if name == "MXFP4":
            data[:, 0] = [0, 1, 120]
        flat = gguf.quants.dequantize(data.reshape(1, -1).copy(), qtype).astype("<f4")
        assert flat.size == count * block, name
        (here / f"{name.lower()}.bin").write_bytes(data.tobytes() + flat.tobytes())


if __name__ == "__main__":
    main()
