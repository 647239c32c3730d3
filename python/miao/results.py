"""What methods of Model return besides arrays and text."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Classification:
    """The class of a text: ``label`` is the likeliest one, ``score`` its probability, ``scores`` has that of all."""

    label: str
    score: float
    scores: dict[str, float]
