#!/usr/bin/env python3
"""Log-mel features of a synthetic sound as transformers' WhisperFeatureExtractor computes them.

    make golden                         writes tests/golden/mel again
    build/venv/bin/python tools/make_golden_mel.py --check
                                        computes them again and compares with what is committed

Files are float32, (frames, bins) in row order: 80.bin and 128.bin of the sound as a chunk of 30 s (the frames FRAMES),
short.bin all frames of its first SHORT samples without padding, 80 bins. The sound is made of integers only, so that
src/prep/mel_test.cpp makes the same: a rising tone that steps from loud to quiet, noise, and pauses of pure silence.
"""
import argparse
import pathlib
import sys

import numpy as np
import transformers

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/mel"
SAMPLES, SHORT = 112000, 3500
FRAMES = [0, 1, 2, 25, 49, 50, 51, 100, 149, 299, 300, 301, 349, 350, 500, 698, 699, 700, 701, 702, 1500, 2998, 2999]


def sound():
    out = np.zeros(SAMPLES, np.float32)
    phase, noise = 0, 1
    for i in range(SAMPLES):
        phase = (phase + 30000000 + 4000 * i) & 0xFFFFFFFF
        noise = (noise * 1664525 + 1013904223) & 0xFFFFFFFF
        part = i // 8000
        if part % 7 != 6:
            out[i] = (((abs((phase >> 16) - 32768) - 16384) >> part % 7) + (((noise >> 16) - 32768) >> 5)) / 32768
    return out


def features():
    """name -> (frames, bins)"""
    samples = sound()
    for bins in (80, 128):
        extractor = transformers.WhisperFeatureExtractor(feature_size=bins)
        chunk = extractor(samples, sampling_rate=16000)["input_features"][0]
        exact = extractor._np_extract_fbank_features(np.pad(samples, (0, 480000 - SAMPLES))[None], "cpu")[0]
        if np.abs(chunk - exact).max() > 5e-5:
            raise SystemExit(f"float32 is too coarse for this sound: {np.abs(chunk - exact).max():.1e}")
        yield f"{bins}", chunk.T[FRAMES]
        if bins == 80:
            yield "short", extractor._torch_extract_fbank_features(samples[:SHORT]).T


def main():
    parser = argparse.ArgumentParser(description="Log-mel features of a synthetic sound.")
    parser.add_argument("--check", action="store_true", help="compare with the committed files, change nothing")
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    bad = 0
    for name, values in features():
        path = OUT / f"{name}.bin"
        if not options.check:
            path.write_bytes(np.ascontiguousarray(values, "<f4").tobytes())
            continue
        difference = np.abs(np.fromfile(path, "<f4").reshape(values.shape) - values).max()
        if difference > 1e-5:
            print(f"tests/golden/mel/{name}.bin: differs by {difference:.2g}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
