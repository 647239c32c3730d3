#!/usr/bin/env python3
"""Writes the tables of docs/results/oracles.json between the markers of docs/oracles.md.

    tools/gen_oracle_table.py            writes
    tools/gen_oracle_table.py --check    exit code 1 when the tables are not those of the results
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "oracles.md"
BEGIN, END = "<!-- oracles:begin -->", "<!-- oracles:end -->"


def head(section):
    return f"{section['date']}, " + ", ".join(f"{name} {version}" for name, version in section["versions"].items()) + "."


def tables(results):
    out = []
    if section := results.get("tokenizers"):
        # One row for a tokenizer, one for all trained ones of a kind; a cell is {column: [strings, differ, against]}.
        rows = {}
        for name, row in section["compared"].items():
            name, _, column = name.partition(", ")
            if name.startswith("trained-"):
                name = "trained"
            kind = row["kind"].replace("SentencePiece bpe", "BPE").replace("SentencePiece unigram", "Unigram")
            cell = rows.setdefault((name, kind), {}).setdefault(column, [0, 0, row["against"]])
            cell[0] += row["strings"]
            cell[1] += row["differ"]

        def show(cell):
            if not cell:
                return ""
            strings, differ, against = cell
            return f"{differ} of {strings:,}" + (f" ({against})" if against != "tokenizers" else "")

        out += ["Token ids that differ: " + head(section), "", "| tokenizer | kind | tokenizer.json | long texts | GGUF |", "|---|---|--:|--:|--:|"]
        out += ["| " + " | ".join([*key, *(show(cells.get(c)) for c in ("", "texts", "GGUF"))]) + " |" for key, cells in rows.items()] + [""]
    if section := results.get("templates"):
        out += ["Chat templates: " + head(section), "", "| conversations | templates | renderings | differ |", "|---|--:|--:|--:|"]
        out += [f"| {name} | {row['templates']} | {row['renderings']:,} | {row['differ']} |" for name, row in section["compared"].items()]
    return "\n".join(out).rstrip()


def main():
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    results = json.loads((ROOT / "docs" / "results" / "oracles.json").read_text())
    wanted = f"{before}{BEGIN}\n{tables(results)}\n{END}{rest.split(END)[1]}"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if wanted == text else f"{DOCUMENT}: the tables are out of date; run tools/gen_oracle_table.py")
    DOCUMENT.write_text(wanted)


if __name__ == "__main__":
    main()
