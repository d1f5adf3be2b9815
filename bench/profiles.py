"""CPU time of a waited run in its two functions, by package, under a profiler."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.mesh import MeasuredMesh
from services.runs.partitions import SLICE
from shared.storage.items import Item, Key, item_from_wire, item_to_wire
from shared.tenancy.claims import Claims
from shared.tenancy.permissions import Role

_PROFILED = Path(__file__).with_name("profiled.py")
_CALLS = 30
_UNUSED_FUNCTION = "ainexus-local-api"
"""A function that is not a worker, so that the run is left to the profiled one."""


def by_package(mesh: MeasuredMesh) -> dict[str, dict[str, float]]:
    """Return the CPU ms of the api and the worker by package.

    The profiler slows down both, and small functions most.
    """
    agent_id = mesh.agent(model="gpt-4")
    code_bundles = mesh.bundles()
    api, environ = code_bundles["runs-api"]
    posted = _profiled(
        mesh,
        api,
        {**environ, "WORKER_FUNCTION_NAME": _UNUSED_FUNCTION},
        "runs-api",
        [_post(agent_id)] * _CALLS,
    )
    runs = [json.loads(response["body"])["run"]["run_id"] for response in posted["answers"]]
    worker, environ = code_bundles["runs-worker"]
    events = [{"run": _written(mesh, run_id)} for run_id in runs]
    executed = _profiled(mesh, worker, environ, "runs-worker", events)
    return {"runs-api": posted["ms"], "runs-worker": executed["ms"]}


def _written(mesh: MeasuredMesh, run_id: str) -> Item:
    """Return the run as the api function passes it to the worker."""
    key = item_to_wire(Key(SLICE.key("demo-org", "RUN", run_id), "RUN").attributes)
    found = mesh.target.clients.dynamodb.get_item(TableName=mesh.target.outputs["EntitiesTableName"], Key=key)
    return item_from_wire(found.get("Item", {}))


def _profiled(
    mesh: MeasuredMesh, bundle: Path, environ: Mapping[str, str], function: str, events: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    command = [str(mesh.target.mesh.home.engine_python), "-P", str(_PROFILED), mesh.handler(function)]
    done = subprocess.run(  # noqa: S603 — our own program
        command,
        env={**environ, "PYTHONPATH": str(bundle)},
        cwd=bundle,
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _post(agent_id: str) -> dict[str, Any]:
    """Return a request as the gateway passes it to a function."""
    caller = Claims("user:bench", Role.TENANT_ADMIN, "demo-org").to_context()
    return {
        "resource": "/v1/tenants/{tenant_id}/runs",
        "path": "/v1/tenants/demo-org/runs",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json", "Prefer": "wait=25"},
        "multiValueHeaders": {"Content-Type": ["application/json"], "Prefer": ["wait=25"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"tenant_id": "demo-org"},
        "requestContext": {"requestId": "bench", "authorizer": caller, "stage": "local"},
        "body": json.dumps({"agent_id": agent_id, "inputs": {"message": "Hello, world! This is a test."}}),
        "isBase64Encoded": False,
    }
