"""The state of the mesh after a soak: whether everything that was accepted is there, once."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from infra.local.paths import ROOT
from tests.journeys.steps import Steps
from tests.mesh import PLATFORM_ADMIN, Mesh
from tests.soak.client import Accepted

FINAL = frozenset({"completed", "failed", "cancelled"})
_POLL_S = 2


def settle(mesh: Mesh, accepted: dict[str, Accepted], *, patience_s: float) -> dict[str, Any]:
    """Wait until all runs have ended, then count what is lost, stuck or different.

    Returns:
        `lost`: accepted runs that do not exist; `stuck`: runs that have not ended in time; `failed`: errors of failed
        runs by code; `drift`: rows of `ainexus reconcile`; `usage_missing`: reported tokens that the ledger lacks, or
        has too much of (negative); `dead_letters` before and `dead_letters_left` after they were sent again.
    """
    found = {tenant_id: _wait_for_runs(mesh, tenant_id, of.runs, patience_s) for tenant_id, of in accepted.items()}
    runs = [run for by_id in found.values() for run in by_id.values()]
    steps = Steps(mesh)
    _until(steps.queues_are_empty, patience_s=patience_s)
    dead_letters = steps.dead_letters()
    if dead_letters:
        _ainexus(mesh, "dead-letters", "redrive", "--all")
        time.sleep(15)
        _until(steps.queues_are_empty, patience_s=patience_s)
    missing = {tenant_id: of.usage_tokens - _reported_tokens(mesh, tenant_id) for tenant_id, of in accepted.items()}
    return {
        "runs": len(runs),
        "lost": sum(run is None for run in runs),
        "stuck": sum(run is not None and run["status"] not in FINAL for run in runs),
        "states": dict(Counter(run["status"] for run in runs if run)),
        "failed": dict(Counter(str(run["error"]["code"]) for run in runs if run and run["status"] == "failed")),
        "attempts": dict(Counter(len(run["attempts"]) for run in runs if run)),
        "drift": [row for tenant_id in accepted for row in _drift_of(mesh, tenant_id)],
        "usage_missing": {tenant_id: tokens for tenant_id, tokens in missing.items() if tokens},
        "dead_letters": dead_letters,
        "dead_letters_left": steps.dead_letters(),
    }


def faults_of(verdict: dict[str, Any]) -> list[str]:
    """Return the findings that fail a soak."""
    names = ("lost", "stuck", "drift", "usage_missing", "dead_letters_left", "gave_up")
    return [f"{name}: {verdict[name]}" for name in names if verdict[name]]


def _wait_for_runs(
    mesh: Mesh, tenant_id: str, run_ids: Sequence[str], patience_s: float
) -> dict[str, dict[str, Any] | None]:
    deadline = time.monotonic() + patience_s
    found: dict[str, dict[str, Any] | None] = {}
    left = list(run_ids)
    while left:
        found |= {run_id: _run(mesh, tenant_id, run_id) for run_id in left}
        left = [run_id for run_id in left if (run := found[run_id]) and run["status"] not in FINAL]
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_S if left else 0)
    return found


def _run(mesh: Mesh, tenant_id: str, run_id: str) -> dict[str, Any] | None:
    answer = mesh.call("GET", f"/v1/tenants/{tenant_id}/runs/{run_id}", user=PLATFORM_ADMIN)
    return answer.body["run"] if answer.status == 200 else None


def _reported_tokens(mesh: Mesh, tenant_id: str) -> int:
    """Sum the reported input tokens over the tenant's counters of these two days."""
    rows = mesh.call("GET", f"/v1/tenants/{tenant_id}/usage/daily?group_by=model", user=PLATFORM_ADMIN).body["daily"]
    return sum(row["meters"]["tokens_in"] for row in rows if row["model"] == "soak-model")


def _drift_of(mesh: Mesh, tenant_id: str) -> Iterator[dict[str, Any]]:
    yield from json.loads(_ainexus(mesh, "reconcile", "--tenant", tenant_id, "--json"))["drift"]


def _ainexus(mesh: Mesh, *arguments: str) -> str:
    command = [str(ROOT / "ainexus"), *arguments]
    return subprocess.run(command, env=mesh.environ, capture_output=True, text=True, check=False).stdout  # noqa: S603 — our own


def _until(condition: Callable[[], bool], *, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
