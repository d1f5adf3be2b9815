"""The functions' log lines contain all data of dashboards, alarms and queries, and no user input."""

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
from shared.metrics import DISPUTES, NAMESPACE, SYNC_LAG, Metric
from shared.times import to_text, utc_now
from tests.journeys.checkout import new_checkout
from tests.journeys.log_reader import LogReader
from tests.journeys.steps import TENANT, Steps, wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh
from tests.monitoring import PublishedMetrics, fields_in_query

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
REQUESTS = (
    *(("GET", path) for path in ("", "/agents", "/runs", "/usage/daily", "/billing/plan")),
    ("PATCH", ""),
    ("POST", "/usage/events"),
    ("PATCH", "/billing/plan"),
)
"""A read and a change for each service, in addition to those of the run. A change may be refused."""
TRACED = tuple(f"ainexus-local-{name}" for name in ("runs-api", "runs-worker", "publisher", "metering-consumer"))
"""The functions that take part in a run."""
SWEEP = "ainexus-local-billing-sweep"
TIMEOUT_S = 400
"""Long enough for a busy machine: this is no test of speed."""
Line = Mapping[str, Any]


@dataclass(frozen=True)
class FunctionLogs:
    """The log lines of the functions, and the texts that they must not contain."""

    lines: tuple[Line, ...]
    text: str
    hidden: Mapping[str, str]
    """User input and secrets, by their kind."""
    trace_id: str

    def functions_in_trace(self) -> set[str]:
        """Return the functions whose log lines contain the trace id."""
        return {line["function"] for line in self.lines if self.trace_id in json.dumps(line)}


@pytest.fixture(name="function_logs", scope="module")
def collect_logs(mesh: Mesh) -> FunctionLogs:
    """Cause everything once that metrics report, and return all log lines of all functions."""
    trace, steps, began_ms = secrets.token_hex(16), Steps(mesh), int(utc_now().timestamp() * 1000)
    hidden = {name: f"hidden-{secrets.token_hex(8)}" for name in ("prompt", "message", "metadata", "key", "broken")}
    agent_id = steps.create_agent(system_prompt=hidden["prompt"])
    run_request = {
        "agent_id": agent_id,
        "inputs": {"message": hidden["message"]},
        "metadata": {"note": hidden["metadata"]},
    }
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "Prefer": "wait=25"}
    run = steps.call("POST", "/runs", run_request, headers=headers).body["run"]
    assert run["status"] == "completed", run
    assert steps.call("PUT", "/provider-keys/anthropic", {"api_key": hidden["key"]}).status in {200, 201}
    assert steps.call("DELETE", "/provider-keys/anthropic").status == 204
    assert steps.call("POST", "/runs", {**run_request, "inputs": {"message": [hidden["broken"]]}}).status == 422
    _exceed_a_limit(mesh)
    steps.submit(agent_id, "[[error 400]]", headers={"Prefer": "wait=25"})
    for method, path in REQUESTS:
        assert steps.call(method, path, None if method == "GET" else {"unknown": hidden["broken"]}).status < 500
    _report_twice(steps)
    _dispute(mesh)
    for queue in ("runs-worker", "metering-consumer"):
        _fail(mesh, f"ainexus-local-{queue}", content=hidden["broken"])
    assert mesh.call("POST", "/v1/webhooks/stripe", {"id": "evt_1"}, user=None).status == 400
    for function in SCHEDULED:
        mesh.clients.functions.invoke(FunctionName=function, Payload="{}")
    hidden["output"], hidden["token"] = run["output"]["message"], mesh.token()
    trace_id = f"1-{trace[:8]}-{trace[8:]}"
    awaited = AwaitedLines(LogReader(mesh.clients.logs, began_ms), trace_id)
    wait_for(awaited.have_appeared, description=awaited.describe_missing, timeout_s=TIMEOUT_S)
    lines, text = _read(mesh)
    return FunctionLogs(lines, text, hidden, trace_id)


