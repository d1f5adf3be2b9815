"""The cost of a million runs, computed from measured quantities, is below its limit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra.costs.counted import BENCHMARK_SIDE, MeasuredRun, read_measurement
from infra.costs.model import BUDGET_USD, UNITS, cost_of_run, prices, total_usd
from infra.documents.costs import costs_markdown

ONE = MeasuredRun(
    at="2026-11-24T00:00:00.000Z",
    calls={"dynamodb TransactWriteItems": 2.0, "dynamodb GetItem": 3.0, "events PutEvents": 0.5, "lambda": 1.0},
    cpu_ms={"runs-api": 10.0, "runs-worker": 5.0},
)


def quantities(counted: MeasuredRun) -> dict[str, float]:
    """Return the quantities of one run by the billed unit."""
    return {line.unit: line.quantity for line in cost_of_run(counted)}


class TestCosts:
    def test_stay_below_the_limit(self) -> None:
        assert 1 < total_usd(cost_of_run(read_measurement())) < BUDGET_USD

    def test_have_a_line_for_every_price(self) -> None:
        assert {*quantities(ONE)} == {*prices()["nano_usd"]}

    def test_count_the_units_of_each_call(self) -> None:
        found = quantities(ONE)
        assert found["write unit of DynamoDB"] == 2 * UNITS["TransactWriteItems"].write
        assert found["read unit of DynamoDB"] == 3

    def test_are_prices_times_quantities(self) -> None:
        [line] = [line for line in cost_of_run(ONE) if line.unit == "write unit of DynamoDB"]
        assert line.usd_per_million == pytest.approx(16 * 0.625)

    def test_grow_with_calls_and_with_cpu(self) -> None:
        more_calls = replace(ONE, calls={**ONE.calls, "dynamodb GetItem": 9.0})
        more_cpu = replace(ONE, cpu_ms={"runs-api": 20.0, "runs-worker": 5.0})
        for more in (more_calls, more_cpu):
            assert total_usd(cost_of_run(more)) > total_usd(cost_of_run(ONE))

    def test_refuse_a_call_with_unknown_units(self) -> None:
        with pytest.raises(KeyError, match="Scan"):
            cost_of_run(replace(ONE, calls={"dynamodb Scan": 1.0}))


class TestCounted:
    def test_is_read_from_the_measurement(self, tmp_path: Path) -> None:
        side = {"aws_calls_by_operation": {"lambda": 1.0}, "cpu_ms_by_process": {"runs-api": 1.5}}
        path = tmp_path / "latest.json"
        path.write_text(json.dumps({"at": "2026-11-24T00:00:00.000Z", "sides": {BENCHMARK_SIDE: side}}))
        assert read_measurement(path) == MeasuredRun("2026-11-24T00:00:00.000Z", {"lambda": 1.0}, {"runs-api": 1.5})


class TestPage:
    def test_has_the_sum_and_the_date(self) -> None:
        page = costs_markdown()
        assert f"**{total_usd(cost_of_run(read_measurement())):.2f}**" in page
        assert read_measurement().at[:10] in page
