"""The remaining time of an invocation."""

import math
import time

import pytest

from shared.deadline import GATEWAY_TIMEOUT_S, MARGIN_S, bounded_s, invocation, remaining_s
from tests.invocations import FakeLambdaContext


class TestInvocation:
    def test_limits_nothing_after_its_end(self) -> None:
        assert remaining_s() == math.inf
        assert bounded_s(5) == 5

    def test_reserves_a_margin(self) -> None:
        with invocation(FakeLambdaContext(10)):
            assert 10 - MARGIN_S - 0.5 < remaining_s() <= 10 - MARGIN_S
            assert bounded_s(1) == 1
            assert bounded_s(60) <= 10 - MARGIN_S
        assert remaining_s() == math.inf

    def test_is_never_negative(self) -> None:
        with invocation(FakeLambdaContext(0.1)):
            assert remaining_s() == 0
            assert bounded_s(5) == 0

    def test_counts_from_the_receipt_by_the_gateway(self) -> None:
        received_at_ms = int((time.time() - 20) * 1000)
        with invocation(FakeLambdaContext(29), requested_at_ms=received_at_ms):
            assert remaining_s() <= GATEWAY_TIMEOUT_S - 20 - MARGIN_S + 0.1

    @pytest.mark.parametrize("skew_s", [-3600, 3600])
    def test_ignores_a_skewed_clock(self, skew_s: int) -> None:
        with invocation(FakeLambdaContext(10), requested_at_ms=int((time.time() + skew_s) * 1000)):
            assert remaining_s() > 5
