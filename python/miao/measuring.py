"""miao.eval() and miao.compress(): what the verbs of these names measure, as objects over the same JSON."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import json
import os
import pathlib
from typing import Any

from . import _miao
from .errors import Invalid


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a ``budget`` such as ``"ppl:2%"`` is kept: ``outcome`` is ``"passes"``, ``"not shown"`` (the loss is below it,
    its bound is not) or ``"fails"``. ``loss`` is what was measured, ``upper`` its one-sided confidence bound; None where
    there is none."""

    budget: str
    outcome: str
    loss: float | None
    upper: float | None


class Figures:
    """Figures of a measurement by the names that the JSON of the program has: as attributes, and in ``metrics``."""

    metrics: dict[str, float]

    def __getattr__(self, name: str) -> float:
        metrics = self.__dict__.get("metrics", {})
        if name in metrics:
            return metrics[name]
        raise AttributeError(f"there is no '{name}' here; measured were {', '.join(metrics)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.metrics]


@dataclasses.dataclass(frozen=True)
class Evaluation(Figures):
    """What eval() measured. Each of the ``metrics`` is an attribute too: ``ppl``, ``kld_mean``, ``kld_p99``, ``same_top1``,
    ``accuracy`` and others, by what was measured; ``intervals`` has those of them at ``level`` per cent. ``verdicts`` are
    those of the budgets, and ``json`` is all that ``miao eval --json`` prints."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    verdicts: list[Verdict]
    units: int
    unit: str
    level: float
    json: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def passes(self) -> bool:
        """Whether all budgets are shown to be kept."""
        return all(v.outcome == "passes" for v in self.verdicts)


@dataclasses.dataclass(frozen=True)
class Compression(Figures):
    """What compress() found: whether all budgets are ``kept``, the ``file`` of the model (model.gguf, or nearest.gguf where
    they are not), its ``bytes``, and ``speed``, by how much it is faster. ``metrics`` (and attributes of their names) are
    those of the final text, which the search did not see; ``misses`` says in words which budgets are not kept, and
    ``json`` is all of report.json."""

    kept: bool
    file: pathlib.Path
    bytes: int
    speed: float
    metrics: dict[str, float]
    verdicts: list[Verdict]
    misses: list[str]
    json: dict[str, Any] = dataclasses.field(repr=False)


def eval(model: _miao.Model | str | os.PathLike[str], *, text: str | os.PathLike[str] | None = None,
         choices: str | os.PathLike[str] | collections.abc.Iterable[dict[str, Any]] | None = None,
         texts: str | os.PathLike[str] | collections.abc.Iterable[str] | None = None,
         pairs: str | os.PathLike[str] | collections.abc.Iterable[tuple[str, str, float]] | None = None,
         labels: str | os.PathLike[str] | collections.abc.Iterable[tuple[str, str]] | None = None,
         against: _miao.Model | str | os.PathLike[str] | None = None, ctx: int = 0, chunks: int = 0, near: int = 10,
         max_loss: str | collections.abc.Iterable[str] = (), level: float = 95, dtype: str = "auto", kv: str | None = None,
         base_dtype: str = "auto", base_kv: str | None = None, threads: int = 0) -> Evaluation:
    """Measures the quality of a decoder or encoder, by itself or against a base, as ``miao eval`` does.

    model, against: loaded models, or what load() takes; these are loaded for the measurement alone.
    text: how likely the model finds it, with a base also how far their distributions are from each other. A str is the
    text itself, a pathlib.Path the file that holds it. ctx is the tokens of a window (0 = 512), chunks the first so many
    windows (0 = all).
    choices: questions with choices: the path of a file of JSON Lines or TSV, or dicts with "question" or "prompt",
    "choices" and "answer".
    Of encoders, each the path of a file or its rows: texts, whose vectors are held against those of the base (near: the
    nearest others that should stay the same); pairs (text, other text, people's score); labels (text, label) of models
    that classify. One of the five is given.
    max_loss: budgets such as "ppl:2%" or ["kld:0.02", "top1:3%"]; of choices and labels "accuracy:1%", of texts
    "cosine:0.1%" and "overlap:1%", of pairs "spearman:0.5%".
    level: confidence of intervals and verdicts, in per cent.
    dtype, kv, threads: as load() takes them, of models that are not loaded; base_dtype, base_kv: those of the base.
    """
    data_of = {"text": _text_of, "choices": _questions_of, "texts": _texts_of, "pairs": _pairs_of, "labels": _labels_of}
    data_given = {"text": text, "choices": choices, "texts": texts, "pairs": pairs, "labels": labels}
    named = [key for key, value in data_given.items() if value is not None]
    if len(named) != 1:
        raise Invalid("give one of text, choices, texts, pairs and labels: there is one measurement at a time", "eval")
    task = named[0]
    data, name = data_of[task](data_given[task])
    command = _call("eval", model=_name(model), **{task: name}, against=against and _name(against), ctx=ctx, chunks=chunks,
                    near=near if near != 10 else None, max_loss=max_loss, level=level, dtype=dtype, kv=kv, base_dtype=base_dtype, base_kv=base_kv)
    found = json.loads(_miao.evaluate_model(model, against, task, data, name, ctx, chunks, near, _texts(max_loss), level,
                                            dtype, kv, base_dtype, base_kv, threads, _now(), command))
    intervals = {key: (low, high) for key, (low, high) in found["intervals"].items()}
    known = {"schema", "units", "items", "level", "seconds"}
    metrics = {key: value for key, value in found.items() if isinstance(value, (int, float)) and key not in known}
    return Evaluation(metrics, intervals, _verdicts(found["budgets"]), found["units"], found["unit"], 100 * found["level"], found)


def compress(model: str | os.PathLike[str], out: str | os.PathLike[str], *, max_loss: str | collections.abc.Iterable[str] = (),
             min_speed: float | str | None = None, max_size: int | str | None = None, max_memory: int | str | None = None,
             max_ttft: float | str | None = None, max_token: float | str | None = None,
             max_latency: float | str | None = None, evaluate: collections.abc.Callable[[str], float] | None = None,
             evaluate_lower: bool = False, choices: str | os.PathLike[str] | collections.abc.Iterable[dict[str, Any]] | None = None,
             text: str | os.PathLike[str] | None = None, final_text: str | os.PathLike[str] | None = None,
             pairs: str | os.PathLike[str] | collections.abc.Iterable[tuple[str, str, float]] | None = None,
             labels: str | os.PathLike[str] | collections.abc.Iterable[tuple[str, str]] | None = None, near: int = 10,
             prompt: int | None = None, gen: int = 128, batch: int = 1,
             lengths: str | collections.abc.Iterable[int] | None = None, types: collections.abc.Iterable[str] = (),
             kv: collections.abc.Iterable[str] = (), level: float = 95, tries: int = 5,
             time_budget: float | str | None = None, seed: int = 1, fresh: bool = False, threads: int = 0) -> Compression:
    """Finds and writes the smallest or fastest model that keeps budgets, with the files of ``miao compress`` in ``out``.

    max_loss: budgets such as "1%" (of perplexity) or ["kld:0.02", "top1:3%", "accuracy:1%", "evaluate:1%"].
    min_speed: a request is at least so many times as fast. max_size: bytes, or "60MB", "40%". max_memory: bytes or
    "500MB". max_ttft, max_token, max_latency: seconds or "200ms".
    evaluate: a figure of your own, which budgets of "evaluate" are about: evaluate(path) -> float is called once with the
    path of the model and once with that of each candidate, while nothing is computed; what it raises ends the search and
    is raised here. Higher is better unless evaluate_lower. One number has no interval: it is judged by itself.
    choices: questions for budgets of "accuracy", as eval() takes them.
    text: what the model should stay good at, final_text another one for the last measurement: a str, or a pathlib.Path of
    a file. Without it the model writes text by itself.
    pairs, labels: of encoders, what they are judged by besides their vectors: the path of a file, or tuples (text, other
    text, people's score) and (text, label). near: neighbours whose changes budgets of "overlap" count.
    prompt, gen, batch: tokens that a request reads (None = 512, of an encoder as many as its texts have) and writes, and
    requests side by side.
    lengths: of inputs, over which the report tells the expected latency of base and result: "uniform:16:512",
    "poisson:200", or the number of tokens of each input.
    types: those to choose from, of weights; kv: of keys and values. tries: candidates that are built at most. time_budget:
    after so many seconds (or "15min") no further one is begun. fresh: measures all anew, and keeps nothing for the next run.
    What is found on the way goes to the logger "miao".
    """
    options: dict[str, Any] = {
        "max_loss": _texts(max_loss), "min_speed": _quantity(min_speed), "max_size": _quantity(max_size),
        "max_memory": _quantity(max_memory), "max_ttft": _quantity(max_ttft, "s"), "max_token": _quantity(max_token, "s"),
        "max_latency": _quantity(max_latency, "s"), "time_budget": _quantity(time_budget, "s"), "prompt": prompt, "gen": gen,
        "batch": batch, "near": near, "types": _texts(types), "kv": _texts(kv), "level": level, "tries": tries, "seed": seed, "fresh": fresh,
        "threads": threads, "evaluate": evaluate, "evaluate_lower": evaluate_lower,
        "evaluate_name": getattr(evaluate, "__qualname__", type(evaluate).__name__)}
    options["lengths"] = lengths if lengths is None or isinstance(lengths, str) else list(lengths)
    names: dict[str, str | None] = {"text": None, "final_text": None, "choices": None}
    for key, given in ("text", text), ("final_text", final_text):
        options[key], names[key] = _text_of(given) if given is not None else (None, None)
    options["text_name"] = names["text"]
    options["choices"], names["choices"] = _questions_of(choices) if choices is not None else (None, None)
    options["pairs"], names["pairs"] = _pairs_of(pairs) if pairs is not None else (None, None)
    options["labels"], names["labels"] = _labels_of(labels) if labels is not None else (None, None)
    for key in "choices", "pairs", "labels":
        options[f"{key}_name"] = names[key]
    shown = {k: v for k, v in options.items() if k not in ("evaluate", "threads") and not k.endswith("_name")}
    command = _call("compress", _name(model), _name(out), **(shown | names),
                    evaluate=evaluate and options["evaluate_name"])
    found = json.loads(_miao.compress_model(model, out, options, _now(), command))
    chosen, final = found["candidates"][found["chosen"]], found["final"]
    metrics = {key: metric["value"] for key, metric in final["metrics"].items()}
    return Compression(found["kept"], pathlib.Path(found["file"]), chosen["bytes"], chosen["speed"]["ratio"], metrics,
                       _verdicts(final["verdicts"]), found["misses"], found)


def _verdicts(found: list[dict[str, Any]]) -> list[Verdict]:
    return [Verdict(v["budget"], v["outcome"], v["loss"], v.get("upper")) for v in found]


def _text_of(given: Any) -> tuple[str, str]:
    text, name = given, "text"
    if not isinstance(given, str):
        name = os.fspath(given)
        try:
            text = pathlib.Path(name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise Invalid(f"{name}: is no UTF-8 text ({error.reason} at byte {error.start})", name) from None
    if not text:
        raise Invalid(f"{name}: is empty", name)
    return text, name


def _questions_of(given: Any) -> tuple[str, str]:
    if isinstance(given, (str, os.PathLike)):
        return _text_of(pathlib.Path(given))
    return "".join(json.dumps(question) + "\n" for question in given), "choices"


def _pairs_of(given: Any) -> tuple[str, str]:
    return _rows_of(given, "pairs", ("text1", "text2", "score"))


def _labels_of(given: Any) -> tuple[str, str]:
    return _rows_of(given, "labels", ("text", "label"))


def _rows_of(given: Any, key: str, fields: tuple[str, ...]) -> tuple[str, str]:
    if isinstance(given, (str, os.PathLike)):
        return _text_of(pathlib.Path(given))
    return "".join(json.dumps(dict(zip(fields, row, strict=True))) + "\n" for row in given), key


def _texts_of(given: Any) -> tuple[str, str]:
    if isinstance(given, (str, os.PathLike)):
        return _text_of(pathlib.Path(given))
    texts = list(given)
    for i, text in enumerate(texts):
        if any(end in text for end in "\r\n"):
            raise Invalid(f"texts[{i}] is of several lines; texts are told apart by them", "texts")
    return "".join(text + "\n" for text in texts), "texts"


def _texts(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _quantity(given: Any, unit: str = "") -> str | None:
    return given if given is None or isinstance(given, str) else f"{given}{unit}"


def _name(given: Any) -> str:
    return repr(given) if isinstance(given, _miao.Model) else os.fspath(given)


def _call(name: str, *arguments: str, **named: Any) -> str:
    """The call, for the report; arguments that are not given are left out."""
    words = [repr(a) for a in arguments]
    words += [f"{key}={value!r}" for key, value in named.items() if value not in (None, 0, False, (), [], "")]
    return f"miao.{name}({', '.join(words)})"


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
