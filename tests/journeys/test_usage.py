"""Usage on the dashboard and as a file."""

import csv
import io
import json
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import randrange
from typing import Any

import duckdb
import pytest

from tests.journeys.steps import Steps, wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh

pytestmark = pytest.mark.mesh

WAIT_HEADERS = {"Prefer": "wait=25"}


@dataclass(frozen=True)
class DashboardAgent:
    """An agent with a completed and a failed run, both of them counted."""

    agent_id: str
    summary: dict[str, Any]
    """The agent on the dashboard."""


@pytest.fixture(scope="module")
def agent(mesh: Mesh) -> DashboardAgent:
    """Return an agent that has used more than any other, so that it is at the top of the dashboard."""
    steps = Steps(mesh)
    agent_id = steps.create_agent()
    for message in ("[[tokens 4000]]", "[[error 400]]"):
        steps.submit(agent_id, message, headers=WAIT_HEADERS)

    def found() -> dict[str, Any] | None:
        agents = steps.call("GET", "/analytics/dashboard").body["dashboard"]["top_agents"]
        summary = next((one for one in agents if one["agent_id"] == agent_id), None)
        return summary if summary and (summary["meters"]["requests"], count_ended_runs(summary)) == (2, 2) else None

    return DashboardAgent(agent_id, wait_for(found, description="the agent on the dashboard"))


def count_ended_runs(summary: dict[str, Any]) -> int:
    """Return the number of ended runs."""
    return sum(summary["runs"][outcome] for outcome in ("completed", "failed", "cancelled"))


def test_dashboard_has_usage_outcomes_and_latency_of_an_agent(agent: DashboardAgent) -> None:
    assert agent.summary["meters"]["tokens_out"] == 4000
    assert agent.summary["runs"] == {"completed": 1, "failed": 1, "cancelled": 0, "error_rate_basis_points": 5000}
    assert agent.summary["latency"]["p50_ms"] == agent.summary["latency"]["p99_ms"] > 0


def test_usage_of_the_tenant_follows_a_burst_without_the_schedule(steps: Steps, without_closer_schedule: None) -> None:  # noqa: ARG001 — it is switched off
    """Assert that runs in the pause after the first summary are summarized too, although no run follows them."""
    before = used_this_month(steps)
    agent_id = steps.create_agent()
    for _ in range(5):
        steps.submit(agent_id, "[[tokens 100]]", headers=WAIT_HEADERS)

    def is_current() -> bool:
        summary, counted = steps.call("GET", "").body["tenant"]["current_usage"], used_this_month(steps)
        return counted[0] == before[0] + 5 and (summary["monthly_requests"], summary["monthly_tokens"]) == counted

    wait_for(is_current, description="the tenant has the counted usage")


@pytest.fixture
def without_closer_schedule(mesh: Mesh) -> Iterator[None]:
    """Disable the schedule that publishes due summaries every minute."""
    events, rule = mesh.clients.events, "ainexus-local-metering-closer-schedule"
    events.disable_rule(Name=rule)
    try:
        assert events.describe_rule(Name=rule).get("State") == "DISABLED"
        yield
    finally:
        events.enable_rule(Name=rule)


def used_this_month(steps: Steps) -> tuple[int, int]:
    """Return the numbers of requests and tokens of this month."""
    months = steps.call("GET", "/usage/monthly").body["monthly"]
    meters: dict[str, int] = months[0]["meters"] if months else {}
    return meters.get("requests", 0), meters.get("tokens_in", 0) + meters.get("tokens_out", 0)


def test_operator_downloads_the_ledger(mesh: Mesh, agent: DashboardAgent) -> None:
    rows = {format_: list(rows_of(download(mesh, format_), format_)) for format_ in ("csv", "jsonl", "parquet")}
    of_agent = {format_: [row for row in found if row["agent_id"] == agent.agent_id] for format_, found in rows.items()}
    for found in of_agent.values():
        assert sorted(int(row["tokens_out"]) for row in found) == [0, 4000]
    assert of_agent["jsonl"] == of_agent["parquet"]


def download(mesh: Mesh, format_: str) -> bytes:
    """Download the ledger of a tenant as a file, from the URL that the API returns."""
    # The range differs each time, because the API returns the same file for equal ranges for an hour.
    start = date.today() - timedelta(days=randrange(1, 390))  # noqa: DTZ011, S311 — it only has to be in the past
    path = f"/v1/admin/usage/export?format={format_}&tenant_id=demo-org&from={start}"

    def url() -> str | None:
        response = mesh.call("GET", f"{path}&to={date.today() + timedelta(days=2)}", user=PLATFORM_ADMIN)  # noqa: DTZ011 — as above
        assert response.status in {200, 202}, response
        return response.body["export"]["url"]

    with urllib.request.urlopen(wait_for(url, description="the export")) as response:  # noqa: S310 — our own engine
        return response.read()


def rows_of(file: bytes, format_: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file without timestamps, which have a type of their own in Parquet."""
    for row in _parse(file, format_):
        yield {name: value for name, value in row.items() if name != "occurred_at"}


def _parse(file: bytes, format_: str) -> Iterator[dict[str, Any]]:
    match format_:
        case "csv":
            yield from csv.DictReader(io.StringIO(file.decode(), newline=""))
        case "jsonl":
            yield from map(json.loads, file.splitlines())
        case _:
            with tempfile.NamedTemporaryFile(suffix=".parquet") as parquet, duckdb.connect() as database:
                parquet.write(file)
                parquet.flush()
                found = database.execute(f"SELECT * EXCLUDE (occurred_at) FROM '{parquet.name}'")  # noqa: S608 — a path of ours
                names = [column[0] for column in found.description or ()]
                yield from (dict(zip(names, row, strict=True)) for row in found.fetchall())
