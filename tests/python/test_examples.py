"""Every program of examples/ runs: with tiny models, and with real ones where build/models has them. Their output is shown."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import tiny
from conftest import REAL_MODELS, ROOT, SEQ2SEQ

EXAMPLES = ROOT / "examples"
PROGRAM = ROOT / "build/release/miao"  # else the one on the path

# Runs of each example: the name of a model, and what the output has to hold. A model that is not a fixture below is a
# real one of REAL_MODELS.
RUNS = {
    "customer_service.py": [("decoder", "customer > My kettle leaks"), ("smollm2-q4_1.gguf", r"shop     > \w+ \w+")],
    "document_qa.py": [("reader", r"A: (.*sure\)\n   in: |\(not in the text)"), ("decoder", "Q: When is the shop open"),
                       ("smollm2-q4_1.gguf", r"A: \w+ \w+")],
    "sentiment.py": [("classifier", r"(BAD|FINE|GOOD)  +\d+%  Wonderful tea[^\0]*\n(BAD|FINE|GOOD) +8 +\u2588+")],
    "summarise.sh": [("decoder", "policy.txt"), ("smollm2-q4_1.gguf", r"policy.txt\n  \w+ \w+")],
    "semantic_search.sh": [("encoder", "limescale"), ("all-MiniLM-L6-v2", "money back\n.*\n1 .*refund")],
    "transcribe.sh": [("whisper", r"\[00:"), ("whisper-base", r"^\[00:0.*platform (4|four)")],
    "translate.sh": [("translator", "^abc\n  -> .*\na bad cab\n  -> ")],
}


@pytest.fixture
def models(folder, encoders, tasks, whisper_folder):
    return {"decoder": folder, "reader": tasks["answers"], "classifier": encoders["bert-sequence"],
            "encoder": encoders["bert"], "whisper": whisper_folder, "translator": SEQ2SEQ / "t5"}


@pytest.fixture
def arguments(tmp_path):
    """Of examples whose defaults the tiny models cannot read."""
    (tmp_path / "notes.txt").write_text("limescale\nthe cat sat\n")
    (tmp_path / "short.txt").write_text("abc\na bad cab\n")
    return {("translate.sh", "translator"): ["", tmp_path / "short.txt"],
            ("transcribe.sh", "whisper"): [tiny.write_wav(tmp_path / "a.wav", tiny.sound(2))],
            ("semantic_search.sh", "encoder"): [tmp_path / "notes.txt", "limescale"]}


def test_every_example_has_a_run_and_a_line_in_the_list():
    there = {path.name for path in EXAMPLES.iterdir() if path.is_file() and path.name != "README.md"}
    assert there == set(RUNS)
    listed = re.findall(r"^\| \[(\S+)\]\((\S+)\)", (EXAMPLES / "README.md").read_text(), re.M)
    assert {name for name, _ in listed} == there and all(name == link for name, link in listed)


@pytest.mark.parametrize("example, name, wanted", [(e, *run) for e, runs in RUNS.items() for run in runs])
def test_runs(models, arguments, tmp_path, capsys, example, name, wanted):
    model = models.get(name, REAL_MODELS / name)
    if not model.exists():
        pytest.skip(f"needs {name} in {REAL_MODELS}")
    program = str(PROGRAM) if PROGRAM.exists() else shutil.which("miao")
    if example.endswith(".sh") and not program:
        pytest.skip("needs the program miao")
    if (example, name) == ("transcribe.sh", "whisper-base") and not shutil.which("espeak-ng"):
        pytest.skip("needs espeak-ng")
    path = os.pathsep.join([str(pathlib.Path(program).parent), os.environ["PATH"]] if program else [os.environ["PATH"]])
    command = [sys.executable] if example.endswith(".py") else ["bash"]
    run = subprocess.run([*command, f"examples/{example}", model, *arguments.get((example, name), [])], cwd=ROOT, text=True,
                         capture_output=True, errors="replace", timeout=120, stdin=subprocess.DEVNULL,
                         env=os.environ | {"PATH": path, "MIAO_CACHE": str(tmp_path / "cache"), "MIAO_OFFLINE": "1",
                                           "PYTHONUTF8": "1"})
    with capsys.disabled():
        print(f"\n$ examples/{example} {name}")
        print("".join(c if c.isprintable() or c == "\n" else "\u00b7" for c in run.stdout).rstrip())
    assert run.returncode == 0, run.stderr
    assert re.search(wanted, run.stdout, re.M), run.stdout + run.stderr


@pytest.mark.parametrize("example", RUNS)
def test_examples_are_short_and_begin_with_what_they_do(example):
    lines = (EXAMPLES / example).read_text().splitlines()
    assert lines[0].startswith("#!/usr/bin/env ") and len(lines) <= 60 and os.access(EXAMPLES / example, os.X_OK)
    assert any("usage: " + example in line for line in lines[:12])
