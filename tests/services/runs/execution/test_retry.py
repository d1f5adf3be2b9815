"""What is tried after a call has failed."""

import pytest

from services.runs.domain.retry import Again, Failure, after_failure

BUSY = Failure("a", "ProviderUnavailable", retry=True)
WRONG = Failure("a", "ProviderRejected", retry=False)


def _largest(_: float, high: float) -> float:
    return high


class TestAfterFailure:
    def test_tries_the_same_model_again_after_a_growing_pause(self) -> None:
        assert after_failure([BUSY], ["a"], jitter=_largest) == Again("a", 0.5)
        assert after_failure([BUSY, BUSY], ["a"], jitter=_largest) == Again("a", 1.0)

    def test_gives_up_after_three_calls_of_the_only_model(self) -> None:
        assert after_failure([BUSY] * 3, ["a"], jitter=_largest) is None

    def test_goes_to_the_next_model_when_one_is_used_up(self) -> None:
        assert after_failure([BUSY] * 3, ["a", "b"], jitter=_largest) == Again("b", 0.0)

    def test_tries_every_model_three_times(self) -> None:
        other = Failure("b", "ProviderUnavailable", retry=True)
        assert after_failure([*[BUSY] * 3, other], ["a", "b"], jitter=_largest) == Again("b", 0.5)
        assert after_failure([*[BUSY] * 3, *[other] * 3], ["a", "b"], jitter=_largest) is None

    @pytest.mark.parametrize("code", ["ProviderNotConfigured", "ProviderUnauthorized", "ProviderModelNotFound"])
    def test_does_not_try_an_unusable_model_again_but_another_one(self, code: str) -> None:
        assert after_failure([Failure("a", code, retry=False)], ["a", "b"], jitter=_largest) == Again("b", 0.0)

    def test_tries_nothing_after_a_request_that_no_model_would_take(self) -> None:
        assert after_failure([WRONG], ["a", "b"], jitter=_largest) is None

    @pytest.mark.parametrize(("asked", "pause"), [(3.0, 3.0), (3_600.0, 20.0), (-5.0, 0.0)])
    def test_keeps_to_what_the_provider_asks_for_within_reason(self, asked: float, pause: float) -> None:
        failure = Failure("a", "ProviderRateLimited", retry=True, retry_after_s=asked)
        assert after_failure([failure], ["a"], jitter=_largest) == Again("a", pause)
