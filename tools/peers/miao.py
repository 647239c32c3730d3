"""miao itself, as one contender among others."""
import json
import sys

from peers.common import Ran
from peers.llama_cpp import PROMPT


class Miao:
    name = "miao"

    def __init__(self, binary, threads):
        self.binary, self.threads = binary, threads

    def bench(self, model, prompt=0, gen=0, batch=1, depth=0, reps=3):
        ran = Ran([self.binary, "bench", model, "-p", prompt, "-n", gen, "-b", batch, "-d", depth, "-t", self.threads, "-r", reps,
                   "--json", "-q"])
        if ran.code:
            sys.exit(f"miao bench failed on {model}: {ran.err}")
        return json.loads(ran.out)

    def speeds(self, model, prompt, gen, reps):
        row = self.bench(model, prompt, gen, reps=reps)
        return {"prefill": row["prefill_tok_s"]["median"], "decode": row["decode_tok_s"]["median"]}

    def batched(self, model, prompt, gen, batch):
        return self.bench(model, 0, gen, batch, prompt, 1)["decode_tok_s"]["median"]

    def complete(self, model, tokens):
        return Ran([self.binary, "run", model, PROMPT, "--raw", "--greedy", "--ignore-end", "-n", tokens, "-c", 2048, "-t", self.threads, "-q"])


class Listener:
    """A worker (worker.py) that transcribes: a process for each file, whose figures leave the start out."""

    def __init__(self, binary, folder, threads):
        self.command = [binary, "run", folder, "--dtype", "int8", "--language", "en", "--greedy", "-t", threads, "--json", "-q"]

    def call(self, method, file, beam):
        assert method == "seconds"
        ran = Ran([*self.command, "--beams", beam, file])
        if ran.code:
            sys.exit(f"miao run failed on {file}: {ran.err}")
        out = json.loads(ran.out)
        return {"seconds": out["seconds"], "text": out["results"][0]["text"]}

    def close(self):
        pass
