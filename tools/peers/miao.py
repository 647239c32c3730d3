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


class Program:
    """Takes the place of a worker (worker.py): a process for each call, whose figures leave the start out."""

    def __init__(self, *command):
        self.command = command

    def ask(self, *flags):
        ran = Ran([*self.command, *flags, "--json", "-q"])
        if ran.code:
            sys.exit(f"{' '.join(map(str, self.command))} failed: {ran.err}")
        return json.loads(ran.out)

    def call(self, method, **arguments):
        return getattr(self, method)(**arguments)

    def close(self):
        pass


class Translator(Program):
    """Sequences of random ids to as many."""

    def __init__(self, binary, folder, threads):
        super().__init__(binary, "bench", folder, "--dtype", "int8", "-t", threads)

    def seconds(self, batch, beam, tokens, reps):
        """The median of encoding and search together."""
        return self.ask("-p", tokens, "-n", tokens, "-b", batch, "--beams", beam, "-r", reps)["latency_ms"]["p50"] / 1e3


class Listener(Program):
    def __init__(self, binary, folder, threads):
        super().__init__(binary, "run", folder, "--dtype", "int8", "--language", "en", "--greedy", "-t", threads)

    def seconds(self, file, beam):
        out = self.ask("--beams", beam, file)
        return {"seconds": out["seconds"], "text": out["results"][0]["text"]}
