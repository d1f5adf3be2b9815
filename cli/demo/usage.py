"""The usage demo: a run, and its usage in every record. It waits for facts, for at most 60 s each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from cli.api import ApiRequest, ApiResponse, Send
from cli.demo.counts import OF_LEDGER, Counts, Item, counts_of, counts_of_item, format_counts, sum_of
from cli.demo.expectation import expect, expect_status

_MAX_WAIT_S = 60
_AGENT: dict[str, Any] = {
    "name": "Test Agent",
    "description": "A test agent for usage metering",
    "type": "conversational",
    "config": {"model": "gpt-4", "system_prompt": "You are a helpful assistant."},
}
_FAULTY: dict[str, Any] = {
    "model": "gpt-4o",
    "system_prompt": "Answer briefly. The API key is ghp_16C7e42F292c6912E7710c838347Ae178B4a.",
    "fallbacks": ["gpt-4o"],
}
"""A config with a secret, a model that retires, and a fallback that is tried before."""
_MESSAGE = "Hello, world! This is a test."

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoContext:
    """The tenant, and the operations that the demo needs."""

    api: str
    tenant: str
    send_and_print: Send
    """Sends a request and prints it with its response."""
    send: Send
    """Sends a request without printing it."""
    sign_in: Callable[[], str]
    scan: Callable[[], Sequence[Item]]
    """Returns the tenant's items in the usage table."""
    print_scan: Callable[[Sequence[Item]], None]
    now: Callable[[], float]
    pause: Callable[[], None]
    config: Mapping[str, Any] = field(default_factory=lambda: _AGENT["config"])
    """The config of the agent."""


