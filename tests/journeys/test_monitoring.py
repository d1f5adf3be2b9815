"""What dashboards, alarms and queries are made of is in the lines that the functions write; what users wrote is not."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from infra.local.warmth import functions_of
from infra.monitoring.alarm import alarms_of
from infra.monitoring.dashboards import business, operations
from infra.monitoring.queries import QUERIES
from infra.monitoring.subject import Subjects
from infra.names import Names
from infra.services import SERVICES
from shared.ids import new_id
from shared.metrics import NAMESPACE, SYNC_LAG
from shared.times import to_text, utc_now
from tests.journeys.steps import TENANT, Steps, wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh
from tests.monitoring import Sources, asked_fields

pytestmark = pytest.mark.mesh

SCHEDULED = (
    "ainexus-local-publisher",
    *(
        f"ainexus-local-{service.name}-{function.name}"
        for service in SERVICES
        for function in service.functions
        if function.every_minutes
    ),
)
ASKED = (
    *(("GET", path) for path in ("", "/agents", "/runs", "/usage/daily", "/billing/plan")),
    ("PATCH", ""),
    ("POST", "/usage/events"),
    ("PATCH", "/billing/plan"),
)
"""A reading and a changing request to each service, besides those of the run; a change may be refused."""
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """What the functions have said, and what they must not have."""

    lines: tuple[Line, ...]
    text: str
    hidden: Mapping[str, str]
    """What a user wrote, or is secret, by what it is."""
    trace_id: str

    def functions_in_trace(self) -> set[str]:
        """Which functions have said something of the trace."""
        return {line["function"] for line in self.lines if self.trace_id in json.dumps(line)}


@pytest.fixture(name="told", scope="module")
def let_tell(mesh: Mesh) -> Told:
    """Everything happens once that a metric is made of; then all lines of all functions."""
    trace, steps = secrets.token_hex(16), Steps(mesh)
    hidden = {name: f"hidden-{secrets.token_hex(8)}" for name in ("prompt", "message", "metadata", "key", "broken")}
    agent_id = steps.agent(system_prompt=hidden["prompt"])
    asked = {"agent_id": agent_id, "inputs": {"message": hidden["message"]}, "metadata": {"note": hidden["metadata"]}}
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "Prefer": "wait=25"}
    run = steps.call("POST", "/runs", asked, headers=headers).body["run"]
    assert run["status"] == "completed", run
    assert steps.call("PUT", "/provider-keys/anthropic", {"api_key": hidden["key"]}).status in {200, 201}
    assert steps.call("DELETE", "/provider-keys/anthropic").status == 204
    assert steps.call("POST", "/runs", {**asked, "inputs": {"message": [hidden["broken"]]}}).status == 422
    _be_refused(mesh)
    steps.submit(agent_id, "[[error 400]]", headers={"Prefer": "wait=25"})
    for method, path in ASKED:
        assert steps.call(method, path, None if method == "GET" else {"unknown": hidden["broken"]}).status < 500
    _report_twice(steps)
    for queue in ("runs-worker", "metering-consumer"):
        _fail(mesh, f"ainexus-local-{queue}", written=hidden["broken"])
    assert mesh.call("POST", "/v1/webhooks/stripe", {"id": "evt_1"}, user=None).status == 400
    for function in SCHEDULED:
        mesh.clients.functions.invoke(FunctionName=function, Payload="{}")
    trace_id = f"1-{trace[:8]}-{trace[8:]}"
    hidden["output"], hidden["token"] = run["output"]["message"], mesh.token()
    functions = {"runs-api", "runs-worker", "publisher", "metering-consumer"}
    wanted = {f"ainexus-local-{name}" for name in functions}

    def all_told() -> Told | None:
        lines, text = _read(mesh)
        told = Told(lines, text, hidden, trace_id)
        # A function keeps for a minute that there is no key of Stripe, and is woken once a minute.
        swept = any(SYNC_LAG.name in line for line in lines)
        return told if swept and told.functions_in_trace() >= wanted else None

    return wait_for(
        all_told, what=f"the trace is in the lines of {sorted(wanted)}, and usage was swept", patience_s=150
    )


def _be_refused(mesh: Mesh) -> None:
    """A tenant whose limits allow no run asks for one."""
    tenant_id = f"watched-{new_id('t', utc_now())[-10:].lower()}"
    tenant = {"tenant_id": tenant_id, "name": "Watched", "plan": "pro", "limits": {"max_tokens_per_month": 1}}
    assert mesh.call("POST", "/v1/admin/tenants", tenant, user=PLATFORM_ADMIN).status == 201

    def ask(kind: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 — the API's answer
        return mesh.call("POST", f"/v1/tenants/{tenant_id}/{kind}", body, user=PLATFORM_ADMIN)

    agent = ask("agents", {"name": "A", "type": "conversational", "config": {"model": "gpt-4"}})
    refused = ask("runs", {"agent_id": agent.body["agent"]["agent_id"], "inputs": {"message": "Hello"}})
    assert (refused.status, refused.body["error"]) == (429, "LimitReached")


def _report_twice(steps: Steps) -> None:
    """Usage comes under one id with two contents."""
    event = {"id": new_id("e", utc_now()), "source": "journey", "type": "usage", "time": to_text(utc_now())}
    events = [{**event, "data": {"meters": {"requests": requests}}} for requests in (1, 2)]
    results = steps.call("POST", "/usage/events", {"events": events}).body["results"]
    assert [result["status"] for result in results] == ["accepted", "conflict"]


def _fail(mesh: Mesh, function: str, *, written: str) -> None:
    """A message comes that cannot be read; it came straight, so that no queue gives it again."""
    bodies = ({"tenant_id": [written], written: written}, written)
    records = [
        {
            "messageId": str(number),
            "body": json.dumps(body),
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(utc_now().timestamp() * 1000))},
        }
        for number, body in enumerate(bodies)
    ]
    answer = mesh.clients.functions.invoke(FunctionName=function, Payload=json.dumps({"Records": records}))
    failed = json.loads(answer["Payload"].read())["batchItemFailures"]
    assert [one["itemIdentifier"] for one in failed] == [str(number) for number in range(len(bodies))]


def _read(mesh: Mesh) -> tuple[tuple[Line, ...], str]:
    lines: list[Line] = []
    text: list[str] = []
    for function in functions_of(mesh.clients.functions, "local"):
        for message in _messages(mesh, f"/aws/lambda/{function}"):
            text.append(message)
            if message.startswith("{"):
                lines.append({**json.loads(message), "function": function})
    return tuple(lines), "\n".join(text)


def _messages(mesh: Mesh, group: str) -> Iterator[str]:
    logs = mesh.clients.logs
    try:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            yield from (event.get("message", "").strip() for event in page["events"])
    except logs.exceptions.ResourceNotFoundException:
        return


@pytest.fixture(name="sources", scope="module")
def see_sources(told: Told) -> Sources:
    """The metrics that CloudWatch would have taken out of the lines."""
    return Sources.seen_in(told.lines)


NAMES = Names("local", "000000000000")
ALARMS = alarms_of(NAMES, SERVICES)
SUBJECTS = Subjects.of(NAMES, SERVICES)


class TestMetrics:
    def test_of_every_alarm_are_seen_with_its_very_dimensions(self, sources: Sources) -> None:
        watched = [alarm.source for alarm in ALARMS if alarm.source.namespace == NAMESPACE]
        assert len(watched) > len(SERVICES)
        assert [source for source in watched if not sources.have(source.metric, source.dimensions)] == []

    def test_of_every_widget_are_seen_with_its_dimensions(self, sources: Sources) -> None:
        widgets = [*operations(NAMES, SUBJECTS), *business(NAMES, SUBJECTS)]
        lines = [line for widget in widgets for line in widget["properties"]["metrics"]]
        searched = [line[0]["expression"] for line in lines if isinstance(line[0], dict)]
        assert len(searched) > 20
        assert [expression for expression in searched if not sources.are_found_by(expression)] == []

    def test_of_aws_are_of_things_that_are_there(self, mesh: Mesh) -> None:
        there = {*functions_of(mesh.clients.functions, "local"), mesh.target.names.api, "local"}
        there |= {url.rpartition("/")[2] for url in mesh.clients.sqs.list_queues().get("QueueUrls", [])}
        there |= {*mesh.clients.dynamodb.list_tables()["TableNames"]}
        of_aws = [alarm.source for alarm in ALARMS if alarm.source.namespace != NAMESPACE]
        assert {value for source in of_aws for value in source.dimensions.values()} <= there


class TestQueries:
    @pytest.mark.parametrize("name", QUERIES)
    def test_ask_for_fields_that_lines_have(self, told: Told, name: str) -> None:
        known = {field for line in told.lines for field in line}
        assert asked_fields(QUERIES[name]) - known == set()

    @pytest.mark.parametrize("message", sorted(set(re.findall(r'message = "([^"]+)"', "".join(QUERIES.values())))))
    def test_ask_for_what_is_said(self, told: Told, message: str) -> None:
        assert message in {line["message"] for line in told.lines}


class TestTrace:
    def test_follows_a_run_from_the_request_over_the_bus_to_its_usage(self, told: Told) -> None:
        of_run = {"runs-api", "runs-worker", "publisher", "metering-consumer"}
        assert told.functions_in_trace() >= {f"ainexus-local-{name}" for name in of_run}


class TestWhatUsersWrote:
    def test_is_in_no_line(self, told: Told) -> None:
        assert len(told.text) > 10_000
        assert [what for what, text in told.hidden.items() if text in told.text] == []

    def test_would_be_seen(self, told: Told, mesh: Mesh) -> None:
        agents = mesh.call("GET", f"{TENANT}/agents?limit=100").body["agents"]
        assert any(agent["agent_id"] in told.text for agent in agents)
