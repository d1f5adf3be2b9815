"""Run a soak and print its figures; the exit code is 0 only when nothing was lost, stuck, doubled or unexplained."""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from shared.plans import Plan
from tests.mesh import PLATFORM_ADMIN, Mesh, running_mesh
from tests.soak.client import Accepted, Client
from tests.soak.processes import Killer
from tests.soak.verdict import faults_of, settle

CLIENTS, TENANTS = 12, 3


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--kill-every", type=float, default=3, metavar="SECONDS", help="0 kills nothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=600, metavar="SECONDS", help="until the last run has ended")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, running_mesh(lambda: Path(folder)) as mesh:
        verdict = soak(
            mesh,
            minutes=asked.minutes,
            kill_every_s=asked.kill_every,
            seed=asked.seed,
            patience_s=asked.patience,
        )
    print(json.dumps(verdict, indent=2))  # noqa: T201 — a program
    faults = faults_of(verdict)
    print("PASSED" if not faults else "\n".join(["FAILED", *faults]), file=sys.stderr)  # noqa: T201 — as above
    return bool(faults)


def soak(mesh: Mesh, *, minutes: float, kill_every_s: float, seed: int, patience_s: float) -> dict[str, Any]:
    """Load the mesh, kill function processes meanwhile, and return the figures."""
    agents = [_tenant_with_agent(mesh, f"soak-{number}-{int(time.time())}") for number in range(TENANTS)]
    clients = [Client(mesh, *agents[number % TENANTS], seed=seed * 1000 + number) for number in range(CLIENTS)]
    killer = Killer(mesh.target.mesh.home.scratch, every_s=kill_every_s, seed=seed)
    if kill_every_s:
        killer.start()
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(Client.run_until, clients, [began + minutes * 60] * CLIENTS))
    if kill_every_s:
        killer.stop()
    accepted = {
        tenant_id: _together([client.accepted for client in clients if client.tenant_id == tenant_id])
        for tenant_id, _ in agents
    }
    figures = {
        "minutes": minutes,
        "clients": CLIENTS,
        "tenants": TENANTS,
        "kills": sum(killer.killed.values()),
        "killed": dict(killer.killed.most_common()),
        "responses": dict(sorted(sum((of.statuses for of in done), Counter[int]()).items())),
        "slowest_s": round(max(of.slowest_s for of in done), 1),
        "gave_up": [reason for of in done for reason in of.gave_up],
    }
    return {**figures, **settle(mesh, accepted, patience_s=patience_s)}


def _tenant_with_agent(mesh: Mesh, tenant_id: str) -> tuple[str, str]:
    body = {"tenant_id": tenant_id, "name": "Soak", "plan": Plan.ENTERPRISE.value}
    created = mesh.call("POST", "/v1/admin/tenants", body, user=PLATFORM_ADMIN)
    assert created.status == 201, created
    agent = {"name": "Soak", "type": "conversational", "config": {"model": "gpt-4"}}
    made = mesh.call("POST", f"/v1/tenants/{tenant_id}/agents", agent, user=PLATFORM_ADMIN)
    assert made.status == 201, made
    return tenant_id, made.body["agent"]["agent_id"]


def _together(parts: list[Accepted]) -> Accepted:
    return Accepted(
        runs=[run_id for of in parts for run_id in of.runs],
        usage_tokens=sum(of.usage_tokens for of in parts),
        cancels=[run_id for of in parts for run_id in of.cancels],
    )


if __name__ == "__main__":
    sys.exit(main())
