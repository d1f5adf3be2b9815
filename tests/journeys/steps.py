"""Common steps of journeys: create an agent, run it, and wait for a condition."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from cli.api import ApiResponse
from shared.meters import OF_CALLS, Meter
from tests.mesh import ADMIN, Mesh

T = TypeVar("T")

TENANT = "/v1/tenants/demo-org"
CLIENTS = 8
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.1, 0.5
"""The pauses between two looks grow: looking at the mesh keeps it busy."""
_DEAD_LETTERS = "-dead-letters"
COUNTED = tuple(meter.value for meter in OF_CALLS if meter is not Meter.REQUESTS)


class ConditionNotMet(AssertionError):
    """The expected condition was not met in time."""


def wait_for(condition: Callable[[], T | None], *, description: str | Callable[[], str], timeout_s: float = 60) -> T:
    """Return the first result that is truthy.

    Args:
        condition: returns the result, or nothing yet.
        description: the message of a failure, or a function that returns it.
        timeout_s: seconds until the failure.

    Raises:
        ConditionNotMet: no result within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.3, _MAX_PAUSE_S)
    raise ConditionNotMet(description if isinstance(description, str) else description())


@dataclass(frozen=True)
class Steps:
    """Common steps in the tenant `demo-org`."""

    mesh: Mesh

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> ApiResponse:  # noqa: ANN401 — those of Mesh.call
        """Call the API below the tenant's path."""
        return self.mesh.call(method, f"{TENANT}{path}", body, **options)

    def create_agent(self, **config: Any) -> str:  # noqa: ANN401 — any field of a config
        """Create an agent and return its id."""
        body = {"name": "Journey", "type": "conversational", "config": {"model": "gpt-4", **config}}
        response = self.call("POST", "/agents", body)
        assert response.status == 201, response
        return response.body["agent"]["agent_id"]

    def create_project(self, name: str, **options: Any) -> ApiResponse:  # noqa: ANN401 — those of Mesh.call
        """Create a project."""
        return self.call("POST", "/projects", {"name": name}, **options)

    def submit(self, agent_id: str, message: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 — those of Mesh.call
        """Submit a background run or a waited run."""
        response = self.call("POST", "/runs", {"agent_id": agent_id, "inputs": {"message": message}}, **options)
        assert response.status in {201, 202}, response
        return response.body["run"]

    def submit_all(self, agent_id: str, messages: Iterable[str]) -> list[str]:
        """Submit background runs, eight at a time, and return their ids.

        The queue of a tenant is bounded, so on a slow machine a submission waits as `Retry-After` asks.
        """

        def submit(message: str) -> str:
            body = {"agent_id": agent_id, "inputs": {"message": message}}
            while (response := self.call("POST", "/runs", body)).body.get("error") == "TooManyRequests":
                time.sleep(int(response.headers["Retry-After"]))
            assert response.status in {201, 202}, response
            return response.body["run"]["run_id"]

        self.mesh.token(ADMIN)
        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(submit, messages))

    def get_run(self, run_id: str) -> dict[str, Any]:
        """Return the current state of a run."""
        return self.call("GET", f"/runs/{run_id}").body["run"]

    def wait_for_end(self, run_id: str, *, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until a run has ended and return it."""

        def ended() -> dict[str, Any] | None:
            run = self.get_run(run_id)
            return run if run["status"] in {"completed", "failed", "cancelled"} else None

        return wait_for(ended, description=f"{run_id} ends", timeout_s=timeout_s)

    def usage_of(self, agent_id: str) -> dict[str, int]:
        """Return an agent's usage according to the counters."""
        rows = self.call("GET", "/usage/daily?group_by=agent").body["daily"]
        meters = [row["meters"] for row in rows if row["agent_id"] == agent_id]
        return {meter: sum(row[meter] for row in meters) for meter in ("requests", *COUNTED)}

    def ledger_of(self, agent_id: str) -> Iterator[dict[str, Any]]:
        """Yield all ledger entries of an agent, page by page."""
        token = ""
        while True:
            page = self.call("GET", f"/usage/events?limit=100{token}").body
            yield from (event for event in page["events"] if event["agent_id"] == agent_id)
            if not page["pagination"]["hasMore"]:
                return
            token = f"&next_token={page['pagination']['nextToken']}"

    def assert_counted_once(self, agent_id: str, runs: list[dict[str, Any]]) -> None:
        """Assert that counters and ledger agree with the runs once all queues are empty."""
        expected = {"requests": len(runs), **{meter: sum(run["usage"][meter] for run in runs) for meter in COUNTED}}
        wait_for(lambda: self.usage_of(agent_id)["requests"] >= len(runs), description="every run is counted")
        wait_for(lambda: self.queues_are_empty(), description="all queues are empty")
        assert self.usage_of(agent_id) == expected
        entries = list(self.ledger_of(agent_id))
        ledger = {meter: sum(entry["meters"][meter] for entry in entries) for meter in expected}
        assert ledger == expected

    def queues_are_empty(self) -> bool:
        """Return whether no queue, except for dead letters, has a message to receive."""
        return not any(waiting for _, waiting in self._messages(lambda name: not name.endswith(_DEAD_LETTERS)))

    def dead_letters(self) -> dict[str, int]:
        """Return the dead-letter queues that are not empty, with their numbers of messages."""
        letters = self._messages(lambda name: name.endswith(_DEAD_LETTERS))
        return {name: waiting for name, waiting in letters if waiting}

    def _messages(self, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, int]]:
        """Yield the wanted queues of the mesh with their numbers of messages to receive."""
        sqs = self.mesh.clients.sqs
        for url in sqs.list_queues(QueueNamePrefix="ainexus-").get("QueueUrls", []):
            name = url.rpartition("/")[2]
            if is_wanted(name):
                attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
                yield name, int(attributes["Attributes"]["ApproximateNumberOfMessages"])