@dataclass(frozen=True, slots=True)
class UsageDemo:
    """The steps of the demo, in order."""

    context: DemoContext
    title: Callable[[str], None]
    note: Callable[[str], None]

    def run(self) -> dict[str, Any]:
        """Run all steps, and return the ids and the usage of the run.

        Raises:
            DemoFailed: a step had an unexpected result.
        """
        self._check_health()
        self.title("Sign in as the tenant's admin")
        token = self.context.sign_in()
        self._list_projects(token)
        agent_id = self._create_agent(token)
        run = self._run_agent(token, agent_id)
        item = self._check_ledger(run)
        self._check_events(token, run)
        self._check_daily(token, day=date.fromisoformat(item["timestamp"]["S"][:10]))
        self._check_cost(token)
        self._lint_and_fix(token)
        return {"agent_id": agent_id, "run_id": run["run_id"], "usage": counts_of(run["usage"])}

    def _check_health(self) -> None:
        self.title("Check the health of the API")
        response = self.context.send_and_print(ApiRequest("GET", f"{self.context.api}/v1/health"))
        expect_status(response, 200)
        expect(response.body.get("status") == "healthy", "the API is not healthy")

    def _list_projects(self, token: str) -> None:
        self.title("List the projects")
        response = self.context.send_and_print(ApiRequest("GET", self._url("projects"), token=token))
        expect_status(response, 200)
        expect(
            set(response.body) == {"projects", "pagination", "requestId"},
            "the list does not have the documented fields",
        )
        if not response.body["projects"]:
            page = {"nextToken": None, "hasMore": False}
            expect(response.body["pagination"] == page, f"the pagination of an empty list is not {page}")

    def _create_agent(self, token: str) -> str:
        self.title("Create an agent")
        response = self.context.send_and_print(
            ApiRequest("POST", self._url("agents"), {**_AGENT, "config": self.context.config}, token=token)
        )
        expect_status(response, 201)
        return str(response.body["agent"]["agent_id"])

    def _run_agent(self, token: str, agent_id: str) -> dict[str, Any]:
        self.title("Run the agent and wait for the result")
        body = {"agent_id": agent_id, "inputs": {"message": _MESSAGE}}
        response = self.context.send_and_print(
            ApiRequest("POST", self._url("runs"), body, {"Prefer": "wait=25"}, token)
        )
        expect(response.status in {201, 202}, f"expected 201 or 202, got {response.status}")
        run = response.body["run"]
        if response.status == 202:
            run = self._wait_until_final(token, run["run_id"])
        expect(run["status"] == "completed", f"the run is {run['status']}: {run.get('error')}")
        output: Mapping[str, Any] = run.get("output") or {}
        expect(bool(output.get("message")), "the run has no output")
        self.note(f"output: {output['message']}")
        return run

    def _check_ledger(self, run: Mapping[str, Any]) -> Item:
        """Check that each call of the run is in the usage table once, and return the first item."""
        self.title("Compare its usage with the usage table")
        found = self._poll(self.context.scan, until=lambda items: bool(_of_run(items, run)))
        self.context.print_scan(_of_run(found, run) or found[:1])
        items = _of_run(found, run)
        expect(len(items) == len(_calls_of(run)), f"{len(items)} items of the run for {len(_calls_of(run))} calls")
        self._expect_same("the table", sum_of([counts_of_item(item) for item in items]), run["usage"])
        return items[0]

    def _check_events(self, token: str, run: Mapping[str, Any]) -> None:
        self.title("Compare it with the usage events of the API")
        request = ApiRequest("GET", self._url("usage/events"), token=token)
        self._poll(lambda: self.context.send(request), until=lambda response: bool(_events_of(response, run)))
        response = self.context.send_and_print(request)
        expect_status(response, 200)
        counted = sum_of([counts_of(event["meters"]) for event in _events_of(response, run)])
        self._expect_same("usage/events", counted, run["usage"])

    def _check_daily(self, token: str, *, day: date) -> None:
        self.title("Compare the day's counter with the ledger")
        url = f"{self._url('usage/daily')}?from={day}&to={day + timedelta(days=1)}"
        request = ApiRequest("GET", url, token=token)

        def fetch_both() -> tuple[Counts, Counts]:
            return _of_day(self.context.send(request), day), _ledger_of_day(self.context.scan(), day)

        counter, ledger = self._poll(fetch_both, until=lambda seen: seen[0] == seen[1])
        expect_status(self.context.send_and_print(request), 200)
        expect(counter == ledger, f"usage/daily has {format_counts(counter)}; the ledger {format_counts(ledger)}")
        self.note(f"usage/daily equals the sum of the ledger: {format_counts(counter)}")

    def _check_cost(self, token: str) -> None:
        self.title("Show the cost of the month so far")
        response = self.context.send_and_print(ApiRequest("GET", self._url("billing/usage"), token=token))
        expect_status(response, 200)
        bill = response.body["usage"]["so_far"]
        added = sum(line["amount_cents"] for line in bill["lines"])
        expect(added == bill["amount_cents"], f"the lines add up to {added} cents, the bill is {bill['amount_cents']}")
        self.note(f"{bill['amount_cents']} cents for the closed hours; the current hour is added when it ends")

    def _lint_and_fix(self, token: str) -> None:
        """Lint an agent with planted faults, publish its fixes, and lint it again."""
        self.title("Lint an agent with planted faults")
        body = {"name": "Faulty Agent", "type": "conversational", "config": _FAULTY}
        created = self.context.send(ApiRequest("POST", self._url("agents"), body, token=token))
        expect_status(created, 201)
        target = {"agent_id": created.body["agent"]["agent_id"]}
        lint = self._lint(token, target)
        expect(lint["summary"]["error"] > 0, "the linter has not found the planted faults")
        self.note(f"found: {', '.join(sorted({finding['rule_id'] for finding in lint['findings']}))}")
        self.title("Fix them, and lint the new version")
        fixable = [finding["finding_id"] for finding in lint["findings"] if finding.get("fix")]
        fix = ApiRequest("POST", self._url(f"lint/{lint['lint_id']}/fix"), {"finding_ids": fixable}, token=token)
        fixed = self.context.send_and_print(fix)
        expect_status(fixed, 201)
        again = self._lint(token, {**target, "version": fixed.body["fixed"]["version"]})
        expect(again["summary"]["error"] == 0, "the fixed version still has errors")
        self.note(f"version {fixed.body['fixed']['version']} has no errors, and is not live yet")

    def _lint(self, token: str, target: Mapping[str, Any]) -> dict[str, Any]:
        request = ApiRequest("POST", self._url("lint/run"), {"target": target}, token=token)
        response = self.context.send_and_print(request)
        expect_status(response, 201)
        return response.body["lint"]

    def _wait_until_final(self, token: str, run_id: str) -> dict[str, Any]:
        request = ApiRequest("GET", self._url(f"runs/{run_id}"), token=token)
        final = {"completed", "failed", "cancelled"}
        response = self._poll(
            lambda: self.context.send(request), until=lambda seen: seen.body["run"]["status"] in final
        )
        return response.body["run"]

    def _expect_same(self, source: str, counted: Counts, usage: Mapping[str, Any]) -> None:
        expected = counts_of(usage)
        expect(counted == expected, f"{source} has {format_counts(counted)}; the run used {format_counts(expected)}")
        self.note(f"{source} has the usage of the run: {format_counts(counted)}")

    def _poll(self, fetch: Callable[[], T], *, until: Callable[[T], bool]) -> T:
        """Fetch until the condition is true or 60 s are over, and return the last result."""
        end = self.context.now() + _MAX_WAIT_S
        while not until(seen := fetch()) and self.context.now() < end:
            self.context.pause()
        return seen

    def _url(self, path: str) -> str:
        return f"{self.context.api}/v1/tenants/{self.context.tenant}/{path}"


def _of_run(items: Sequence[Item], run: Mapping[str, Any]) -> list[Item]:
    return [item for item in items if item.get("runId", {}).get("S") == run["run_id"]]


def _calls_of(run: Mapping[str, Any]) -> list[Any]:
    return [call for attempt in run["attempts"] for call in attempt["calls"]]


def _events_of(response: ApiResponse, run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if response.status != 200:
        return []
    return [event for event in response.body["events"] if event["run_id"] == run["run_id"]]


def _of_day(response: ApiResponse, day: date) -> Counts:
    rows: list[dict[str, Any]] = response.body["daily"] if response.status == 200 else []
    return sum_of([counts_of(row["meters"], OF_LEDGER) for row in rows if row["date"] == day.isoformat()])


def _ledger_of_day(items: Sequence[Item], day: date) -> Counts:
    of_day = [item for item in items if item.get("timestamp", {}).get("S", "").startswith(day.isoformat())]
    return sum_of([counts_of_item(item, OF_LEDGER) for item in of_day])
