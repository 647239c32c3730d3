#!/usr/bin/env python3
"""Writes the tables of docs/results/*.json (tools/bench_peers.py) between the markers of README.md.

    tools/gen_results_table.py            writes
    tools/gen_results_table.py --check    exit code 1 when a table is not that of its results

The markers of docs/results/NAME.json are lines of their own: <!-- results NAME begin --> and <!-- results NAME end -->. A
file that is not there yet leaves nothing between its markers.
"""
import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- results (\w+) begin -->\n)(.*?)(<!-- results \2 end -->)", re.S)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(title, head, rows, numbers):
    """`numbers`: how many of the columns, the last ones, are numbers."""
    left = 1 + len(head) - numbers
    return ["| " + " | ".join([title, *head]) + " |", "|" + "---|" * left + "--:|" * numbers,
            *("| " + " | ".join(row) + " |" for row in rows)]


def divergences(result):
    """Of files that miao and llama.cpp wrote."""
    out = []
    for case, title in (("uniform", "every matrix in one type, no calibration"), ("calibrated", "mixes, the same calibration text"),
                        ("adaptive", "a search for the bytes and the time of a mix")):
        lines = [line for line in result.get("divergences", []) if line["case"] == case]
        if not lines:
            continue
        names = list(dict.fromkeys(name for line in lines for name in line["rows"]))
        rows = [[line["type"], *(f"{line['rows'][n]['kl']:.5f}" for n in names), f"{line['ratio']:.3f} ({line['low']:.3f} - {line['high']:.3f})",
                 *(f"{line['rows'][n]['bytes'] / 1e6:.1f}" for n in (names[0], names[-1])),
                 *(f"{1e3 * line['rows'][n]['request_seconds']:.0f}" for n in names if "request_seconds" in line["rows"][n])]
                for line in lines]
        head = [*names, "ratio", *(f"MB, {n}" for n in (names[0], names[-1])),
                *(f"ms a request, {n}" for n in names if "request_seconds" in lines[0]["rows"][n])]
        out += ["", *table(title, head, rows, len(head))]
    return out


def searched(result):
    s = result.get("search")
    if not s:
        return []
    speed, low = s["speed"], sum(r <= s["budget"] for r in s["rises"])
    told = [(s["predicted_base_seconds"] / p, m) for p, m in zip(s["predicted_seconds"], s["measured_speed"])]
    rise = s["final"]["ppl_rise"]
    rows = [["file", f"{s['bytes'] / 1e6:.1f} of {s['base_bytes'] / 1e6:.1f} MB"],
            ["each further token", f"{1e3 * speed['base']['token_seconds']:.2f} to {1e3 * speed['own']['token_seconds']:.2f} ms: "
             f"{speed['base']['token_seconds'] / speed['own']['token_seconds']:.2f} times as fast"],
            ["first of 512 tokens", f"{1e3 * speed['base']['first_token_seconds']:.0f} to {1e3 * speed['own']['first_token_seconds']:.0f} ms"],
            ["a request", f"{speed['ratio']:.2f} times as fast, with 95 % confidence above {speed['ratio_lower_bound']:.2f}"],
            ["rise of perplexity", f"{100 * rise['value']:.2f} % ({100 * rise['interval'][0]:.2f} to {100 * rise['interval'][1]:.2f})"],
            ["KL divergence", f"{s['final']['kld_mean']['value']:.4f}"],
            ["rise on 20 resampled texts", f"{100 * min(s['rises']):.2f} to {100 * max(s['rises']):.2f} %, within the budget {low} of {len(s['rises'])} times"],
            ["predicted speed of candidates", ", ".join(f"{p:.2f} instead of {m:.2f} times ({100 * (p / m - 1):+.1f} %)" for p, m in told)],
            ["predicted losses of 12 random mixes", f"Spearman {s['spearman']:.3f}"],
            ["the search", f"{s['seconds']:.0f} s, {s['candidates']} candidate{'s' if s['candidates'] > 1 else ''} built"]]
    return ["", *table(f"`--max-loss ppl:{100 * s['budget']:g}%`: " + ("kept" if s["kept"] else "not kept"), ["measured"], rows, 0)]


