"""The Python engines that encode texts, each behind the same few calls. Runs in the venv of the engines (worker.py).

An engine gives one vector a text, the mean of the last hidden state over its tokens, at length 1. Texts go through it from
the longest to the shortest, `batch` in a call, so that padding costs little: the best order for engines that pad. With
several streams, as many copies with fewer threads each take the calls in turn.
"""
import concurrent.futures
import pathlib
import queue
import time

import numpy
import tokenizers


def padded(ids):
    """(ids, mask), both (texts, longest)."""
    width = max(map(len, ids))
    out = numpy.zeros((len(ids), width), dtype=numpy.int64)
    mask = numpy.zeros_like(out)
    for row, of_text in enumerate(ids):
        out[row, :len(of_text)] = of_text
        mask[row, :len(of_text)] = 1
    return out, mask


def pooled(states, mask):
    weights = mask[:, :, None].astype(numpy.float32)
    mean = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return mean / numpy.linalg.norm(mean, axis=1, keepdims=True)


class Engine:
    limit = 256  # tokens of a text, as the model's sentence_bert_config says

    def __init__(self, folder, texts, threads, **settings):
        self.folder, self.threads = pathlib.Path(folder), threads
        self.arguments, self.streams = (folder, texts), {1: [self]}
        self.settings = settings
        self.texts = pathlib.Path(texts).read_text().splitlines()
        self.tokenizer = tokenizers.Tokenizer.from_file(str(self.folder / "minilm" / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.limit)
        self.load(**settings)

    def states(self, ids, mask):
        """The last hidden state, (texts, longest, dim)."""
        raise NotImplementedError

    def vectors_of(self, ids):
        padded_ids, mask = padded(ids)
        return pooled(self.states(padded_ids, mask), mask)

    def use_threads(self):
        """For libraries that have one number of threads for all."""

    def lanes(self, streams):
        if streams not in self.streams:
            self.streams[streams] = [type(self)(*self.arguments, max(1, self.threads // streams), **self.settings) for _ in range(streams)]
        return self.streams[streams]

    def encode_all(self, ids, batch, streams=1):
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        calls = [[ids[i] for i in order[at:at + batch]] for at in range(0, len(ids), batch)]
        out = [None] * len(calls)
        waiting = queue.SimpleQueue()
        for number in range(len(calls)):
            waiting.put(number)

        def work(lane):
            lane.use_threads()
            while True:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                out[number] = lane.vectors_of(calls[number])

        lanes = self.lanes(streams)
        if streams == 1:
            work(self)
        else:
            with concurrent.futures.ThreadPoolExecutor(streams) as pool:
                for done in [pool.submit(work, lane) for lane in lanes]:
                    done.result()
        rows = numpy.concatenate(out)
        back = numpy.empty_like(rows)
        back[order] = rows
        return back

    def tokenise(self, part=1):
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(self.texts[::part])]

    # ------------------------------------------------------------------------------------------------------- the calls

    def vectors(self, file, batch):
        numpy.save(file, self.encode_all(self.tokenise(), batch).astype(numpy.float32))

    def throughput(self, batch, streams=1, part=1):
        """Texts a second, from ids and from text, over every `part`th text."""
        self.lanes(streams)
        start = time.perf_counter()
        ids = self.tokenise(part)
        tokenised = time.perf_counter()
        self.encode_all(ids, batch, streams)
        end = time.perf_counter()
        return {"ids": len(ids) / (end - tokenised), "text": len(ids) / (end - start)}

    def latency(self, tokens, count):
        """Milliseconds of single texts of so many tokens, p50 and p99."""
        random = numpy.random.default_rng(1)
        self.use_threads()
        ids = [[101, *random.integers(1000, 30000, tokens - 2).tolist(), 102]]
        for _ in range(count // 10 + 1):
            self.vectors_of(ids)
        times = []
        for _ in range(count):
            start = time.perf_counter()
            self.vectors_of(ids)
            times.append(1e3 * (time.perf_counter() - start))
        return {"p50": float(numpy.quantile(times, 0.5)), "p99": float(numpy.quantile(times, 0.99))}


class PyTorch(Engine):
    def load(self, int8=False):
        import torch
        import transformers
        self.torch = torch
        self.model = transformers.AutoModel.from_pretrained(self.folder / "minilm", dtype=torch.float32).eval()
        if int8:
            self.model = torch.ao.quantization.quantize_dynamic(self.model, {torch.nn.Linear}, torch.qint8)

    def use_threads(self):
        self.torch.set_num_threads(self.threads)

    def states(self, ids, mask):
        with self.torch.inference_mode():
            out = self.model(input_ids=self.torch.from_numpy(ids), attention_mask=self.torch.from_numpy(mask))
            return out.last_hidden_state.numpy()


class OnnxRuntime(Engine):
    def load(self, file):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(self.folder / file), options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]

    def states(self, ids, mask):
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        return self.session.run(None, {name: given[name] for name in self.inputs})[0]


class OpenVino(Engine):
    def load(self, file, precision=None):
        import openvino
        core = openvino.Core()
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self.threads, "ENABLE_CPU_PINNING": False}
        if precision:  # else what the plugin finds best, which is BF16 where there is AMX
            options["INFERENCE_PRECISION_HINT"] = precision
        self.request = core.compile_model(str(self.folder / file), "CPU", options).create_infer_request()
        self.inputs = [i.get_any_name() for i in self.request.model_inputs]

    def states(self, ids, mask):
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        return self.request.infer({name: given[name] for name in self.inputs}, share_inputs=True, share_outputs=True)[0]


class CTranslate2(Engine):
    def load(self, compute_type):
        import ctranslate2
        self.encoder = ctranslate2.Encoder(str(self.folder / "ct2"), device="cpu", compute_type=compute_type,
                                           inter_threads=1, intra_threads=self.threads)

    def vectors_of(self, ids):
        states = numpy.array(self.encoder.forward_batch(ids).last_hidden_state)
        return pooled(states, padded(ids)[1])
