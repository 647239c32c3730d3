"""What every comparison needs: processes, downloads, interleaved rounds, lines of results."""
import datetime
import hashlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "build" / "peers"


def say(text):
    print(time.strftime("%H:%M:%S "), text, file=sys.stderr, flush=True)


class Ran:
    """A finished process: exit code, output, seconds, peak resident bytes."""

    def __init__(self, command, timeout=1800, env=None):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                                       env={**os.environ, **(env or {})})
            timer = threading.Timer(timeout, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            self.seconds = time.perf_counter() - start
            process.returncode = self.code = os.waitstatus_to_exitcode(status)
            self.peak_rss = usage.ru_maxrss * 1024
            out.seek(0)
            err.seek(0)
            self.out, self.err = out.read().decode(errors="replace"), err.read().decode(errors="replace")


def shown_command():
    """The command line, for readers elsewhere: absolute paths by their last part, without the note, which is kept apart."""
    words = iter(sys.argv[1:])
    shown = ["tools/bench_peers.py"]
    for word in words:
        if word == "--note":
            next(words, None)
        elif not word.startswith("--note="):
            shown.append(pathlib.Path(word).name if word.startswith("/") else word)
    return " ".join(shown)


def commit():
    """The commit of this tree, with a mark when it was changed since."""
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def must(command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}\nfailed with {done.returncode}")
    return done.stdout


def sha256(path):
    # Piece by piece: a child's peak memory, as the kernel counts it, begins with what its parent held.
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def pip_download(package, into, *options):
    into.mkdir(parents=True, exist_ok=True)
    must([sys.executable, "-m", "pip", "download", "--no-deps", "-d", into, *options, package])


def best_of(trials, keep):
    """The names of the `keep` best of {name: value or None}, larger is better."""
    ran = {name: value for name, value in trials.items() if value is not None}
    return sorted(ran, key=ran.get, reverse=True)[:keep]


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compare(test, model, unit, raw, groups, larger_is_better=True):
    """One line of the results: raw = {contender: [value of each round]}; a contender is of the group that its name begins
    with. Without values of miao there are no ratios."""
    mine = raw.get("miao")
    line = {"test": test, "model": model, "unit": unit, "larger_is_better": larger_is_better, "rounds": raw,
            "miao": summary(mine) if mine else None, "peers": {}}
    pick = max if larger_is_better else min
    rounds = len(mine) if mine else max((len(values) for values in raw.values()), default=0)
    for group in groups:
        names = [n for n in raw if n.startswith(group) and raw[n] and len(raw[n]) == rounds]
        if not names:
            continue
        name = pick(names, key=lambda n: statistics.median(raw[n]))
        line["peers"][group] = {"settings": name, **summary(raw[name])}
        if mine:  # above 1: miao is ahead
            line["peers"][group]["ratio"] = summary([m / p if larger_is_better else p / m for m, p in zip(mine, raw[name])])
    return line


def take_turns(rounds, jobs):
    """jobs = {name: function}; every round calls each once, the order turning round. Values that are None are left out."""
    raw = {name: [] for name in jobs}
    for i in range(rounds):
        for name in (list(jobs) if i % 2 == 0 else list(jobs)[::-1]):
            value = jobs[name]()
            if value is not None:
                raw[name].append(value)
    return raw


def header(o, doctor, versions, **more):
    """What a reader of a result file must know of its run."""
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "quick": o.quick,
            "machine": doctor["machine"], "threads": o.threads, "rounds": o.rounds, "load_before": os.getloadavg()[0],
            "isa": os.environ.get("MIAO_ISA") or doctor["machine"]["isas"][-1], "note": o.note, "command": shown_command(),
            "versions": {"miao": f"{doctor['miao']}, binary {sha256(o.miao)[:12]}, source {commit()}", **versions}, **more}


def print_lines(lines):
    for line in lines:
        mine = f"miao {line['miao']['median']:9.2f}" if line["miao"] else ""
        for peer, p in line["peers"].items():
            ratio = f" ratio {p['ratio']['median']:.2f} ({p['ratio']['min']:.2f} - {p['ratio']['max']:.2f})" if "ratio" in p else ""
            print(f"{line['model']:18} {line['test']:44} {mine}  {peer} {p['median']:9.2f} {line['unit']:11}{ratio}")
