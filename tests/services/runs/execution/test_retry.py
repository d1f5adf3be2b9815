"""The decision after a failed call."""

import pytest

from services.runs.execution.domain.retry import CallFailure, NextCall, after_failure

BUSY = CallFailure("a", "ProviderUnavailable", retry=True)
WRONG = CallFailure("a", "ProviderRejected", retry=False)


def _largest(_: float, high: float) -> float:
    return high


class TestAfterFailure:
    def test_retries_the_same_model_with_backoff(self) -> None:
        assert after_failure([BUSY], ["a"], jitter=_largest) == NextCall("a", 0.5)
        assert after_failure([BUSY, BUSY], ["a"], jitter=_largest) == NextCall("a", 1.0)

    def test_stops_after_three_calls_of_the_only_model(self) -> None:
        assert after_failure([BUSY] * 3, ["a"], jitter=_largest) is None

    def test_falls_back_when_a_model_is_exhausted(self) -> None:
        assert after_failure([BUSY] * 3, ["a", "b"], jitter=_largest) == NextCall("b", 0.0)

    def test_calls_every_model_three_times(self) -> None:
        other = CallFailure("b", "ProviderUnavailable", retry=True)
        assert after_failure([*[BUSY] * 3, other], ["a", "b"], jitter=_largest) == NextCall("b", 0.5)
        assert after_failure([*[BUSY] * 3, *[other] * 3], ["a", "b"], jitter=_largest) is None

    @pytest.mark.parametrize("code", ["ProviderNotConfigured", "ProviderUnauthorized", "ProviderModelNotFound"])
    def test_falls_back_at_once_from_an_unusable_model(self, code: str) -> None:
        assert after_failure([CallFailure("a", code, retry=False)], ["a", "b"], jitter=_largest) == NextCall("b", 0.0)

    def test_does_not_retry_a_rejected_request(self) -> None:
        assert after_failure([WRONG], ["a", "b"], jitter=_largest) is None

    @pytest.mark.parametrize(("asked", "pause"), [(3.0, 3.0), (3_600.0, 20.0), (-5.0, 0.0)])
    def test_honors_retry_after_within_bounds(self, asked: float, pause: float) -> None:
        failure = CallFailure("a", "ProviderRateLimited", retry=True, retry_after_s=asked)
        assert after_failure([failure], ["a"], jitter=_largest) == NextCall("a", pause)
