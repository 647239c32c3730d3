"""ggml's quantiser as a shared library driven with ctypes: the encoders that llama-quantize uses, without the rest of it."""
import ctypes
import os

import numpy as np

from peers.common import ROOT, must
from peers.llama_cpp import llama_source

LIBRARY = ROOT / "build" / "ggml-quants" / "libggml_quants.so"
# Type numbers of ggml.h.
TYPES = {"f16": 1, "bf16": 30, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_k": 10, "q3_k": 11, "q4_k": 12, "q5_k": 13,
         "q6_k": 14, "iq4_nl": 20, "iq4_xs": 23, "mxfp4": 39}
# ggml-base is built for the baseline of the processor too: its CMake files give flags for instruction sets to backends only.
FLAGS = ["-O3", "-DNDEBUG", "-w", "-fPIC", "-D_GNU_SOURCE", "-ffp-contract=off"]


def build():
    """The path of the library, which is compiled once (about ten seconds)."""
    if LIBRARY.exists():
        return LIBRARY
    ggml, out = llama_source() / "ggml", LIBRARY.parent
    out.mkdir(parents=True, exist_ok=True)
    (out / "ggml-version.h").write_text('#define GGML_VERSION "0"\n#define GGML_COMMIT "0"\n')
    objects = []
    for name, compiler in (("ggml-quants.c", ["cc", "-std=c11"]), ("ggml.c", ["cc", "-std=c11"]), ("ggml-threading.cpp", ["c++", "-std=c++17"])):
        objects.append(out / (name + ".o"))
        must([*compiler, *FLAGS, f"-I{out}", f"-I{ggml}/include", f"-I{ggml}/src", "-c", ggml / "src" / name, "-o", objects[-1]])
    must(["c++", "-shared", *objects, "-o", LIBRARY.with_suffix(".part"), "-lm", "-lpthread"])
    LIBRARY.with_suffix(".part").rename(LIBRARY)
    return LIBRARY


class GgmlQuants:
    def __init__(self):
        # What ggml.c needs of the backends stays unresolved; quantising calls none of it.
        library = ctypes.CDLL(str(build()), os.RTLD_LAZY)
        floats = ctypes.POINTER(ctypes.c_float)
        self._chunk = library.ggml_quantize_chunk
        self._chunk.restype = ctypes.c_size_t
        self._chunk.argtypes = [ctypes.c_int, floats, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, floats]
        self._row = library.ggml_row_size
        self._row.restype, self._row.argtypes = ctypes.c_size_t, [ctypes.c_int, ctypes.c_int64]

    def row_bytes(self, name, cols):
        return self._row(TYPES[name], cols)

    def quantize(self, name, values, importance=None):
        """(rows, cols) float32 -> (rows, bytes) uint8; importance has cols entries and holds for all rows."""
        floats = ctypes.POINTER(ctypes.c_float)
        values = np.ascontiguousarray(values, np.float32)
        rows, cols = values.shape
        out = np.zeros((rows, self.row_bytes(name, cols)), np.uint8)
        weights = None
        if importance is not None:
            importance = np.ascontiguousarray(importance, np.float32)
            assert importance.shape == (cols,)
            weights = importance.ctypes.data_as(floats)
        self._chunk(TYPES[name], values.ctypes.data_as(floats), out.ctypes.data, 0, rows, cols, weights)
        return out
