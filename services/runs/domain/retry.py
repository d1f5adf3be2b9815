"""What to try after a call has failed: the same model again, another model, or nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TRIES_PER_MODEL = 3
"""Calls of one model in one attempt, turns after tools apart."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
_LONGEST_RETRY_AFTER_S = 20.0
TOTAL_S = 13 * 60
"""How long one attempt may take in all, where its function lives as long; it ends after 15 minutes."""

_UNAVAILABLE = frozenset({"ProviderNotConfigured", "ProviderUnauthorized", "ProviderModelNotFound"})
"""Failures that another model may not have, though trying again would not help."""

Jitter = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class Failure:
    """One call that failed."""

    model: str
    code: str
    retry: bool
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """Call this model, after a pause."""

    model: str
    pause_s: float


def after_failure(failures: Sequence[Failure], models: Sequence[str], *, jitter: Jitter) -> Again | None:
    """What comes next.

    Args:
        failures: of this turn in this attempt, in their order; at least one.
        models: the agent's model and its fallbacks, in their order.
        jitter: gives a number between two.

    Returns:
        None when nothing is left to try.
    """
    last = failures[-1]
    tries = sum(failure.model == last.model for failure in failures)
    if last.retry and tries < TRIES_PER_MODEL:
        return Again(last.model, _pause_s(last, tries, jitter=jitter))
    if not (last.retry or last.code in _UNAVAILABLE):
        return None
    tried = {failure.model for failure in failures}
    untried = next((model for model in models if model not in tried), None)
    return Again(untried, 0.0) if untried else None


def _pause_s(failure: Failure, tries: int, *, jitter: Jitter) -> float:
    """What the provider asks for, within reason; else full jitter, doubled each time."""
    if failure.retry_after_s is not None:
        return min(max(failure.retry_after_s, 0.0), _LONGEST_RETRY_AFTER_S)
    return jitter(0.0, min(_FIRST_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S))
