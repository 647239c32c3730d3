"""llama.cpp and ik_llama.cpp: their sources, builds and programs."""
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import tarfile

from peers.common import PEERS, ROOT, Ran, must, pip_download, say

TARGETS = ["llama-bench", "llama-quantize", "llama-batched-bench", "llama-perplexity", "llama-completion", "llama-imatrix"]
SDIST = "llama-cpp-python==0.3.36"
GROUPS = ("llama.cpp", "ik_llama.cpp")
PROMPT = "The three largest rivers of Europe are"


def processor_flags():
    found = re.search(r"^flags\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return set(found.group(1).split()) if found else set()


def llama_source():
    folder = PEERS / "source"
    found = sorted(folder.glob("*/vendor/llama.cpp/CMakeLists.txt"))
    if not found:
        say(f"downloading {SDIST}")
        pip_download(SDIST, PEERS / "download", "--no-binary", ":all:")
        with tarfile.open(next((PEERS / "download").glob("llama_cpp_python-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(folder)
        found = sorted(folder.glob("*/vendor/llama.cpp/CMakeLists.txt"))
    return found[0].parent


def build(source, folder, targets, flags):
    if not (folder / "bin" / targets[0]).exists():
        say(f"building {folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder}")
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        must(["cmake", "-S", source, "-B", folder, *generator, "-DCMAKE_BUILD_TYPE=Release", *flags])
    must(["cmake", "--build", folder, "--parallel", str(os.cpu_count()), "--target", *targets])
    return folder


def build_llama_cpp():
    source = llama_source()
    common = ["-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_BUILD_TESTS=OFF"]
    out = [build(source, PEERS / "llama.cpp", TARGETS, ["-DGGML_NATIVE=ON", *common])]
    have = processor_flags()
    if "amx_int8" in have:
        names = {"sse4_2": "SSE42", "avx": "AVX", "avx2": "AVX2", "bmi2": "BMI2", "fma": "FMA", "f16c": "F16C", "avx_vnni": "AVX_VNNI",
                 "avx512f": "AVX512", "avx512_vnni": "AVX512_VNNI", "avx512vbmi": "AVX512_VBMI", "avx512_bf16": "AVX512_BF16"}
        flags = [f"-DGGML_{option}=ON" for flag, option in names.items() if flag in have]
        out.append(build(source, PEERS / "llama.cpp-without-amx", TARGETS, ["-DGGML_NATIVE=OFF", *flags, *common]))
    return out


def find_ik(path):
    """A build folder of ik_llama.cpp, or a source tree, which is built."""
    path = pathlib.Path(path).resolve()
    if (path / "bin" / "llama-bench").exists():
        return path
    return build(path, PEERS / "ik_llama.cpp", ["llama-bench"], ["-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF"])


class Llama:
    """One way to run one build: repacked weights or not, flash attention or not."""

    def __init__(self, folder, label, threads, repack, flash, ik=False):
        self.folder, self.threads, self.repack, self.flash, self.ik = folder, threads, repack, flash, ik
        self.name = f"{label}, {'' if repack else 'no '}repack, {'' if flash else 'no '}flash attention"

    def tool(self, name):
        return self.folder / "bin" / name

    def speeds(self, model, prompt, gen, reps):
        switch = ["-rtr", int(self.repack), "-fa", int(self.flash)] if self.ik else \
                 ["--repack", int(self.repack), "-fa", "on" if self.flash else "off"]
        ran = Ran([self.tool("llama-bench"), "-m", model, "-p", prompt, "-n", gen, "-t", self.threads, "-r", reps, "-o", "json", *switch])
        if ran.code:
            return None
        out = {}
        for row in json.loads(ran.out[ran.out.index("["):]):
            # ik_llama.cpp names no samples in some versions
            samples = row.get("samples_ts") or [row["avg_ts"]]
            out["prefill" if row["n_prompt"] else "decode"] = statistics.median(samples)
        return out

    def common(self):
        return ["-t", self.threads, "--repack" if self.repack else "--no-repack", "-fa", "on" if self.flash else "off"]

    def batched(self, model, prompt, gen, batch):
        ran = Ran([self.tool("llama-batched-bench"), "-m", model, "-c", (prompt + gen) * batch, "-npp", prompt, "-ntg", gen,
                   "-npl", batch, "--output-format", "jsonl", *self.common()])
        rows = [json.loads(line) for line in ran.out.splitlines() if line.startswith("{")]
        return rows[0]["speed_tg"] if rows and ran.code == 0 else None

    def complete(self, model, tokens):
        return Ran([self.tool("llama-completion"), "-m", model, "-p", PROMPT, "-n", tokens, "--ignore-eos", "--temp", 0, "-no-cnv",
                    "--no-warmup", "-c", 2048, *self.common()])


def contenders(o):
    """(build folders of llama.cpp, every way to run them and ik_llama.cpp)"""
    folders = [pathlib.Path(d).resolve() for d in o.llama_cpp] if o.llama_cpp else build_llama_cpp()
    switches = list(itertools.product((True, False), (True, False)))
    out = [Llama(folder, "llama.cpp" if len(folders) == 1 else f"llama.cpp ({folder.name})", o.threads, repack, flash)
           for folder in folders for repack, flash in switches]
    if o.ik:
        ik = find_ik(o.ik)
        out += [Llama(ik, "ik_llama.cpp", o.threads, repack, flash, ik=True) for repack, flash in switches]
    return folders, out


def versions(o):
    return {"llama.cpp": [pathlib.Path(d).name for d in o.llama_cpp] if o.llama_cpp else SDIST,
            **({"ik_llama.cpp": o.ik_version or "a given source"} if o.ik else {}),
            "compiler": must(["c++", "--version"]).splitlines()[0]}
