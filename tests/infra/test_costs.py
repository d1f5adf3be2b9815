"""A million runs cost less than they may, by what was counted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra.costs.counted import SIDE, Counted, read
from infra.costs.model import BUDGET_USD, UNITS, cost_of_run, prices, total_usd
from infra.documents.costs import costs_markdown

ONE = Counted(
    at="2026-11-24T00:00:00.000Z",
    calls={"dynamodb TransactWriteItems": 2.0, "dynamodb GetItem": 3.0, "events PutEvents": 0.5, "lambda": 1.0},
    cpu_ms={"runs-api": 10.0, "runs-worker": 5.0},
)


def quantities(counted: Counted) -> dict[str, float]:
    """What one run uses, by what is billed."""
    return {line.what: line.quantity for line in cost_of_run(counted)}


class TestCosts:
    def test_stay_below_the_limit(self) -> None:
        assert 1 < total_usd(cost_of_run(read())) < BUDGET_USD

    def test_have_a_line_for_every_price(self) -> None:
        assert {*quantities(ONE)} == {*prices()["nano_usd"]}

    def test_are_of_the_units_of_the_calls(self) -> None:
        found = quantities(ONE)
        assert found["write unit of DynamoDB"] == 2 * UNITS["TransactWriteItems"].write
        assert found["read unit of DynamoDB"] == 3

    def test_are_prices_times_quantities(self) -> None:
        [line] = [line for line in cost_of_run(ONE) if line.what == "write unit of DynamoDB"]
        assert line.usd_per_million == pytest.approx(16 * 0.625)

    def test_grow_with_calls_and_with_cpu(self) -> None:
        more_calls = replace(ONE, calls={**ONE.calls, "dynamodb GetItem": 9.0})
        more_cpu = replace(ONE, cpu_ms={"runs-api": 20.0, "runs-worker": 5.0})
        for more in (more_calls, more_cpu):
            assert total_usd(cost_of_run(more)) > total_usd(cost_of_run(ONE))

    def test_refuse_a_call_whose_units_nobody_knows(self) -> None:
        with pytest.raises(KeyError, match="Scan"):
            cost_of_run(replace(ONE, calls={"dynamodb Scan": 1.0}))


class TestCounted:
    def test_is_read_from_the_measurement(self, tmp_path: Path) -> None:
        side = {"aws_calls_by_operation": {"lambda": 1.0}, "cpu_ms_by_process": {"runs-api": 1.5}}
        path = tmp_path / "latest.json"
        path.write_text(json.dumps({"at": "2026-11-24T00:00:00.000Z", "sides": {SIDE: side}}))
        assert read(path) == Counted("2026-11-24T00:00:00.000Z", {"lambda": 1.0}, {"runs-api": 1.5})


class TestPage:
    def test_says_the_sum_and_the_date(self) -> None:
        page = costs_markdown()
        assert f"**{total_usd(cost_of_run(read())):.2f}**" in page
        assert read().at[:10] in page
