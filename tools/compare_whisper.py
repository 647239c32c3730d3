#!/usr/bin/env python3
"""Words of miao and of faster-whisper on the same speech, with the same options.

usage: compare_whisper.py MIAO MODEL WORK [--out docs/results/whisper.json] [--types fp32,int8] [--threads 2]

MODEL is a Whisper model in CTranslate2's form, which both programs read. espeak-ng speaks sentences of several
languages and voices; faster-whisper (pip install faster-whisper) brings them to 16 kHz, so that both hear the same
samples. Audio and faster-whisper's transcripts are kept in WORK: a later run asks only miao again.

Every file is transcribed with 5 beams, temperature 0 and its fallbacks, with the language given; single sentences also
with the language to be heard. Written are the word error rates against the spoken text, and for each file whether all words, all
text, and all times of segments agree. Where the temperature rose (drawn), both programs draw at random and need not agree;
faster-whisper hears the language in one frame more than it transcribes, so that near ties may go either way.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import unicodedata
import wave

# Language, voice of espeak-ng, text.
SENTENCES = json.loads((pathlib.Path(__file__).parent / "whisper_sentences.json").read_text())
# Longer than a window: sentences one after another, with pauses.
JOINED = [("joined-en", "en", range(0, 8), 2), ("joined-de-fr", "de", [8, 9, 10], 5), ("joined-es", "es", [14, 15, 16], 5)]


def audio(work):
    from faster_whisper.audio import decode_audio
    import numpy as np
    files = []
    parts = []
    for i, (language, voice, text) in enumerate(SENTENCES):
        raw, path = work / f"{i:02}-raw.wav", work / f"{i:02}-{language}.wav"
        if not path.exists():
            subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", raw, text], check=True)
            write(path, decode_audio(str(raw), 16000))
        files.append((path, language, text))
        parts.append(np.frombuffer(wave.open(str(path)).readframes(1 << 30), "<i2"))
    pause = np.zeros(12000, "<i2")
    for name, language, which, times in JOINED:
        path = work / f"{name}.wav"
        if not path.exists():
            write(path, np.concatenate([x for i in list(which) * times for x in (parts[i], pause)]) / 32768)
        files.append((path, language, " ".join(SENTENCES[i][2] for i in list(which) * times)))
    return files


def write(path, samples):
    import numpy as np
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def of_faster_whisper(args, files, kind, given):
    path = args.work / f"faster-whisper-{kind}-{given}.json"
    if path.exists():
        return json.loads(path.read_text())
    from faster_whisper import WhisperModel
    model = WhisperModel(args.model, device="cpu", cpu_threads=args.threads,
                         compute_type={"fp32": "float32", "int8": "int8"}[kind])
    out = []
    for file, language, _ in files:
        segments, info = model.transcribe(str(file), language=language if given else None, beam_size=5)
        out.append(dict(language=info.language, segments=[dict(start=s.start, end=s.end, text=s.text, tokens=s.tokens,
                                                               avg_logprob=s.avg_logprob) for s in segments]))
    path.write_text(json.dumps(out))
    return out


def of_miao(args, files, kind, given):
    groups = {}
    for i, (file, language, _) in enumerate(files):
        groups.setdefault(language if given else None, []).append(i)
    out = [None] * len(files)
    for language, which in groups.items():
        command = [args.miao, "run", args.model, *[str(files[i][0]) for i in which], "--json", "--dtype", kind,
                   "-t", str(args.threads), "-q"] + (["--language", language] if language else [])
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        for i, result in zip(which, json.loads(done.stdout)["results"]):
            out[i] = result
    return out


def words(text):
    text = unicodedata.normalize("NFKC", text).lower()
    return re.sub(r"[^\w\s']", " ", text).split()


def errors(said, heard):
    """Edit distance of words."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def text_of(result):
    return "".join(s["text"] for s in result["segments"]).strip()


def compare(files, ours, theirs):
    rows, total = [], dict(words=0, miao=0, faster_whisper=0)
    for (file, language, text), a, b in zip(files, ours, theirs):
        said, mine, other = words(text), words(text_of(a)), words(text_of(b))
        times = [(s["start"], s["end"]) for s in a["segments"]], [(s["start"], s["end"]) for s in b["segments"]]
        same_times = len(times[0]) == len(times[1]) and all(
            abs(x - y) < 0.005 for s, t in zip(*times) for x, y in zip(s, t))
        row = dict(file=file.name, language=language, words=len(said), miao_errors=errors(said, mine),
                   faster_whisper_errors=errors(said, other), same_words=mine == other,
                   same_text=text_of(a) == text_of(b), same_times=same_times,
                   same_language=a["language"] == b["language"],
                   drawn=any(s["temperature"] > 0 for s in a["segments"]))
        if mine != other:
            row.update(miao=text_of(a), faster_whisper=text_of(b))
        rows.append(row)
        total["words"] += len(said)
        total["miao"] += row["miao_errors"]
        total["faster_whisper"] += row["faster_whisper_errors"]
    n = len(rows)
    return dict(files=n, same_words=sum(r["same_words"] for r in rows), same_text=sum(r["same_text"] for r in rows),
                same_times=sum(r["same_times"] for r in rows), same_language=sum(r["same_language"] for r in rows),
                wer_miao=round(total["miao"] / total["words"], 4),
                wer_faster_whisper=round(total["faster_whisper"] / total["words"], 4), rows=rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("miao")
    parser.add_argument("model")
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--types", default="fp32,int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["faster-whisper", "miao"], help="ask only this one and compare nothing")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    files = audio(args.work)
    results = dict(model="whisper-base", beams=5, runs=[])
    for kind in args.types.split(","):
        for given in (True, False):
            heard = files if given else files[:len(SENTENCES)]  # each language by itself
            theirs = of_faster_whisper(args, heard, kind, given) if args.only != "miao" else None
            ours = of_miao(args, heard, kind, given) if args.only != "faster-whisper" else None
            if args.only:
                continue
            run = dict(compute=kind, language="given" if given else "heard", **compare(heard, ours, theirs))
            results["runs"].append(run)
            print({k: v for k, v in run.items() if k != "rows"})
            for row in run["rows"]:
                if not row["same_text"] or not row["same_times"]:
                    print("  ", row)
    if args.out and not args.only:
        args.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


main()
