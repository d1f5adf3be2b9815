"""Sums of meters."""

from hypothesis import given
from hypothesis import strategies as st

from shared.meters import Meter, total

COUNTS = st.dictionaries(st.sampled_from(Meter), st.integers(0, 10**15))


class TestTotal:
    @given(st.lists(COUNTS))
    def test_is_the_sum_of_each_meter(self, counts: list[dict[Meter, int]]) -> None:
        assert total(*counts) == {
            meter: sum(count.get(meter, 0) for count in counts)
            for meter in Meter
            if any(meter in count for count in counts)
        }

    @given(st.permutations([{Meter.TOKENS_IN: 1}, {Meter.TOKENS_IN: 2, Meter.REQUESTS: 1}, {}]))
    def test_does_not_depend_on_the_order(self, counts: list[dict[Meter, int]]) -> None:
        assert total(*counts) == {Meter.TOKENS_IN: 3, Meter.REQUESTS: 1}

    def test_does_not_change_its_arguments(self) -> None:
        count = {Meter.TOKENS_OUT: 1}
        total(count, count)
        assert count == {Meter.TOKENS_OUT: 1}
