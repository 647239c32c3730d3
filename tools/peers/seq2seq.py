"""Encoder-decoders: the shapes of Flan-T5-small and of Marian's opus-mt models, with random weights, in INT8.

Each run reads 32 tokens and writes exactly 32, so that all engines do equal work whatever their weights say. All compute the
same checkpoint: CTranslate2 its conversion, miao the files of Hugging Face.
"""
import os
import pathlib

from peers import miao, venv
from peers.common import PEERS, best_of, compare, header, must, say, sha256, take_turns
from peers.seq2seq_engines import SHAPES
from peers.worker import Worker

FOLDER = PEERS / "seq2seq"
SUBJECT = "random weights"
GROUPS = ("CTranslate2",)
TOKENS = 32
LIBRARIES = {"MKL": {}, "MKL, packed weights": {"CT2_USE_EXPERIMENTAL_PACKED_GEMM": "1"}, "oneDNN": {"CT2_USE_MKL": "0"}}
# All run once in each case; the best one stays for its rounds.
SETTINGS = {f"CTranslate2, {name}{', a stream each thread' if streams else ''}": {"environment": environment, "streams": streams}
            for name, environment in LIBRARIES.items() for streams in (False, True)}


def model_of(python, shape):
    """CTranslate2's folder of a shape; its checkpoint/ is what that was made of."""
    folder = FOLDER / shape
    if not all((folder / file).exists() for file in ("model.bin", "checkpoint/model.safetensors")):
        say(f"making {shape}")
        FOLDER.mkdir(parents=True, exist_ok=True)
        must([python, pathlib.Path(__file__).with_name("seq2seq_engines.py"), shape, folder])
        os.sync()  # not while engines are timed
    return folder


def contenders(o, python, folder):
    others = {name: Worker(python, "seq2seq_engines", "Translator", {"folder": str(folder), **settings}, o.threads)
              for name, settings in SETTINGS.items()}
    return {"miao": miao.Translator(o.miao, folder / "checkpoint", o.threads)} | others


def run(o, doctor):
    python = venv.python()
    folders = {shape: model_of(python, shape) for shape in o.cases}
    result = header(o, doctor, venv.versions(), subject=SUBJECT, lines=[],
                    files={shape: {"sha256": sha256(folder / "checkpoint" / "model.safetensors")} for shape, folder in folders.items()},
                    workload=f"INT8, {TOKENS} tokens read and {TOKENS} written by each sequence; tokens written a second")
    for shape, folder in folders.items():
        engines = contenders(o, python, folder)
        for beam in (1, 4):
            for batch in (1, 16):
                say(f"{shape}: beam {beam}, batch {batch}")

                def speed(name):
                    reps = 3 if batch == 1 and not o.quick else 1
                    return batch * TOKENS / engines[name].call("seconds", batch=batch, beam=beam, tokens=TOKENS, reps=reps)

                trial = {n: speed(n) for n in engines}  # of miao too, which packs a model's weights when it first meets it
                best = best_of({n: v for n, v in trial.items() if n != "miao"}, 1)
                raw = take_turns(o.rounds, {n: (lambda n=n: speed(n)) for n in ["miao", *best]})
                name = "greedy" if beam == 1 else f"beam {beam}"
                result["lines"].append(compare(f"{name}, batch {batch}", shape, "tok/s", raw, GROUPS))
        for engine in engines.values():
            engine.close()
    return result
