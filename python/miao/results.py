"""What methods of Model return besides arrays and text."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Classification:
    """The class of a text: ``label`` is the likeliest one, ``score`` its probability, ``scores`` has that of all."""

    label: str
    score: float
    scores: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Word:
    """``text[begin:end]`` of a text; ``share`` is what the score loses when it is left out."""

    share: float
    begin: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The class of a text, ``label``, its ``score``, and what each of the ``words`` adds to it."""

    label: str
    score: float
    words: list[Word]


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A document by how well it answers a query: its ``index`` in the list of documents, ``score`` and ``text``."""

    index: int
    score: float
    text: str


@dataclasses.dataclass(frozen=True)
class Entity:
    """``text[begin:end]`` of a text, with its ``label`` (without B- or I-) and the mean probability of its words."""

    label: str
    score: float
    begin: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """``text[begin:end]`` of a text answers the question, with the probability ``score``."""

    score: float
    begin: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Answers:
    """The ``answers`` that a text has to a question, surest first; ``no_answer`` is the probability that it has none, of
    models that know that (made for SQuAD 2)."""

    answers: list[Answer]
    no_answer: float

    @property
    def best(self) -> Answer | None:
        """The surest answer; None where it is likelier that there is none."""
        return self.answers[0] if self.answers and self.answers[0].score >= self.no_answer else None


@dataclasses.dataclass(frozen=True)
class Hit:
    """A passage that Index.search() found: ``score`` is the cosine of query and passage; ``file`` and ``line`` say where
    it begins, ``fields`` are the others of its line of JSON."""

    score: float
    file: str
    line: int
    text: str
    fields: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Segment:
    """A piece of a recording: ``start`` and ``end`` in seconds, ``text`` with the blank in front that most languages
    have, and its ``tokens``. The others are those of the window of up to 30 s that it is from: the ``temperature`` at
    which it was decoded, ``avg_logprob`` of a token (natural logarithm), ``compression_ratio`` of the text (high where it
    repeats itself), and ``no_speech_prob``, the probability that nobody speaks."""

    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


@dataclasses.dataclass(frozen=True)
class Transcript:
    """What is said in a recording of ``duration`` seconds: ``text``, and its ``segments`` with times. ``language`` is a
    code such as ``"en"`` with its ``language_probability``, 1 where it was given; None where there was only silence."""

    text: str
    language: str | None
    language_probability: float
    duration: float
    segments: list[Segment]

    def __str__(self) -> str:
        return self.text