@dataclass
class AwaitedLines:
    """The log lines that appear some time after their cause."""

    reader: LogReader
    trace_id: str
    _without_trace: set[str] = field(default_factory=lambda: {*TRACED})
    _is_swept: bool = False

    def have_appeared(self) -> bool:
        """Read the new lines of the functions without such a line, and return whether all have one."""
        self._without_trace -= {name for name in self._without_trace if self._has(name, self.trace_id)}
        # The function caches for a minute that there is no Stripe key, and is invoked once a minute.
        self._is_swept = self._is_swept or self._has(SWEEP, SYNC_LAG.name)
        return self._is_swept and not self._without_trace

    def describe_missing(self) -> str:
        """Return what was not found in which lines."""
        missing = [f"the trace {self.trace_id} in the lines of {name}" for name in sorted(self._without_trace)]
        missing += [] if self._is_swept else [f"{SYNC_LAG.name} in the lines of {SWEEP}"]
        return f"missing after {TIMEOUT_S} s: {', '.join(missing)}"

    def _has(self, function: str, text: str) -> bool:
        # All new lines are read, so that none is read again.
        return any([text in message for message in self.reader.messages(function)])


def _exceed_a_limit(mesh: Mesh) -> None:
    """Submit a run for a tenant whose limits allow none."""
    tenant_id = f"watched-{new_id('t', utc_now())[-10:].lower()}"
    tenant = {"tenant_id": tenant_id, "name": "Watched", "plan": "pro", "limits": {"max_tokens_per_month": 1}}
    assert mesh.call("POST", "/v1/admin/tenants", tenant, user=PLATFORM_ADMIN).status == 201

    def post(kind: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 — the API's answer
        return mesh.call("POST", f"/v1/tenants/{tenant_id}/{kind}", body, user=PLATFORM_ADMIN)

    agent = post("agents", {"name": "A", "type": "conversational", "config": {"model": "gpt-4"}})
    refused = post("runs", {"agent_id": agent.body["agent"]["agent_id"], "inputs": {"message": "Hello"}})
    assert (refused.status, refused.body["error"]) == (429, "LimitReached")


def _dispute(mesh: Mesh) -> None:
    """Pay for a tenant and dispute the payment as its cardholder."""
    with new_checkout(mesh) as checkout:
        checkout.set_clock(utc_now())
        response = checkout.call("POST", "/checkout", {"plan": "pro"})
        assert response.status == 201, response
        checkout.pay(response.body["checkout"]["url"])
        checkout.wait_for_plan(plan="pro", billing="stripe", status="active")

        def paid() -> str | None:
            invoices = checkout.call("GET", "/invoices").body["invoices"]
            return next((one["invoice_id"] for one in invoices if one["status"] == "paid"), None)

        checkout.control("disputes", invoice=wait_for(paid, description="the first invoice is paid"))
        inbox, reader = "ainexus-local-billing-inbox", LogReader(mesh.clients.logs)
        # Wait here, because the webhook needs the tenant, which is deleted at the end of the block.
        wait_for(lambda: _has_metric(reader.messages(inbox), DISPUTES), description="the dispute is reported")


def _report_twice(steps: Steps) -> None:
    """Report usage with the same id and two different contents."""
    event = {"id": new_id("e", utc_now()), "source": "journey", "type": "usage", "time": to_text(utc_now())}
    events = [{**event, "data": {"meters": {"requests": requests}}} for requests in (1, 2)]
    results = steps.call("POST", "/usage/events", {"events": events}).body["results"]
    assert [result["status"] for result in results] == ["accepted", "conflict"]


def _fail(mesh: Mesh, function: str, *, content: str) -> None:
    """Invoke a function with messages that it cannot parse, without a queue, which would deliver them again."""
    bodies = ({"tenant_id": [content], content: content}, content)
    records = [
        {
            "messageId": str(number),
            "body": json.dumps(body),
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(utc_now().timestamp() * 1000))},
        }
        for number, body in enumerate(bodies)
    ]
    response = mesh.clients.functions.invoke(FunctionName=function, Payload=json.dumps({"Records": records}))
    failed = json.loads(response["Payload"].read())["batchItemFailures"]
    assert [one["itemIdentifier"] for one in failed] == [str(number) for number in range(len(bodies))]


