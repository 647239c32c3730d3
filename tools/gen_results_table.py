#!/usr/bin/env python3
"""Writes the table of docs/results/peers.json between the markers of README.md.

    tools/gen_results_table.py            writes
    tools/gen_results_table.py --check    exit code 1 when the table is not that of the results

The markers are lines of their own: <!-- results:begin --> and <!-- results:end -->.
"""
import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def table(result):
    peers = [p for p in ("llama.cpp", "ik_llama.cpp") if any(p in line["peers"] for line in result["lines"])]
    machine = result["machine"]
    out = [f"Measured {result['date']} on {machine['processor']} (miao's kernels: {result['isa']}), {result['threads']} threads, "
           f"{result['rounds']} interleaved rounds of {result['repetitions']} repetition(s); medians, ratios with their range over "
           f"the rounds (above 1: miao is ahead). Command: `{result['command']}`.", ""]
    if result["note"]:
        out += [result["note"], ""]
    failed = sorted({name for chosen in result["settings"].values() for name in chosen["failed"]})
    if failed:
        out += ["Settings of peers that crashed or gave no result on some file here, and so are not in the comparison: "
                + "; ".join(failed) + ".", ""]
    out.append("| SmolLM2-135M | file | miao | " + " | ".join(f"{p} | ratio" for p in peers) + " |")
    out.append("|---|---|--:|" + "--:|--:|" * len(peers))
    for line in result["lines"]:
        cells = [f"{line['test']}, {line['unit']}", line["model"], number(line["miao"]["median"])]
        for peer in peers:
            p = line["peers"].get(peer)
            cells += [number(p["median"]), f"{p['ratio']['median']:.2f} ({p['ratio']['min']:.2f} - {p['ratio']['max']:.2f})"] if p else ["-", "-"]
        out.append("| " + " | ".join(cells) + " |")
    quality = result.get("quality", {}).get("models", {})
    if quality:
        out += ["", f"KL divergence from FP32 of the same weights in thousandths (lower is better) with its standard error, share of equal best tokens, "
                f"over {result['quality']['chunks']} windows of 512 tokens:", "",
                "| file | miao | llama.cpp | miao --dtype fp32 |", "|---|--:|--:|--:|"]
        for name, row in quality.items():
            theirs = [v for n, v in row.items() if n.startswith("llama.cpp")]
            best = min(theirs, key=lambda v: v["mean_kl"]) if theirs else None

            def cell(v):
                return "-" if v is None else f"{1e3 * v['mean_kl']:.3f} \u00b1 {1e3 * v['kl_error']:.3f}" + (f", {100 * v['same_top']:.1f} %" if v["same_top"] is not None else "")

            out.append(f"| {name} | {cell(row['miao'])} | {cell(best)} | {cell(row['miao --dtype fp32'])} |")
    tokenising = result.get("tokenising", {}).get("median", {})
    if tokenising:
        out += ["", "Tokenising: " + ", ".join(f"{n} {v:.1f} MB/s" for n, v in tokenising.items())
                + (", the same ids." if result["tokenising"]["same_ids"] else ".")]
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "docs" / "results" / "peers.json")
    parser.add_argument("--readme", type=pathlib.Path, default=ROOT / "README.md")
    parser.add_argument("--check", action="store_true")
    o = parser.parse_args()
    text = o.readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{o.readme}: needs the lines {BEGIN} and {END} once each")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    wanted = f"{head}{BEGIN}\n{table(json.loads(o.results.read_text()))}\n{END}{tail}"
    if o.check:
        sys.exit(0 if wanted == text else f"{o.readme}: the table is out of date; run tools/gen_results_table.py")
    o.readme.write_text(wanted)


if __name__ == "__main__":
    main()
