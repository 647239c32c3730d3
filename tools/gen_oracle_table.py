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
        rows, trained = [], {}
        for name, row in section["compared"].items():
            if not name.startswith("trained-"):
                rows.append((name, row["kind"], row["against"], row["strings"], row["differ"]))
                continue
            sums = trained.setdefault((row["kind"], name.endswith(", texts")), [0, 0, 0])
            for i, value in enumerate((1, row["strings"], row["differ"])):
                sums[i] += value
        for (kind, texts), (count, strings, differ) in trained.items():
            rows.append((f"{count} trained" + (", texts" if texts else ""), kind, "tokenizers", strings, differ))
        out += ["Token ids: " + head(section), "", "| tokenizer | kind | against | strings | differ |", "|---|---|---|--:|--:|"]
        out += ["| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in row) + " |" for row in rows] + [""]
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
