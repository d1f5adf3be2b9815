"""The walk of the demo: what is done, and what must come out. It waits for facts, never for time alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from cli.api import Answer, Request, Send
from shared.meters import OF_CALLS, Meter

OF_RUN = tuple(meter for meter in OF_CALLS if meter is not Meter.REQUESTS)
"""The numbers that a run itself shows."""

OF_LEDGER = OF_CALLS
"""The numbers that the ledger and the counters have."""

_PATIENCE_S = 60
_AGENT: dict[str, Any] = {
    "name": "Test Agent",
    "description": "A test agent for usage metering",
    "type": "conversational",
    "config": {"model": "gpt-4", "system_prompt": "You are a helpful assistant."},
}
_MESSAGE = "Hello, world! This is a test."

T = TypeVar("T")
Item = Mapping[str, Any]
Counts = dict[str, int]


class WalkFailed(Exception):
    """Something was not as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the walk touches."""

    api: str
    tenant: str
    send: Send
    """Sends a request and shows it."""
    ask: Send
    """Sends a request unseen: while waiting."""
    sign_in: Callable[[], str]
    scan: Callable[[], Sequence[Item]]
    """The tenant's items in the table of usage, in DynamoDB's own form."""
    show_scan: Callable[[Sequence[Item]], None]
    now: Callable[[], float]
    pause: Callable[[], None]
    config: Mapping[str, Any] = field(default_factory=lambda: _AGENT["config"])
    """The agent's."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The steps, one after the other."""

    world: World
    title: Callable[[str], None]
    note: Callable[[str], None]

    def go(self) -> dict[str, Any]:
        """Walk the whole way, and say what was seen.

        Raises:
            WalkFailed: something was not as it should be.
        """
        self.health()
        self.title("Sign-in of the tenant's admin")
        token = self.world.sign_in()
        self.projects(token)
        agent_id = self.agent(token)
        run = self.run(token, agent_id)
        item = self.ledger(run)
        self.events(token, run)
        self.daily(token, day=date.fromisoformat(item["timestamp"]["S"][:10]))
        self.cost(token)
        return {"agent_id": agent_id, "run_id": run["run_id"], "usage": counts_of(run["usage"])}

    def health(self) -> None:
        """The API is there."""
        self.title("Health")
        answer = self.world.send(Request("GET", f"{self.world.api}/v1/health"))
        expect_status(answer, 200)
        expect(answer.body.get("status") == "healthy", "the API does not say that it is healthy")

    def projects(self, token: str) -> None:
        """The tenant's projects: none, the first time."""
        self.title("Projects")
        answer = self.world.send(Request("GET", self._url("projects"), token=token))
        expect_status(answer, 200)
        expect(set(answer.body) == {"projects", "pagination", "requestId"}, "the list has not the documented fields")
        if not answer.body["projects"]:
            page = {"nextToken": None, "hasMore": False}
            expect(answer.body["pagination"] == page, f"the pagination of an empty list is not {page}")

    def agent(self, token: str) -> str:
        """A new agent."""
        self.title("An agent")
        answer = self.world.send(
            Request("POST", self._url("agents"), {**_AGENT, "config": self.world.config}, token=token)
        )
        expect_status(answer, 201)
        return str(answer.body["agent"]["agent_id"])

    def run(self, token: str, agent_id: str) -> dict[str, Any]:
        """A run of it, at once, waited for."""
        self.title("A run of it, at once")
        body = {"agent_id": agent_id, "inputs": {"message": _MESSAGE}}
        answer = self.world.send(Request("POST", self._url("runs"), body, {"Prefer": "wait=25"}, token))
        expect(answer.status in {201, 202}, f"expected 201 or 202, got {answer.status}")
        run = answer.body["run"]
        if answer.status == 202:
            run = self._finished(token, run["run_id"])
        expect(run["status"] == "completed", f"the run is {run['status']}: {run.get('error')}")
        output: Mapping[str, Any] = run.get("output") or {}
        expect(bool(output.get("message")), "the run has no answer")
        self.note(f"answered: {output['message']}")
        return run

    def ledger(self, run: Mapping[str, Any]) -> Item:
        """The run's usage in the table, once; gives back the item."""
        self.title("Its usage, in the table")
        found = self._wait(self.world.scan, until=lambda items: bool(_of_run(items, run)))
        self.world.show_scan(_of_run(found, run) or found[:1])
        items = _of_run(found, run)
        expect(len(items) == len(_calls_of(run)), f"{len(items)} items of the run, and {len(_calls_of(run))} calls")
        self._same("the table", sum_of([counts_of_item(item) for item in items]), run["usage"])
        return items[0]

    def events(self, token: str, run: Mapping[str, Any]) -> None:
        """The same numbers from the API's list of usage events."""
        self.title("The same, from the API")
        request = Request("GET", f"{self._url('usage/events')}", token=token)
        self._wait(lambda: self.world.ask(request), until=lambda answer: bool(_events_of(answer, run)))
        answer = self.world.send(request)
        expect_status(answer, 200)
        counted = sum_of([counts_of(event["meters"]) for event in _events_of(answer, run)])
        self._same("usage/events", counted, run["usage"])

    def daily(self, token: str, *, day: date) -> None:
        """The day's counter, and the ledger's sum of that day: the same."""
        self.title("The day's counter")
        url = f"{self._url('usage/daily')}?from={day}&to={day + timedelta(days=1)}"
        request = Request("GET", url, token=token)

        def both() -> tuple[Counts, Counts]:
            return _of_day(self.world.ask(request), day), _ledger_of_day(self.world.scan(), day)

        counter, ledger = self._wait(both, until=lambda seen: seen[0] == seen[1])
        expect_status(self.world.send(request), 200)
        expect(counter == ledger, f"usage/daily has {said(counter)}; the ledger {said(ledger)}")
        self.note(f"usage/daily and the sum of the ledger say the same: {said(counter)}")

    def cost(self, token: str) -> None:
        """What the tenant's month costs so far: lines that add up, of the hours that are closed."""
        self.title("Cost so far")
        answer = self.world.send(Request("GET", self._url("billing/usage"), token=token))
        expect_status(answer, 200)
        bill = answer.body["usage"]["so_far"]
        added = sum(line["amount_cents"] for line in bill["lines"])
        expect(added == bill["amount_cents"], f"the lines are {added} cents together, the bill {bill['amount_cents']}")
        self.note(
            f"{bill['amount_cents']} cents, for hours that are closed; the one that runs is added when it is over"
        )

    def _finished(self, token: str, run_id: str) -> dict[str, Any]:
        request = Request("GET", self._url(f"runs/{run_id}"), token=token)
        final = {"completed", "failed", "cancelled"}
        answer = self._wait(lambda: self.world.ask(request), until=lambda seen: seen.body["run"]["status"] in final)
        return answer.body["run"]

    def _same(self, where: str, counted: Counts, usage: Mapping[str, Any]) -> None:
        wanted = counts_of(usage)
        expect(counted == wanted, f"{where} has {said(counted)}; the run used {said(wanted)}")
        self.note(f"{where} has the numbers of the run: {said(counted)}")

    def _wait(self, look: Callable[[], T], *, until: Callable[[T], bool]) -> T:
        """Look again and again, until it is as wanted or the patience is over; gives back what was seen last."""
        end = self.world.now() + _PATIENCE_S
        while not until(seen := look()) and self.world.now() < end:
            self.world.pause()
        return seen

    def _url(self, path: str) -> str:
        return f"{self.world.api}/v1/tenants/{self.world.tenant}/{path}"


