"""Quality: KL divergence of each engine on a quantised file from FP32 log-probabilities of the same weights."""
import hashlib
import pathlib
import re
import statistics
import struct

from peers.common import ROOT, Ran, must, say


class Base:
    """The file that llama-perplexity --kl-divergence-base writes: token windows and log-probabilities in 16 bits."""

    def __init__(self, path):
        import numpy
        data = numpy.memmap(path, dtype=numpy.uint8, mode="r")
        assert bytes(data[:8]) == b"_logits_", "not a base file"
        self.ctx, self.vocab, self.chunks = struct.unpack("<iii", bytes(data[8:20]))
        at = 20 + 4 * self.ctx * self.chunks
        self.windows = numpy.frombuffer(bytes(data[20:at]), dtype="<i4").reshape(self.chunks, self.ctx)
        self.first, self.rows = self.ctx // 2, self.ctx - 1 - self.ctx // 2
        width = 2 * ((self.vocab + 1) // 2) + 4
        self.data = data[at:].view("<u2").reshape(self.chunks, self.rows, width)

    def log_probs(self, chunk):
        import numpy
        rows = self.data[chunk]
        head = rows[:, :4].copy().view("<f4").astype(numpy.float64)
        return rows[:, 4:4 + self.vocab] * head[:, :1] + head[:, 1:]


def miao_divergence(miao, model, base, options, work):
    """Mean KL divergence of miao's logits from the base, its standard error, share of equal best tokens."""
    import numpy
    divergences, same = [], 0
    for chunk in range(base.chunks):
        file = work / "logits.npy"
        ids = " ".join(map(str, base.windows[chunk]))
        must([miao.binary, "logits", model, "--ids", ids, "-o", file, "-t", miao.threads, "-q", *options])
        logits = numpy.load(file, mmap_mode="r")[base.first:base.ctx - 1].astype(numpy.float64)
        mine = logits - logits.max(axis=1, keepdims=True)
        mine -= numpy.log(numpy.exp(mine).sum(axis=1, keepdims=True))
        theirs = base.log_probs(chunk)
        terms = numpy.where(theirs > -16, numpy.exp(theirs) * (theirs - mine), 0)
        divergences += terms.sum(axis=1).tolist()
        same += int((mine.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    count = len(divergences)
    return {"mean_kl": statistics.fmean(divergences), "kl_error": statistics.stdev(divergences) / count ** 0.5,
            "same_top": same / count}


def measure(o, miao, llamas, models, chosen, work):
    text = pathlib.Path(o.text) if o.text else work / "text.txt"
    if not o.text:
        text.write_text("\n".join(p.read_text() for p in sorted((ROOT / "docs").glob("**/*.md"))))
    chunks = 1 if o.quick else o.chunks
    out = {"text_sha256": hashlib.sha256(text.read_bytes()).hexdigest(), "chunks": chunks, "models": {}}
    for name in [n for n in models if n != "F16"]:
        kept = [c for c in llamas if c.name in chosen[name]["kept"] and not c.ik]
        exact = work / "dequantised.gguf"
        must([kept[0].tool("llama-quantize"), "--allow-requantize", models[name], exact, "F32"])
        common = ["-f", text, "-c", 512, "-b", 512, "--chunks", chunks, "-t", o.threads]
        say(f"{name}: FP32 base")
        must([kept[0].tool("llama-perplexity"), "-m", exact, "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--no-repack",
              "--kl-divergence-base", work / "base.kld", *common])
        exact.unlink()
        base = Base(work / "base.kld")
        row = {"miao": miao_divergence(miao, models[name], base, [], work),
               "miao --dtype fp32": miao_divergence(miao, models[name], base, ["--dtype", "fp32"], work)}
        for c in kept:
            ran = Ran([c.tool("llama-perplexity"), "-m", models[name], "--kl-divergence", "--kl-divergence-base", work / "base.kld",
                       *common, *c.common()])
            mean = re.search(r"Mean\s+KLD:\s+(-?[\d.e+-]+)\s*\u00b1\s*([\d.e+-]+)", ran.out + ran.err)
            top = re.search(r"Same top p:\s+([\d.]+)", ran.out + ran.err)
            if mean:
                row[c.name] = {"mean_kl": float(mean.group(1)), "kl_error": float(mean.group(2)),
                               "same_top": float(top.group(1)) / 100 if top else None}
        say(f"{name}: " + ", ".join(f"{n} {v['mean_kl']:.3e} \u00b1 {v['kl_error']:.0e}" for n, v in row.items()))
        out["models"][name] = row
    return out
