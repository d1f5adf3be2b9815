"""One client of the mixed load, which retries as a well-behaved client does."""

import random
import time
import urllib.error
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

from cli.api import ApiResponse
from tests.mesh import PLATFORM_ADMIN, Mesh

RETRIED = frozenset({429, 500, 502, 503, 504})
COUNTED = frozenset({"accepted", "duplicate"})
"""The results of reported events that are in the ledger."""
MAX_TRIES = 30
WAIT_S = 10
_SHARES = {"queued": 40, "waited": 20, "reported": 10, "cancelled": 10, "read": 15, "project": 5}
"""Percent of the requests."""


class GaveUp(Exception):
    """A request was not accepted in any try."""


@dataclass
class Accepted:
    """Everything that the API has accepted from the clients of one tenant."""

    runs: list[str] = field(default_factory=list[str])
    usage_tokens: int = 0
    """Input tokens reported with `POST usage/events`."""
    cancels: list[str] = field(default_factory=list[str])
    statuses: Counter[int] = field(default_factory=Counter[int])
    """Responses by status; 0 counts connections without a response."""
    slowest_s: float = 0.0
    gave_up: list[str] = field(default_factory=list[str])


@dataclass
class Client:
    """Sends one request after the other for one tenant."""

    mesh: Mesh
    tenant_id: str
    agent_id: str
    seed: int
    accepted: Accepted = field(default_factory=Accepted)

    def run_until(self, deadline: float) -> Accepted:
        """Send requests until the monotonic clock passes the deadline."""
        rng = random.Random(self.seed)  # noqa: S311 — a reproducible choice, nothing secret
        steps: dict[str, Callable[[random.Random], object]] = {
            "queued": self._submit,
            "waited": self._submit_and_wait,
            "reported": self._report_usage,
            "cancelled": self._cancel,
            "read": self._read,
            "project": self._make_project,
        }
        while time.monotonic() < deadline:
            [name] = rng.choices(list(_SHARES), weights=list(_SHARES.values()))
            try:
                steps[name](rng)
            except GaveUp as error:
                self.accepted.gave_up.append(f"{name}: {error}")
        return self.accepted

    def _submit(self, rng: random.Random, *, delay_ms: int = 20) -> str:
        message = f"soak [[tokens {rng.randint(5, 60)}]] [[delay {delay_ms}]]"
        body = {"agent_id": self.agent_id, "inputs": {"message": message}}
        run_id: str = self._post("/runs", body)["run"]["run_id"]
        self.accepted.runs.append(run_id)
        return run_id

    def _submit_and_wait(self, rng: random.Random) -> None:
        body = {"agent_id": self.agent_id, "inputs": {"message": f"soak [[tokens {rng.randint(5, 30)}]]"}}
        answer = self._post("/runs", body, headers={"Prefer": f"wait={WAIT_S}"})
        self.accepted.runs.append(answer["run"]["run_id"])

    def _cancel(self, rng: random.Random) -> None:
        run_id = self._submit(rng, delay_ms=200)
        self._send("PATCH", f"/runs/{run_id}", {"status": "cancelled"}, expected=frozenset({200, 202, 409}))
        self.accepted.cancels.append(run_id)

    def _report_usage(self, rng: random.Random) -> None:
        events: list[dict[str, Any]] = [
            {
                "id": str(uuid.UUID(int=rng.getrandbits(128))),
                "source": "soak",
                "type": "model.call",
                "time": datetime.now(UTC).isoformat(),
                "data": {"meters": {"tokens_in": rng.randint(1, 50)}, "model": "soak-model"},
            }
            for _ in range(rng.randint(1, 20))
        ]
        body = self._post("/usage/events", {"events": events}, expected=frozenset({200}))
        statuses: dict[str, str] = {result["id"]: result["status"] for result in body["results"]}
        self.accepted.usage_tokens += sum(
            event["data"]["meters"]["tokens_in"] for event in events if statuses[event["id"]] in COUNTED
        )
        if refused := [status for status in statuses.values() if status not in COUNTED]:
            raise GaveUp(refused[0])

    def _read(self, rng: random.Random) -> None:
        path = rng.choice(("/runs?limit=20", "/agents", "/usage/daily", "/billing/usage", "/audit?limit=10"))
        self._send("GET", path, None, expected=frozenset({200}))

    def _make_project(self, rng: random.Random) -> None:
        created = self._post("/projects", {"name": f"soak {rng.randint(1, 10**9)}"})
        self._send("DELETE", f"/projects/{created['project']['project_id']}", None, expected=frozenset({204, 404}))

    def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] = {},
        expected: frozenset[int] = frozenset({201, 202}),
    ) -> Any:  # noqa: ANN401 — the body of a response
        key = {"Idempotency-Key": str(uuid.uuid4()), **headers}
        return self._send("POST", path, body, headers=key, expected=expected).body

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        expected: frozenset[int],
        headers: Mapping[str, str] = {},
    ) -> ApiResponse:
        """Send the same request again until it has an expected answer.

        Raises:
            GaveUp: it has another answer that no retry changes, or too many tries failed.
        """
        answer: ApiResponse | None = None
        for attempt in range(MAX_TRIES):
            answer = self._once(method, path, body, headers)
            if answer is None or answer.status in RETRIED or _is_still_running(answer):
                time.sleep(min(0.1 * 2**attempt, 5))
                continue
            if answer.status in expected:
                return answer
            break
        msg = f"{method} {path} {answer and answer.reason}"
        raise GaveUp(msg)

    def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> ApiResponse | None:
        began = time.monotonic()
        try:
            answer = self.mesh.call(
                method, f"/v1/tenants/{self.tenant_id}{path}", body, user=PLATFORM_ADMIN, headers=headers
            )
        except (urllib.error.URLError, HTTPException, OSError):
            answer = None
        self.accepted.statuses[answer.status if answer else 0] += 1
        self.accepted.slowest_s = max(self.accepted.slowest_s, time.monotonic() - began)
        return answer


def _is_still_running(answer: ApiResponse) -> bool:
    """Whether the first request with this Idempotency-Key is still being carried out."""
    return answer.status == 409 and "Idempotency" in str(answer.body)
