"""A process that keeps one engine loaded and answers requests, one JSON object a line.

    python worker.py MODULE CLASS '{"settings": ...}'       then {"call": METHOD, ...arguments} a line

It runs in the venv of the engines (venv.py). The first line of the answer says that loading is done. What engines print
goes to standard error: standard output is the wire. `Worker` is the other end.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

SPIN = 0.3  # seconds: threads of OpenMP run on for 0.2 after their work, and would take that from who comes next


class Worker:
    """A contender among others: the process, and calls to it. What fails there is an error with its last line."""

    def __init__(self, python, module, kind, settings, threads):
        self.name = kind
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true",
                       "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", **settings.pop("environment", {})}
        self.process = subprocess.Popen([str(python), __file__, module, kind, json.dumps({**settings, "threads": threads})], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        self.loaded = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        out = json.loads(line) if line else {"error": f"ended with {self.process.wait()}"}
        if "error" in out:
            self.close()
            raise RuntimeError(out["error"])
        return out["result"]

    def call(self, method, **arguments):
        self.process.stdin.write(json.dumps({"call": method, **arguments}) + "\n")
        self.process.stdin.flush()
        out = self.answer()
        time.sleep(SPIN)
        return out

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve():
    wire, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)  # what libraries in C++ print
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    import importlib

    def reply(function):
        try:
            out = {"result": function()}
        except Exception as problem:  # whatever a library finds
            out = {"error": f"{type(problem).__name__}: {problem}"[:500]}
        wire.write(json.dumps(out) + "\n")
        wire.flush()
        return "error" not in out

    module, kind, settings = sys.argv[1:]
    holder = []
    if not reply(lambda: holder.append(getattr(importlib.import_module(f"peers.{module}"), kind)(**json.loads(settings)))):
        return
    for line in sys.stdin:
        request = json.loads(line)
        if not reply(lambda: getattr(holder[0], request.pop("call"))(**request)):
            return


if __name__ == "__main__":
    serve()
