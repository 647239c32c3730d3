"""Encoder-decoders: the shapes of Flan-T5-small and of Marian's opus-mt models, with random weights, in INT8.

Each run reads 32 tokens and writes exactly 32, so that all engines do equal work whatever their weights say. miao is not
among the contenders so far: contenders() is where it enters, with a `seconds(batch, beam, tokens, reps)` like the others.
"""
import pathlib

from peers import venv
from peers.common import PEERS, best_of, compare, header, must, say, take_turns
from peers.seq2seq_engines import SHAPES
from peers.worker import Worker

FOLDER = PEERS / "seq2seq"
SUBJECT = "random weights"
GROUPS = ("CTranslate2",)
TOKENS = 32
# All run once in each case; the best one stays for its rounds.
SETTINGS = {"CTranslate2, MKL": {}, "CTranslate2, MKL, packed weights": {"environment": {"CT2_USE_EXPERIMENTAL_PACKED_GEMM": "1"}},
            "CTranslate2, MKL, one thread": {"threads": 1}, "CTranslate2, oneDNN": {"environment": {"CT2_USE_MKL": "0"}}}


def model_of(python, shape):
    folder = FOLDER / shape
    if not (folder / "model.bin").exists():
        say(f"making {shape}")
        FOLDER.mkdir(parents=True, exist_ok=True)
        must([python, pathlib.Path(__file__).with_name("seq2seq_engines.py"), shape, folder])
    return folder


def contenders(python, shape, threads):
    folder = model_of(python, shape)
    return {name: Worker(python, "seq2seq_engines", "Translator", {"folder": str(folder), **settings}, settings.get("threads", threads))
            for name, settings in SETTINGS.items()}


def run(o, doctor):
    python = venv.python()
    result = header(o, doctor, venv.versions(), subject=SUBJECT, lines=[],
                    workload=f"INT8, {TOKENS} tokens read and {TOKENS} written by each sequence; tokens written a second")
    for shape in o.cases:
        engines = contenders(python, shape, o.threads)
        for beam in (1, 4):
            for batch in (1, 16):
                say(f"{shape}: beam {beam}, batch {batch}")

                def speed(name):
                    reps = 3 if batch == 1 and not o.quick else 1
                    return batch * TOKENS / engines[name].call("seconds", batch=batch, beam=beam, tokens=TOKENS, reps=reps)

                best = best_of({n: speed(n) for n in engines}, 1)
                raw = take_turns(o.rounds, {n: (lambda n=n: speed(n)) for n in best})
                name = "greedy" if beam == 1 else f"beam {beam}"
                result["lines"].append(compare(f"{name}, batch {batch}", shape, "tok/s", raw, GROUPS))
        for engine in engines.values():
            engine.close()
    return result
