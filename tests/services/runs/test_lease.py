"""Keeping a run while its call is under way."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from services.runs.errors import CancelRequested, LeaseLost
from services.runs.operations.lease import Lease
from shared.errors import DependencyUnavailable

Answer = bool | Exception


class Extending:
    """Gives these answers, one after the other, then stays without one; says when all were given."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers: Iterator[Answer] = iter(answers)
        self._left = len(answers)
        self.asked = threading.Event()

    def __call__(self) -> bool:
        """Extend once."""
        answer = next(self._answers, False)
        self._left -= 1
        if self._left <= 0:
            self.asked.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


class TestLease:
    def test_is_extended_while_nothing_streams(self) -> None:
        extend = Extending([False] * 3)
        with Lease(extend, every_s=0.001) as lease:
            assert extend.asked.wait(10)
            lease.check()

    def test_outlives_a_database_that_does_not_answer(self) -> None:
        extend = Extending([DependencyUnavailable("Busy."), False])
        with Lease(extend, every_s=0.001) as lease:
            assert extend.asked.wait(10)
            lease.check()

    @pytest.mark.parametrize(("answer", "refusal"), [(True, CancelRequested), (LeaseLost(), LeaseLost)])
    def test_that_is_refused_ends_the_call_at_its_next_piece(self, answer: Answer, refusal: type[Exception]) -> None:
        lease = Lease(Extending([answer]), every_s=0.001)
        with lease:
            lease._thread.join(10)  # pyright: ignore[reportPrivateUsage]  # it ends with the refusal
        with pytest.raises(refusal):
            lease.check()
