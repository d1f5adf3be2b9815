"""What journeys do again and again: make an agent, run it, wait for facts."""

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
_PAUSE_S = 0.1
COUNTED = tuple(meter.value for meter in OF_CALLS if meter is not Meter.REQUESTS)


class NeverHappened(AssertionError):
    """What was waited for did not happen."""


def wait_for(found: Callable[[], T | None], *, what: str, patience_s: float = 60) -> T:
    """The first thing that is found and not None or False."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(_PAUSE_S)
    raise NeverHappened(what)


@dataclass(frozen=True)
class Steps:
    """Steps in the tenant `demo-org`."""

    mesh: Mesh

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **options: Any) -> ApiResponse:  # noqa: ANN401 — those of Mesh.call
        """Ask the API below the tenant's path."""
        return self.mesh.call(method, f"{TENANT}{path}", body, **options)

    def agent(self, **config: Any) -> str:  # noqa: ANN401 — any field of a config
        """A new agent."""
        body = {"name": "Journey", "type": "conversational", "config": {"model": "gpt-4", **config}}
        answer = self.call("POST", "/agents", body)
        assert answer.status == 201, answer
        return answer.body["agent"]["agent_id"]

    def create_project(self, name: str, **options: Any) -> ApiResponse:  # noqa: ANN401 — those of Mesh.call
        """Ask for a new project."""
        return self.call("POST", "/projects", {"name": name}, **options)

    def submit(self, agent_id: str, message: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 — those of Mesh.call
        """A run in the background, or a waited one."""
        answer = self.call("POST", "/runs", {"agent_id": agent_id, "inputs": {"message": message}}, **options)
        assert answer.status in {201, 202}, answer
        return answer.body["run"]

    def submit_all(self, agent_id: str, messages: Iterable[str]) -> list[str]:
        """Runs in the background, eight at a time; gives their ids."""
        self.mesh.token(ADMIN)
        with ThreadPoolExecutor(CLIENTS) as pool:
            submitted = [pool.submit(self.submit, agent_id, message) for message in messages]
        return [done.result()["run_id"] for done in submitted]

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as it is now."""
        return self.call("GET", f"/runs/{run_id}").body["run"]

    def final(self, run_id: str, *, patience_s: float = 60) -> dict[str, Any]:
        """A run when it has ended."""

        def ended() -> dict[str, Any] | None:
            run = self.run(run_id)
            return run if run["status"] in {"completed", "failed", "cancelled"} else None

        return wait_for(ended, what=f"{run_id} ends", patience_s=patience_s)

    def usage_of(self, agent_id: str) -> dict[str, int]:
        """What the counters say of an agent."""
        rows = self.call("GET", "/usage/daily?group_by=agent").body["daily"]
        meters = [row["meters"] for row in rows if row["agent_id"] == agent_id]
        return {meter: sum(row[meter] for row in meters) for meter in ("requests", *COUNTED)}

    def ledger_of(self, agent_id: str) -> Iterator[dict[str, Any]]:
        """All entries of the ledger for an agent, page by page."""
        token = ""
        while True:
            page = self.call("GET", f"/usage/events?limit=100{token}").body
            yield from (event for event in page["events"] if event["agent_id"] == agent_id)
            if not page["pagination"]["hasMore"]:
                return
            token = f"&next_token={page['pagination']['nextToken']}"

    def assert_counted_once(self, agent_id: str, runs: list[dict[str, Any]]) -> None:
        """The counters and the ledger say what the runs say, and nothing more comes."""
        expected = {"requests": len(runs), **{meter: sum(run["usage"][meter] for run in runs) for meter in COUNTED}}
        wait_for(lambda: self.usage_of(agent_id)["requests"] >= len(runs), what="every run is counted")
        wait_for(lambda: self.is_quiet(), what="all queues are empty")
        assert self.usage_of(agent_id) == expected
        entries = list(self.ledger_of(agent_id))
        ledger = {meter: sum(entry["meters"][meter] for entry in entries) for meter in expected}
        assert ledger == expected

    def is_quiet(self) -> bool:
        """Whether no message waits to be received in any queue."""
        return all(not waiting for name, waiting in self.messages().items() if not name.endswith("-dead-letters"))

    def dead_letters(self) -> dict[str, int]:
        """The queues of dead letters that are not empty."""
        letters = {name: waiting for name, waiting in self.messages().items() if name.endswith("-dead-letters")}
        return {name: waiting for name, waiting in letters.items() if waiting}

    def messages(self) -> dict[str, int]:
        """How many messages wait, by queue of the mesh."""
        sqs = self.mesh.clients.sqs
        counts: dict[str, int] = {}
        for url in sqs.list_queues(QueueNamePrefix="ainexus-").get("QueueUrls", []):
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            counts[url.rpartition("/")[2]] = int(attributes["Attributes"]["ApproximateNumberOfMessages"])
        return counts