def expect(truth: bool, otherwise: str) -> None:  # noqa: FBT001 — it reads as a sentence
    """Go on only if something is so.

    Raises:
        WalkFailed: it is not.
    """
    if not truth:
        raise WalkFailed(otherwise)


def expect_status(answer: Answer, status: int) -> None:
    """Go on only with this status."""
    expect(answer.status == status, f"expected {status}, got {answer.status}: {answer.body}")


def counts_of(meters: Mapping[str, Any], names: Sequence[str] = OF_RUN) -> Counts:
    """The numbers that are compared."""
    return {name: int(meters.get(name) or 0) for name in names}


def counts_of_item(item: Item, names: Sequence[str] = OF_RUN) -> Counts:
    """The same of an item in DynamoDB's own form."""
    return counts_of({name: item.get(name, {}).get("N", 0) for name in names}, names)


def sum_of(counts: Sequence[Counts]) -> Counts:
    """Several counts together."""
    return {name: sum(count[name] for count in counts) for name in (counts[0] if counts else ())}


def said(counts: Counts) -> str:
    """Counts in one line; what is zero is left out."""
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "nothing"


def _of_run(items: Sequence[Item], run: Mapping[str, Any]) -> list[Item]:
    return [item for item in items if item.get("runId", {}).get("S") == run["run_id"]]


def _calls_of(run: Mapping[str, Any]) -> list[Any]:
    return [call for attempt in run["attempts"] for call in attempt["calls"]]


def _events_of(answer: Answer, run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if answer.status != 200:
        return []
    return [event for event in answer.body["events"] if event["run_id"] == run["run_id"]]


def _of_day(answer: Answer, day: date) -> Counts:
    rows: list[dict[str, Any]] = answer.body["daily"] if answer.status == 200 else []
    return sum_of([counts_of(row["meters"], OF_LEDGER) for row in rows if row["date"] == day.isoformat()])


def _ledger_of_day(items: Sequence[Item], day: date) -> Counts:
    of_day = [item for item in items if item.get("timestamp", {}).get("S", "").startswith(day.isoformat())]
    return sum_of([counts_of_item(item, OF_LEDGER) for item in of_day])
