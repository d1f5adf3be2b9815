"""The decision after a failed call: retry the same model, fall back to another one, or give up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_CALLS_PER_MODEL = 3
"""Calls of one model in one attempt, not counting turns after tools."""
_MIN_PAUSE_S, _MAX_PAUSE_S = 0.5, 8.0
_MAX_RETRY_AFTER_S = 20.0
MAX_ATTEMPT_S = 13 * 60
"""The maximum duration of one attempt, in seconds, unless less of its invocation remains (15 minutes at most)."""

_UNAVAILABLE = frozenset({"ProviderNotConfigured", "ProviderUnauthorized", "ProviderModelNotFound"})
"""Failures that a retry cannot fix, but another model may not have."""

Jitter = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class CallFailure:
    """A failed call."""

    model: str
    code: str
    retry: bool
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class NextCall:
    """The next call: its model, and the pause before it."""

    model: str
    pause_s: float


def after_failure(failures: Sequence[CallFailure], models: Sequence[str], *, jitter: Jitter) -> NextCall | None:
    """Return the next call.

    Args:
        failures: the failures of this turn in this attempt, in their order; at least one.
        models: the agent's model and its fallbacks, in their order.
        jitter: returns a random number between two bounds.

    Returns:
        None if no call is left to try.
    """
    last = failures[-1]
    tries = sum(failure.model == last.model for failure in failures)
    if last.retry and tries < MAX_CALLS_PER_MODEL:
        return NextCall(last.model, _pause_s(last, tries, jitter=jitter))
    if not (last.retry or last.code in _UNAVAILABLE):
        return None
    tried = {failure.model for failure in failures}
    untried = next((model for model in models if model not in tried), None)
    return NextCall(untried, 0.0) if untried else None


def _pause_s(failure: CallFailure, tries: int, *, jitter: Jitter) -> float:
    """Return the provider's Retry-After within bounds; otherwise a full jitter that doubles with each try."""
    if failure.retry_after_s is not None:
        return min(max(failure.retry_after_s, 0.0), _MAX_RETRY_AFTER_S)
    return jitter(0.0, min(_MIN_PAUSE_S * 2 ** (tries - 1), _MAX_PAUSE_S))
