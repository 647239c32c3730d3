"""Compression: files that miao quantize and llama-quantize write of one full-precision model, judged by llama.cpp.

The model is SmolLM2-135M, dequantised and put in another order (tools/make_reference.py), in F16. `uniform`: every matrix in
one type, without calibration. `calibrated`: the mixes of llama-quantize, both sides with the same calibration text;
llama-quantize with the importance matrix that llama-imatrix makes of it. `adaptive`: the types that miao compress chooses for a
file no larger, and requests no slower, than with a mix of llama-quantize's, against that mix, both built by miao with GPTQ.
`search`: the fastest file within 2 % of perplexity, and what it loses on resampled texts. Figures are the KL divergences
that llama-perplexity finds on text that calibration never saw, a mean for each window of 512 tokens (half of them scored), so
that ratios have an interval: bootstrap over windows, 95 %.
"""
import json
import random
import re
import shutil
import statistics
import time

from peers import encoders, llama_cpp
from peers.common import PEERS, ROOT, Ran, header, must, say, sha256

FOLDER = PEERS / "compression"
SUBJECT = "SmolLM2-135M, reordered, F16"
UNIFORM = ("Q8_0", "Q6_K", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "IQ4_NL", "Q4_K", "Q5_K", "IQ4_XS", "Q3_K", "Q2_K")
MIXES = ("Q4_K_M", "Q4_0", "IQ4_XS")
CASES = ("uniform", "calibrated", "adaptive", "search")
CHUNKS = 100
BUDGET, TRIALS, TRIAL_CHUNKS = 0.02, 20, 40  # of `search`


