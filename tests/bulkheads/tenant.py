"""A tenant of the suite, and its everyday work, whose results no attack may change."""

import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cli.api import ApiResponse
from shared.plans import Plan
from tests.journeys.steps import wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh

FINAL = frozenset({"completed", "failed", "cancelled"})
PATIENCE_S = 120
_RUNS = 3


@dataclass
class Tenant:
    """A tenant with one agent."""

    mesh: Mesh
    tenant_id: str
    agent_id: str = ""

    @classmethod
    def create(cls, mesh: Mesh, name: str, *, plan: Plan = Plan.PRO) -> "Tenant":
        """Create a tenant whose id begins with the name."""
        tenant = cls(mesh, f"{name}-{uuid.uuid4().hex[:8]}")
        body = {"tenant_id": tenant.tenant_id, "name": name, "plan": plan.value}
        created = mesh.call("POST", "/v1/admin/tenants", body, user=PLATFORM_ADMIN)
        assert created.status == 201, created
        tenant.agent_id = tenant.create_agent(model="gpt-4")
        return tenant

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> ApiResponse:
        """Send a request below the tenant's path. An underscore in a header's name means a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.mesh.call(method, f"/v1/tenants/{self.tenant_id}{path}", body, user=PLATFORM_ADMIN, headers=named)

    def operate(self, method: str, path: str = "", body: Mapping[str, Any] | None = None) -> ApiResponse:
        """Send an operator's request for the tenant."""
        return self.mesh.call(method, f"/v1/admin/tenants/{self.tenant_id}{path}", body, user=PLATFORM_ADMIN)

    def create_agent(self, **config: Any) -> str:  # noqa: ANN401 — any field of a config
        """Create an agent and return its id."""
        answer = self.call("POST", "/agents", {"name": "A", "type": "conversational", "config": config})
        assert answer.status == 201, answer
        return answer.body["agent"]["agent_id"]

    def submit(self, message: str, *, agent_id: str = "", wait_s: int = 0, **fields: Any) -> ApiResponse:  # noqa: ANN401 — of a run
        """Submit a run."""
        body = {"agent_id": agent_id or self.agent_id, "inputs": {"message": message}, **fields}
        return self.call("POST", "/runs", body, **({"Prefer": f"wait={wait_s}"} if wait_s else {}))

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run."""
        answer = self.call("GET", f"/runs/{run_id}")
        assert answer.status == 200, answer
        return answer.body["run"]

    def final(self, run_id: str, *, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until a run has ended and return it."""

        def ended() -> dict[str, Any] | None:
            run = self.run(run_id)
            return run if run["status"] in FINAL else None

        return wait_for(ended, description=f"{run_id} of {self.tenant_id} ends", timeout_s=patience_s)


@dataclass
class Work:
    """The results of a victim's everyday work."""

    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """The results, which are the same each time."""
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    """The duration of each step."""


def work(tenant: Tenant) -> Work:
    """Run agents, wait for runs, list them, read usage and billing, and return the results."""
    done = Work()
    with _timed(done, "waited"):
        waited = [tenant.submit(f"work {number} [[tokens 20]]", wait_s=20) for number in range(_RUNS)]
    done.facts["waited"] = sorted({(answer.status, _spent(answer.body["run"])) for answer in waited})
    with _timed(done, "queued"):
        queued = [tenant.submit(f"work {number} [[tokens 20]]") for number in range(_RUNS)]
        ended = [tenant.final(answer.body["run"]["run_id"]) for answer in queued]
    done.facts["queued"] = sorted({(answer.status, _spent(run)) for answer, run in zip(queued, ended, strict=True)})
    for name, path in (("list", "/runs?limit=10"), ("usage", "/usage/daily"), ("billing", "/billing/usage")):
        with _timed(done, name):
            done.facts[name] = tenant.call("GET", path).status
    with _timed(done, "operators"):
        done.facts["operators"] = _all_tenants(tenant.mesh)
    return done


def work_together(tenants: list[Tenant]) -> list[Work]:
    """Do the work of all tenants concurrently."""
    with ThreadPoolExecutor(len(tenants)) as pool:
        return list(pool.map(work, tenants))


def _spent(run: Mapping[str, Any]) -> tuple[str, int, int]:
    return run["status"], run["usage"]["tokens_in"], run["usage"]["tokens_out"]


def _all_tenants(mesh: Mesh) -> int:
    """Read all pages of the operators' list of tenants and return the status of the last one."""
    token = ""
    while True:
        answer = mesh.call("GET", f"/v1/admin/tenants?limit=100{token}", user=PLATFORM_ADMIN)
        if answer.status != 200 or not answer.body["pagination"]["hasMore"]:
            return answer.status
        token = f"&next_token={answer.body['pagination']['nextToken']}"


class _timed:  # noqa: N801 — it is used like a statement
    def __init__(self, done: Work, name: str) -> None:
        self._done, self._name = done, name

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._done.seconds[self._name] = time.monotonic() - self._began
