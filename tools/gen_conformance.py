#!/usr/bin/env python3
"""Writes the table of docs/conformance.md: how far miao's outputs are from transformers', by family, output and file format.

    tools/gen_conformance.py TEST...            runs the golden tests of these programs, writes the table
    tools/gen_conformance.py --check            exit code 1 when the table lacks a golden case, or has one that is gone
    tools/gen_conformance.py --check TEST...    also when its figures are not those of the tests

The figures come from the tests (src/runtime/test_golden.h), the cases from the manifests of tests/golden. A figure is rounded up to
one digit; the bits behind it are the same on every instruction set.
"""
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "conformance.md"
BEGIN, END = "<!-- conformance:begin -->", "<!-- conformance:end -->"
FORMATS = ("safetensors", "GGUF")
OUTPUTS = {"ForCausalLM": "logits", "LMHeadModel": "logits", "MTModel": "logits", "ForConditionalGeneration": "logits",
           "ForSequenceClassification": "classes of a text", "ForTokenClassification": "classes of tokens",
           "ForQuestionAnswering": "answer in a text", "Model": "hidden state"}


def row_of(architecture):
    """("Bert", "hidden state") of BertModel."""
    suffix = next((s for s in OUTPUTS if architecture.endswith(s)), "")
    return architecture.removesuffix(suffix), OUTPUTS.get(suffix, "output")


def golden_cases():
    """{(row, format): number of golden cases}"""
    out = {}
    for manifest in sorted(ROOT.glob("tests/golden/*/manifest.json")):
        for case in json.loads(manifest.read_text()).get("cases", []):
            if "architecture" not in case:
                continue
            for format in FORMATS if case.get("gguf") else FORMATS[:1]:
                key = (row_of(case["architecture"]), format)
                out[key] = out.get(key, 0) + 1
    return out


def measured(tests):
    """The same keys: the worst difference."""
    with tempfile.TemporaryDirectory() as folder:
        for test in tests:
            subprocess.run([test, "--gtest_filter=*Golden*:-Slow*", "--gtest_brief=1"], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, env=os.environ | {"MIAO_CONFORMANCE": folder})
        out = {}
        for path in pathlib.Path(folder).iterdir():
            for line in map(json.loads, path.read_text().splitlines()):
                key = (row_of(line["architecture"]), line["format"])
                out[key] = max(out.get(key, 0), line["worst"])
        return out


def rounded_up(figure):
    if figure == 0:
        return "0"
    power = math.floor(math.log10(figure))
    return f"{math.ceil(figure / 10 ** power) * 10.0 ** power:.0e}"


def table(cases, figures):
    def cell(row, format):
        count = cases.get((row, format))
        return "" if count is None else f"{rounded_up(figures[row, format])} ({count})"
    rows = sorted({row for row, _ in cases}, key=lambda row: (row[0].lower(), row[1]))
    lines = ["| family | output | safetensors | GGUF |", "|---|---|--:|--:|"]
    return lines + [f"| {' | '.join([*row, *(cell(row, format) for format in FORMATS)])} |" for row in rows]


def listed(lines):
    """{(row, format): number of cases} of a table."""
    out = {}
    for line in lines[2:]:
        family, output, *cells = (part.strip() for part in line.strip("|").split("|"))
        for format, cell in zip(FORMATS, cells):
            if cell:
                out[(family, output), format] = int(re.search(r"\((\d+)\)", cell).group(1))
    return out


def main():
    tests = [argument for argument in sys.argv[1:] if argument != "--check"]
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    lines = rest.split(END)[0].strip().splitlines()
    cases = golden_cases()
    if "--check" in sys.argv:
        wrong = [f"{key[0][0]}, {key[0][1]}, {key[1]}: {listed(lines).get(key, 0)} of {cases.get(key, 0)} golden cases"
                 for key in sorted(cases.keys() | listed(lines).keys()) if listed(lines).get(key) != cases.get(key)]
        if wrong or tests and lines != table(cases, measured(tests)):
            sys.exit("\n".join([*wrong, f"{DOCUMENT}: out of date; run make conformance"]))
        return
    if not tests:
        sys.exit("name the test programs, such as build/release/runtime_test")
    DOCUMENT.write_text(f"{before}{BEGIN}\n" + "\n".join(table(cases, measured(tests))) + f"\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
