"""The settings of an experiment on which its verdicts depend, and the possible verdicts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Rate: TypeAlias = float
"""A score, a probability, or a difference of these; never an amount of money."""
MIN_CONFIDENCE, DEFAULT_CONFIDENCE, MAX_CONFIDENCE = 0.5, 0.95, 0.999
EXAMPLE_EFFECT = 0.05


class Verdict(StrEnum):
    """The result of a comparison with the baseline."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    """The difference is smaller than the minimum effect, in both directions."""
    INCONCLUSIVE = "inconclusive"


class Stopping(StrEnum):
    """When an experiment ends."""

    FIXED = "fixed"
    """After all trials. Verdicts before the end are not valid."""
    SEQUENTIAL = "sequential"
    """As soon as every verdict is decided; looking early is allowed."""


@dataclass(frozen=True, slots=True)
class VerdictSettings:
    """The settings of an experiment that its verdicts depend on."""

    confidence: float
    minimum_effect: float
    """The smallest difference that matters."""
    stopping: Stopping
    seed: int
