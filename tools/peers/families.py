"""Decoders of other families: random weights of real widths (random_gguf.py) in Q8_0 and Q4_0 against llama.cpp."""
import pathlib

from peers import llama_cpp
from peers.common import PEERS, ROOT, header, must, say
from peers.decoders import measure_speeds
from peers.miao import Miao
from peers.random_gguf import SHAPES

FOLDER = PEERS / "families"
FORMATS = ("Q8_0", "Q4_0")
SUBJECT = "random weights"


def make_files(shape, quantize):
    """{format: file} of a shape."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    out = {form: FOLDER / f"{shape}-{form}.gguf" for form in FORMATS}
    if all(file.exists() for file in out.values()):
        return out
    say(f"making {shape}")
    source = FOLDER / f"{shape}-BF16.gguf"
    must([ROOT / "scripts" / "venv.sh", "--oracle"])
    must([ROOT / "build" / "venv" / "bin" / "python", pathlib.Path(__file__).with_name("random_gguf.py"), shape, source])
    for form, file in out.items():
        must([quantize, source, file, form])
    source.unlink()
    return out


def run(o, doctor):
    folders, llamas = llama_cpp.contenders(o)
    result = header(o, doctor, llama_cpp.versions(o), subject=SUBJECT, repetitions=1, lines=[], settings={},
                    shapes={s: {"layers": SHAPES[s][0], "layers_of_the_model": SHAPES[s][1], **SHAPES[s][3]} for s in o.cases})
    rounds = result["rounds"] = min(o.rounds, 3)
    miao = Miao(o.miao, o.threads)
    for shape in o.cases:
        files = make_files(shape, folders[0] / "bin" / "llama-quantize")
        models = {f"{shape} {form}": file for form, file in files.items()}
        lines, chosen = measure_speeds(o, miao, llamas, models, rounds=rounds, reps=1, trial=(128, 16), keep=1)
        result["lines"] += lines
        result["settings"].update(chosen)
    return result
