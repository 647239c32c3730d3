"""What methods of Model return besides arrays and text."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Classification:
    """The class of a text: ``label`` is the likeliest one, ``score`` its probability, ``scores`` has that of all."""

    label: str
    score: float
    scores: dict[str, float]


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
