#!/usr/bin/env python3
"""Compares miao with other engines on this machine, on the same models with equal threads.

    make bench-peers                          builds and installs what is missing under build/peers, measures everything
    tools/bench_peers.py --list               the parts and their cases
    tools/bench_peers.py --only encoders      one part, or cases such as Q4_0,F16 or int8
    tools/bench_peers.py --quick              two rounds of short runs, to see that everything works
    tools/bench_peers.py --llama-cpp DIR      uses a finished build; may be given several times

How it measures:
  * Every contender runs once to choose its settings; for each figure the best settings that ran are kept (two per
    figure, measured in all rounds; the better median counts).
  * Rounds are interleaved: miao and the others take turns, in alternating order. Figures are medians over rounds; ratios
    are paired within a round, with their smallest and largest.
  * Programs that take long to load (Python libraries) stay alive for all rounds; loading is never in a figure.
The modules in tools/peers/, one for each part, say the rest; docs/measurement.md says how each figure is taken.

Needs a C++ compiler, CMake, pip with a package index; numpy for quality, tokenizers for --tokenise. `make bench-peers`
runs it in build/venv, where these are. Parts with Python engines make a venv of their own, build/peers/venv.
"""
import argparse
import importlib.util
import json
import pathlib
import sys

from peers import compression, decoders, encoders, families, seq2seq, speech
from peers.common import ROOT, must, print_lines, say

# name = file in docs/results; the cases that --only may choose
PARTS = {"decoders": ("peers", decoders, decoders.VARIANTS), "encoders": ("encoders", encoders, list(encoders.PRECISIONS)),
         "families": ("families", families, list(families.SHAPES)), "seq2seq": ("seq2seq", seq2seq, list(seq2seq.SHAPES)),
         "speech": ("speech", speech, list(speech.CLIPS))}
# Of compression each case is a part: it takes half an hour, and has results of its own.
PARTS |= {case: (f"compression_{case}", compression, [case]) for case in compression.CASES}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--miao", default=ROOT / "build" / "release" / "miao", type=pathlib.Path)
    parser.add_argument("--only", metavar="NAMES", help="parts or cases, such as encoders,Q4_0; see --list")
    parser.add_argument("--list", action="store_true", help="show the parts and their cases")
    parser.add_argument("--threads", type=int, default=0, help="0 = as miao chooses")
    parser.add_argument("--rounds", type=int, default=0, help="default 5; 2 with --quick")
    parser.add_argument("--reps", type=int, default=3, help="repetitions of prefill and decode within a round")
    parser.add_argument("--note", metavar="TEXT", default="", help="what a reader of the results should know of this run")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that everything works")
    parser.add_argument("--output", type=pathlib.Path, metavar="FOLDER", default=ROOT / "docs" / "results",
                        help="where the results go; a file, where one part runs")
    group = parser.add_argument_group("llama.cpp (decoders, families)")
    group.add_argument("--llama-cpp", action="append", metavar="DIR", help="finished build folder(s) instead of own ones")
    group.add_argument("--ik", metavar="DIR", help="source tree or build folder of ik_llama.cpp")
    group.add_argument("--ik-version", metavar="TEXT", default="", help="what to call that source, such as its commit")
    group = parser.add_argument_group("decoders")
    group.add_argument("--model", metavar="FILE", help="the Q4_1 file to start from instead of a download")
    group.add_argument("--chunks", type=int, default=8, help="windows of 512 tokens for the quality part")
    group.add_argument("--text", metavar="FILE", help="text of the quality part instead of the pages in docs/")
    group.add_argument("--no-quality", action="store_true")
    group.add_argument("--tokenise", action="store_true", help="also the speed of tokenising")
    o = parser.parse_args()
    o.rounds = o.rounds or (2 if o.quick else 5)
    if o.ik_version and not o.ik:
        sys.exit("--ik-version says what --ik is")
    return o


def chosen_cases(only):
    """{part: its cases that run}. A name chooses a part, or a case of any part."""
    wanted = {name.lower() for name in only.split(",")} if only else None
    out, known = {}, set()
    for part, (_, _, cases) in PARTS.items():
        known |= {part.lower(), *(case.lower() for case in cases)}
        out[part] = [c for c in cases if wanted is None or part in wanted or c.lower() in wanted]
    known.add("q4_1")  # what the other decoder files are made of: always there
    if wanted and wanted - known:
        sys.exit(f"--only {', '.join(sorted(wanted - known))}: no such part or case; --list shows them")
    return {part: cases for part, cases in out.items() if cases or (part == "decoders" and wanted and "q4_1" in wanted)}


def main():
    o = arguments()
    if o.list:
        return print("\n".join(f"{part:10} {' '.join(cases)}" for part, (_, _, cases) in PARTS.items()))
    chosen = chosen_cases(o.only)
    if o.output.suffix and len(chosen) > 1:
        sys.exit("--output is a file and several parts run: name a folder, or one part with --only")
    if "decoders" in chosen:  # now, not after the minutes that come before their use
        wanted = ([] if o.no_quality else ["numpy"]) + (["tokenizers"] if o.tokenise else [])
        missing = [name for name in wanted if importlib.util.find_spec(name) is None]
        if missing:
            sys.exit(f"needs {', '.join(missing)}: run it by make bench-peers, or with build/venv/bin/python (scripts/venv.sh)")
    doctor = json.loads(must([o.miao, "doctor", "--quick", "--json"]))
    o.threads = o.threads or doctor["machine"]["default_threads"]
    for part, cases in chosen.items():
        name, module, _ = PARTS[part]
        say(f"--- {part}")
        o.cases = cases
        result = module.run(o, doctor)
        file = o.output if o.output.suffix else o.output / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n")
        say(f"wrote {file}")
        print_lines(result["lines"])


if __name__ == "__main__":
    main()
