"""`cost-model` prints the numbers of docs/costs.md."""

import json

import pytest

from cli.app import main
from infra.documents.costs import costs_markdown


def test_prints_the_sum_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost-model"]) == 0
    total = capsys.readouterr().out.partition("In all: $")[2].split()[0]
    assert f"**{total}**" in costs_markdown()


def test_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost-model", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["usd_per_million_runs"] == pytest.approx(
        sum(line["usd_per_million_runs"] for line in printed["lines"]), abs=0.05
    )