def _has_metric(messages: Iterable[str], metric: Metric) -> bool:
    return any(metric.name in message for message in messages)


def _read(mesh: Mesh) -> tuple[tuple[Line, ...], str]:
    reader = LogReader(mesh.clients.logs)
    lines: list[Line] = []
    text: list[str] = []
    for function in functions_of(mesh.clients.functions, "local"):
        for message in reader.messages(function):
            text.append(message)
            if message.startswith("{"):
                lines.append({**json.loads(message), "function": function})
    return tuple(lines), "\n".join(text)


@pytest.fixture(name="emitted", scope="module")
def read_metrics(function_logs: FunctionLogs) -> PublishedMetrics:
    """Return the metrics that CloudWatch would extract from the log lines."""
    return PublishedMetrics.from_log_lines(function_logs.lines)


NAMES = Names("local", "000000000000")
ALARMS = alarms_of(NAMES, SERVICES)
SUBJECTS = Subjects.of(NAMES, SERVICES)


class TestMetrics:
    def test_of_every_alarm_are_emitted_with_its_dimensions(self, emitted: PublishedMetrics) -> None:
        watched = [alarm.source for alarm in ALARMS if alarm.source.namespace == NAMESPACE]
        assert len(watched) > len(SERVICES)
        assert [source for source in watched if not emitted.contains(source.metric, source.dimensions)] == []

    def test_of_every_widget_are_emitted_with_its_dimensions(self, emitted: PublishedMetrics) -> None:
        widgets = [*operations(NAMES, SUBJECTS), *business(NAMES, SUBJECTS)]
        lines = [line for widget in widgets for line in widget["properties"]["metrics"]]
        searched = [line[0]["expression"] for line in lines if isinstance(line[0], dict)]
        assert len(searched) > 20
        assert [expression for expression in searched if not emitted.match_search(expression)] == []

    def test_of_aws_belong_to_existing_resources(self, mesh: Mesh) -> None:
        existing = {*functions_of(mesh.clients.functions, "local"), mesh.target.names.api, "local"}
        existing |= {url.rpartition("/")[2] for url in mesh.clients.sqs.list_queues().get("QueueUrls", [])}
        existing |= {*mesh.clients.dynamodb.list_tables()["TableNames"]}
        of_aws = [alarm.source for alarm in ALARMS if alarm.source.namespace != NAMESPACE]
        assert {value for source in of_aws for value in source.dimensions.values()} <= existing


class TestQueries:
    @pytest.mark.parametrize("name", QUERIES)
    def test_use_existing_fields(self, function_logs: FunctionLogs, name: str) -> None:
        known = {field for line in function_logs.lines for field in line}
        assert fields_in_query(QUERIES[name]) - known == set()

    @pytest.mark.parametrize("message", sorted(set(re.findall(r'message = "([^"]+)"', "".join(QUERIES.values())))))
    def test_use_existing_messages(self, function_logs: FunctionLogs, message: str) -> None:
        assert message in {line["message"] for line in function_logs.lines}


class TestTrace:
    def test_follows_a_run_from_the_request_over_the_bus_to_its_usage(self, function_logs: FunctionLogs) -> None:
        assert function_logs.functions_in_trace() >= {*TRACED}


class TestUserInput:
    def test_is_in_no_log_line(self, function_logs: FunctionLogs) -> None:
        assert len(function_logs.text) > 10_000
        assert [name for name, text in function_logs.hidden.items() if text in function_logs.text] == []

    def test_would_be_detected(self, function_logs: FunctionLogs, mesh: Mesh) -> None:
        agents = mesh.call("GET", f"{TENANT}/agents?limit=100").body["agents"]
        assert any(agent["agent_id"] in function_logs.text for agent in agents)