def get_texts():
    """Reviews and editorials: calibration has the first half of each, the test the second half of the editorials."""
    if not (FOLDER / "test.txt").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        nyt, amazon = encoders.snippets("nytEditorialSnippets"), encoders.snippets("amazonReviewSnippets")
        (FOLDER / "calibration.txt").write_text(" ".join(nyt[:len(nyt) // 2] + amazon[:len(amazon) // 2]) + "\n")
        (FOLDER / "test.txt").write_text(" ".join(nyt[len(nyt) // 2:]) + "\n")
    return FOLDER / "calibration.txt", FOLDER / "test.txt"


def get_model(miao):
    model = FOLDER / "reference" / "model.gguf"
    if not model.exists():
        say("making the reference")
        must([ROOT / "scripts" / "venv.sh"])
        published = must([miao, "pull", "--quiet", "smollm2"]).strip()
        must([ROOT / "build" / "venv" / "bin" / "python", ROOT / "tools" / "make_reference.py", published, model.parent])
    return model


class Judge:
    def __init__(self, llama, model, text, threads, chunks):
        self.llama, self.common = llama, ["-f", text, "-c", 512, "-t", threads, "--chunks", chunks]
        self.base = FOLDER / f"base-{chunks}.kld"
        if not self.base.exists():
            say("log-probabilities of the reference")
            must([llama.tool("llama-perplexity"), "-m", model, "--kl-divergence-base", self.base, *self.common])

    def divergences(self, model):
        """The mean KL divergence of each window."""
        ran = Ran([self.llama.tool("llama-perplexity"), "-m", model, "--kl-divergence", "--kl-divergence-base", self.base, *self.common])
        # chunk  PPL +- e  ln(PPL(Q)/PPL(base)) +- e  KL +- e  ...: means over all windows so far
        means = [float(m.group(1)) for m in re.finditer(r"^\s*\d+\s+\S+ \u00b1\s+\S+\s+\S+ \u00b1\s+\S+\s+(\S+) \u00b1", ran.out, re.M)]
        return [(i + 1) * m - i * (means[i - 1] if i else 0) for i, m in enumerate(means)]


def interval(mine, theirs, times=2000):
    """Ratio of the means, with its 95 % interval over windows."""
    generator = random.Random(1)
    n = len(mine)
    ratios = []
    for _ in range(times):
        picked = [generator.randrange(n) for _ in range(n)]
        ratios.append(sum(mine[i] for i in picked) / sum(theirs[i] for i in picked))
    ratios.sort()
    return {"ratio": sum(mine) / sum(theirs), "low": ratios[int(0.025 * times)], "high": ratios[int(0.975 * times) - 1]}


def made(command, file):
    """(seconds, bytes) of writing a file."""
    start = time.perf_counter()
    must(command)
    return time.perf_counter() - start, file.stat().st_size


def entry(judge, command, file):
    seconds, size = made(command, file)
    windows = judge.divergences(file)
    file.unlink()
    return {"kl": statistics.fmean(windows), "windows": windows, "bytes": size, "seconds": seconds}


def request_seconds(o, file):
    """Of 512 tokens that are read and 128 that are written behind them."""
    def bench(*flags):
        return json.loads(must([o.miao, "bench", file, "-t", o.threads, "-r", 3, "--json", *flags]))
    return bench("-p", 512, "-n", 0)["ttft_ms"] / 1e3 + statistics.median(bench("-p", 0, "-n", 128, "-d", 512)["decode_seconds"])


def adaptive(o, judge, kind, model, calibration, quantize):
    """Rows of what the search makes of the bytes and the time of a mix, calibrated on its share of the same text, and of the
    mix; requests are timed in turns."""
    out, mix = FOLDER / "adaptive", FOLDER / "miao.gguf"
    shutil.rmtree(out, ignore_errors=True)
    seconds, size = made([*quantize, kind, "--calibration", calibration], mix)
    limit = statistics.median(request_seconds(o, mix) for _ in range(3))
    start = time.perf_counter()
    ran = Ran([o.miao, "compress", model, "-o", out, "--max-size", size, "--max-latency", f"{limit:.6f}s", "--kv", "f16", "--tries", 3,
               "-t", o.threads, "-q", "--text", calibration, "--final-text", FOLDER / "test.txt"])
    if ran.code not in (0, 3):
        raise SystemExit(ran.err)
    search = time.perf_counter() - start
    found = out / ("model.gguf" if ran.code == 0 else "nearest.gguf")
    times = {found: [], mix: []}
    for _ in range(5):
        for file, values in times.items():
            values.append(request_seconds(o, file))
    rows = {}
    for name, file, spent in (("miao, searched", found, search), ("miao, the mix", mix, seconds)):
        windows = judge.divergences(file)
        rows[name] = {"kl": statistics.fmean(windows), "windows": windows, "bytes": file.stat().st_size, "seconds": spent,
                      "request_seconds": statistics.median(times[file])}
    rows["miao, searched"]["kept"] = ran.code == 0
    return rows


def search(o, model, calibration):
    """What a search for the fastest file within a rise of perplexity comes to, and what that file loses on other texts: drawn
    from reviews and editorials that calibration and choices never saw, with replacement."""
    out = FOLDER / "search"
    shutil.rmtree(out, ignore_errors=True)
    ran = Ran([o.miao, "compress", model, "-o", out, "--max-loss", f"ppl:{100 * BUDGET:g}%", "-t", o.threads, "-q", "--fresh", "--text", calibration,
               "--final-text", FOLDER / "test.txt"])
    if ran.code not in (0, 3):
        raise SystemExit(ran.err)
    report = json.loads((out / "report.json").read_text())
    chosen = report["candidates"][report["chosen"]]
    file = out / ("model.gguf" if ran.code == 0 else "nearest.gguf")
    pool = [t for name in ("nytEditorialSnippets", "amazonReviewSnippets") for t in encoders.snippets(name)[len(encoders.snippets(name)) // 2:]]
    generator, rises = random.Random(1), []
    for _ in range(TRIALS):
        (FOLDER / "trial.txt").write_text(" ".join(generator.choices(pool, k=len(pool))) + "\n")
        judged = Ran([o.miao, "eval", file, "--against", model, "--text", FOLDER / "trial.txt", "--chunks", 4 if o.quick else TRIAL_CHUNKS,
                      "-t", o.threads, "--json", "-q"])
        rises.append(json.loads(judged.out)["ppl_rise"])
        say(f"trial {len(rises)}: perplexity {100 * rises[-1]:+.2f} %")
    speed = chosen["speed"]
    return {"budget": BUDGET, "kept": report["kept"], "seconds": report["seconds"], "candidates": len(report["candidates"]),
            "bytes": chosen["bytes"], "base_bytes": report["base"]["bytes"],
            "final": {key: report["final"]["metrics"][key] for key in ("ppl_rise", "kld_mean", "same_top1")},
            "verdicts": report["final"]["verdicts"], "speed": speed,
            "predicted_base_seconds": min(report["front_time"], key=lambda mix: mix["loss"])["seconds"],
            "predicted_seconds": [c["predicted"]["seconds"] for c in report["candidates"]],
            "measured_speed": [c["speed"]["ratio"] for c in report["candidates"]],
            "spearman": report["additivity"]["spearman"], "rises": rises}


def run(o, doctor):
    folders, _ = llama_cpp.contenders(o)
    llama = llama_cpp.Llama(folders[-1], "llama.cpp", o.threads, True, True)
    calibration, test = get_texts()
    model = get_model(o.miao)
    chunks = 4 if o.quick else CHUNKS
    judge = Judge(llama, model, test, o.threads, chunks)
    result = header(o, doctor, llama_cpp.versions(o), subject=SUBJECT, lines=[], chunks=chunks, divergences=[],
                    files={f.name: sha256(f) for f in (model, calibration, test)})
    miao = [o.miao, "quantize", model, "-t", o.threads, "-q", "--no-canary", "-o", FOLDER / "miao.gguf", "--type"]
    quantize = [llama.tool("llama-quantize")]
    matrix = FOLDER / "imatrix.gguf"
    if "calibrated" in o.cases:
        say("importance matrix of llama.cpp")
        matrix.unlink(missing_ok=True)
        must([llama.tool("llama-imatrix"), "-m", model, "-f", calibration, "-o", matrix, "-c", 512, "-t", o.threads, "--chunks", 64])
    if "search" in o.cases:
        result["search"] = search(o, model, calibration)
    for case, kind in [(c, t) for c in CASES if c != "search" for t in (UNIFORM if c == "uniform" else MIXES) if c in o.cases]:
        pure = ["--pure"] if case == "uniform" else []
        theirs = FOLDER / "llama.gguf"
        if case == "uniform":
            rows = {"miao": entry(judge, [*miao, kind, *pure], FOLDER / "miao.gguf"),
                    "llama.cpp": entry(judge, [*quantize, *pure, model, theirs, kind, o.threads], theirs)}
        elif case == "adaptive":
            rows = adaptive(o, judge, kind, model, calibration, miao)
        else:
            text = ["--calibration", calibration]
            rows = {"miao": entry(judge, [*miao, kind, *text], FOLDER / "miao.gguf"),
                    "miao, importance": entry(judge, [*miao, kind, "--rounding", "importance", *text], FOLDER / "miao.gguf"),
                    "llama.cpp": entry(judge, [*quantize, "--imatrix", matrix, model, theirs, kind, o.threads], theirs)}
        line = {"case": case, "type": kind, "rows": rows, **interval(*(rows[n]["windows"] for n in (next(iter(rows)), list(rows)[-1])))}
        say(f"{case} {kind}: " + ", ".join(f"{n} {v['kl']:.5f} {v['bytes']} {v['seconds']:.0f} s" for n, v in rows.items())
            + f", ratio {line['ratio']:.3f} ({line['low']:.3f} - {line['high']:.3f})")
        result["divergences"].append(line)
    return result