def opening(result):
    repeated = f" of {result['repetitions']} repetition(s)" if "repetitions" in result else ""
    if "search" in result and not result["divergences"]:
        return [f"Measured {result['date']} on {result['machine']['processor']} (miao's kernels: {result['isa']}), {result['threads']} threads. "
                f"{result['subject']}; the final text is {result['chunks']} or more windows of 512 tokens that neither calibration nor choices saw. "
                f"Command: `{result['command']}`."]
    if "divergences" in result:
        searched = all(line["case"] == "adaptive" for line in result["divergences"])
        whose = "of the search's to the mix's with 95 % intervals, below 1: the search" if searched else "of miao's to llama.cpp's with 95 % intervals, below 1: miao"
        return [f"Measured {result['date']} on {result['machine']['processor']} (miao's kernels: {result['isa']}). {result['subject']}: mean KL "
                f"divergence from it that llama-perplexity finds over {result['chunks']} windows of 512 tokens that calibration never saw; ratios "
                f"{whose} loses less. Command: `{result['command']}`."]
    ratios = ", ratios with their range over the rounds (above 1: miao is ahead)" if any(line["miao"] for line in result["lines"]) else ""
    rounds = max((len(values) for line in result["lines"] for values in line["rounds"].values()), default=result["rounds"])
    out = [f"Measured {result['date']} on {result['machine']['processor']} (miao's kernels: {result['isa']}), {result['threads']} threads, "
           f"{rounds} interleaved rounds{repeated}; medians{ratios}. Command: `{result['command']}`.", ""]
    if "workload" in result:
        out += [result["workload"][0].upper() + result["workload"][1:] + ".", ""]
    if result["note"]:
        out += [result["note"], ""]
    failed = sorted({name for chosen in result.get("settings", {}).values() for name in chosen["failed"]})
    if failed:
        out += ["Settings of peers that crashed or gave no result on some file here, and so are not in the comparison: "
                + "; ".join(failed) + ".", ""]
    return out


def shapes(result):
    fewer = [f"{name} {s['layers']} of {s['layers_of_the_model']}" for name, s in result.get("shapes", {}).items()
             if s["layers"] != s["layers_of_the_model"]]
    return ["Real widths, fewer layers: " + ", ".join(fewer) + ".", ""] if fewer else []


def speeds(result):
    lines = result["lines"]
    if not lines:
        return []
    peers = list(dict.fromkeys(peer for line in lines for peer in line["peers"]))
    mine = any(line["miao"] for line in lines)
    rows = []
    for line in lines:
        cells = [f"{line['test']}, {line['unit']}", line["model"]]
        if mine:
            cells.append(number(line["miao"]["median"]) if line["miao"] else "-")
        for peer in peers:
            p = line["peers"].get(peer)
            cells.append(number(p["median"]) if p else "-")
            if mine:
                r = p.get("ratio") if p else None
                cells.append(f"{r['median']:.2f} ({r['min']:.2f} - {r['max']:.2f})" if r else "-")
        rows.append(cells)
    head = ["model" if "workload" in result else "file", *(["miao"] if mine else []), *(h for p in peers for h in ([p, "ratio"] if mine else [p]))]
    return table(result.get("subject", "SmolLM2-135M"), head, rows, len(head) - 1)


def quality(result):
    models = result.get("quality", {}).get("models", {})
    if not models:
        return []

    def cell(v):
        return "-" if v is None else f"{1e3 * v['mean_kl']:.3f} \u00b1 {1e3 * v['kl_error']:.3f}" + (f", {100 * v['same_top']:.1f} %" if v["same_top"] is not None else "")

    rows = []
    for name, row in models.items():
        theirs = [v for n, v in row.items() if n.startswith("llama.cpp")]
        best = min(theirs, key=lambda v: v["mean_kl"]) if theirs else None
        rows.append([name, cell(row["miao"]), cell(best), cell(row["miao --dtype fp32"])])
    return ["", "KL divergence from FP32 of the same weights in thousandths (lower is better) with its standard error, share of equal best "
            f"tokens, over {result['quality']['chunks']} windows of 512 tokens:", "",
            *table("file", ["miao", "llama.cpp", "miao --dtype fp32"], rows, 3)]


def tokenising(result):
    median = result.get("tokenising", {}).get("median", {})
    if not median:
        return []
    return ["", "Tokenising: " + ", ".join(f"{n} {v:.1f} MB/s" for n, v in median.items())
            + (", the same ids." if result["tokenising"]["same_ids"] else ".")]


def accuracy(result):
    """Of the settings that ran in the rounds."""
    rows = [[name, case, f"{v['mean']:.6f}", f"{v['min']:.6f}"] for case, chosen in result.get("settings", {}).items()
            for name, v in chosen.get("accuracy", {}).items() if name == "miao" or name in chosen["kept"]]
    return ["", "Cosine with the vectors of transformers in FP32:", "",
            *table("engine and its settings", ["model", "mean", "least"], rows, 2)] if rows else []


def section(result):
    return "\n".join([*opening(result), *shapes(result), *speeds(result), *divergences(result), *searched(result), *quality(result), *accuracy(result), *tokenising(result)]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, metavar="FOLDER", default=ROOT / "docs" / "results")
    parser.add_argument("--readme", type=pathlib.Path, default=ROOT / "README.md")
    parser.add_argument("--check", action="store_true")
    o = parser.parse_args()
    text = o.readme.read_text()
    if not BLOCK.search(text):
        sys.exit(f"{o.readme}: has no pair of lines <!-- results NAME begin --> and <!-- results NAME end -->")

    def filled(match):
        file = o.results / f"{match[2]}.json"
        return match[1] + (section(json.loads(file.read_text())) if file.exists() else "") + match[4]

    wanted = BLOCK.sub(filled, text)
    if o.check:
        sys.exit(0 if wanted == text else f"{o.readme}: a table is out of date; run tools/gen_results_table.py")
    o.readme.write_text(wanted)


if __name__ == "__main__":
    main()
