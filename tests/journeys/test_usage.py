"""Usage at a glance, and as a file."""

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

WAITED = {"Prefer": "wait=25"}


@dataclass(frozen=True)
class Counted:
    """An agent with a run that completed and one that failed, both of them counted."""

    agent_id: str
    shown: dict[str, Any]
    """On the dashboard."""


@pytest.fixture(scope="module")
def agent(mesh: Mesh) -> Counted:
    """It has used more than any other, so it is at the top of the dashboard."""
    steps = Steps(mesh)
    agent_id = steps.agent()
    for message in ("[[tokens 4000]]", "[[error 400]]"):
        steps.submit(agent_id, message, headers=WAITED)

    def found() -> dict[str, Any] | None:
        agents = steps.call("GET", "/analytics/dashboard").body["dashboard"]["top_agents"]
        shown = next((one for one in agents if one["agent_id"] == agent_id), None)
        return shown if shown and (shown["meters"]["requests"], sum_of_ends(shown)) == (2, 2) else None

    return Counted(agent_id, wait_for(found, what="the agent on the dashboard"))


def sum_of_ends(shown: dict[str, Any]) -> int:
    """How many runs have ended."""
    return sum(shown["runs"][outcome] for outcome in ("completed", "failed", "cancelled"))


def test_the_dashboard_shows_what_an_agent_did(agent: Counted) -> None:
    assert agent.shown["meters"]["tokens_out"] == 4000
    assert agent.shown["runs"] == {"completed": 1, "failed": 1, "cancelled": 0, "error_rate_basis_points": 5000}
    assert agent.shown["latency"]["p50_ms"] == agent.shown["latency"]["p99_ms"] > 0


def test_what_the_tenant_shows_follows_a_burst_without_the_clock(steps: Steps, without_the_closer: None) -> None:  # noqa: ARG001 — it is switched off
    """Some runs of it come in the pause after the first was said, and nothing comes after them."""
    before = used_this_month(steps)
    agent_id = steps.agent()
    for _ in range(5):
        steps.submit(agent_id, "[[tokens 100]]", headers=WAITED)

    def same() -> bool:
        shown, counted = steps.call("GET", "").body["tenant"]["current_usage"], used_this_month(steps)
        return counted[0] == before[0] + 5 and (shown["monthly_requests"], shown["monthly_tokens"]) == counted

    wait_for(same, what="the tenant shows what is counted")


@pytest.fixture
def without_the_closer(mesh: Mesh) -> Iterator[None]:
    """What every minute says what is due says nothing."""
    events, rule = mesh.clients.events, "ainexus-local-metering-closer-schedule"
    events.disable_rule(Name=rule)
    try:
        assert events.describe_rule(Name=rule).get("State") == "DISABLED"
        yield
    finally:
        events.enable_rule(Name=rule)


def used_this_month(steps: Steps) -> tuple[int, int]:
    """Requests and tokens."""
    months = steps.call("GET", "/usage/monthly").body["monthly"]
    meters: dict[str, int] = months[0]["meters"] if months else {}
    return meters.get("requests", 0), meters.get("tokens_in", 0) + meters.get("tokens_out", 0)


def test_an_operator_downloads_the_ledger(mesh: Mesh, agent: Counted) -> None:
    rows = {format_: list(read(download(mesh, format_), format_)) for format_ in ("csv", "jsonl", "parquet")}
    of_agent = {format_: [row for row in found if row["agent_id"] == agent.agent_id] for format_, found in rows.items()}
    for found in of_agent.values():
        assert sorted(int(row["tokens_out"]) for row in found) == [0, 4000]
    assert of_agent["jsonl"] == of_agent["parquet"]


def download(mesh: Mesh, format_: str) -> bytes:
    """The ledger of a tenant as a file, from wherever the API says."""
    # Another range each time: for an hour, the same question is answered by the file of before.
    start = date.today() - timedelta(days=randrange(1, 390))  # noqa: DTZ011, S311 — it only has to be in the past
    path = f"/v1/admin/usage/export?format={format_}&tenant_id=demo-org&from={start}"

    def address() -> str | None:
        answer = mesh.call("GET", f"{path}&to={date.today() + timedelta(days=2)}", user=PLATFORM_ADMIN)  # noqa: DTZ011 — as above
        assert answer.status in {200, 202}, answer
        return answer.body["export"]["url"]

    with urllib.request.urlopen(wait_for(address, what="the export")) as answer:  # noqa: S310 — our own engine
        return answer.read()


def read(file: bytes, format_: str) -> Iterator[dict[str, Any]]:
    """The rows of a file, without moments, which Parquet has as such."""
    for row in _rows(file, format_):
        yield {name: value for name, value in row.items() if name != "occurred_at"}


def _rows(file: bytes, format_: str) -> Iterator[dict[str, Any]]:
    match format_:
        case "csv":
            yield from csv.DictReader(io.StringIO(file.decode(), newline=""))
        case "jsonl":
            yield from map(json.loads, file.splitlines())
        case _:
            with tempfile.NamedTemporaryFile(suffix=".parquet") as made, duckdb.connect() as database:
                made.write(file)
                made.flush()
                found = database.execute(f"SELECT * EXCLUDE (occurred_at) FROM '{made.name}'")  # noqa: S608 — a path of ours
                names = [column[0] for column in found.description or ()]
                yield from (dict(zip(names, row, strict=True)) for row in found.fetchall())
