#!/usr/bin/env python3
"""Recordings of a text, for word error rates: espeak-ng speaks its sentences.

usage: speak_text.py TEXT OUT [--files 100] [--words 30] [--voices en-gb,en-us,en-gb-scotland]

OUT gets a WAV file of 22,050 Hz for each group of sentences with at least --words words, the voices in turn, and recordings.tsv for
`miao eval --speech`. Sentences with anything but letters, commas and apostrophes are left out: what is written is what is said.
"""
import argparse
import pathlib
import re
import subprocess

PLAIN = re.compile(r"[A-Z][A-Za-z,' ]{20,200}[.?!]")


def groups(text, words):
    group = []
    for sentence in re.split(r"(?<=[.?!])\s+", text.replace("\n", " ")):
        if not PLAIN.fullmatch(sentence):
            continue
        group.append(sentence)
        if sum(len(s.split()) for s in group) >= words:
            yield " ".join(group)
            group = []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--words", type=int, default=30)
    parser.add_argument("--voices", default="en-gb,en-us,en-gb-scotland")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    voices, lines = args.voices.split(","), []
    for i, spoken in zip(range(args.files), groups(args.text.read_text(), args.words)):
        path = args.out.resolve() / f"{i:04}.wav"
        subprocess.run(["espeak-ng", "-v", voices[i % len(voices)], "-s", "150", "-w", path, spoken], check=True)
        lines.append(f"{path}\t{spoken}\n")
    (args.out / "recordings.tsv").write_text("".join(lines))
    print(f"{len(lines)} recordings in {args.out}")


if __name__ == "__main__":
    main()
