"""Where the CPU of a waited run goes inside of its two functions: by package, under a profiler."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.mesh import Mesh
from services.runs.table.items import run_key
from shared.storage.items import Item, item_from_wire, item_to_wire

_PROFILED = Path(__file__).with_name("profiled.py")
_CALLS = 30
_NOBODY = "ainexus-local-api"
"""A function that is no worker and leaves the run to the profiled one."""


def by_package(mesh: Mesh) -> dict[str, dict[str, float]]:
    """CPU ms by package, of the api and of the worker; the profiler makes both slower, and small functions most."""
    agent_id = mesh.agent(model="gpt-4")
    known = mesh.bundles()
    api, environ = known["runs-api"]
    posted = _profiled(
        mesh,
        api,
        {**environ, "WORKER_FUNCTION_NAME": _NOBODY},
        "runs-api",
        [_post(agent_id, audience=environ["USER_POOL_CLIENT_ID"])] * _CALLS,
    )
    runs = [json.loads(answer["body"])["run"]["run_id"] for answer in posted["answers"]]
    worker, environ = known["runs-worker"]
    events = [{"run": _written(mesh, run_id)} for run_id in runs]
    executed = _profiled(mesh, worker, environ, "runs-worker", events)
    return {"runs-api": posted["ms"], "runs-worker": executed["ms"]}


def _written(mesh: Mesh, run_id: str) -> Item:
    """The run as the api function hands it over."""
    key = item_to_wire(run_key("demo-org", run_id).attributes)
    found = mesh.target.clients.dynamodb.get_item(TableName=mesh.target.outputs["EntitiesTableName"], Key=key)
    return item_from_wire(found.get("Item", {}))


def _profiled(
    mesh: Mesh, bundle: Path, environ: Mapping[str, str], function: str, events: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    asked = [str(mesh.target.mesh.home.engine_python), "-P", str(_PROFILED), mesh.handler(function)]
    done = subprocess.run(  # noqa: S603 — our own
        asked,
        env={**environ, "PYTHONPATH": str(bundle)},
        cwd=bundle,
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _post(agent_id: str, *, audience: str) -> dict[str, Any]:
    """A request as the gateway passes it on."""
    claims = {
        "sub": "bench",
        "token_use": "id",
        "aud": audience,
        "custom:tenant_id": "demo-org",
        "custom:role": "tenant_admin",
        "email": "bench@demo-org.com",
    }
    return {
        "resource": "/v1/tenants/{tenant_id}/runs",
        "path": "/v1/tenants/demo-org/runs",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json", "Prefer": "wait=25"},
        "multiValueHeaders": {"Content-Type": ["application/json"], "Prefer": ["wait=25"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"tenant_id": "demo-org"},
        "requestContext": {"requestId": "bench", "authorizer": {"claims": claims}, "stage": "local"},
        "body": json.dumps({"agent_id": agent_id, "inputs": {"message": "Hello, world! This is a test."}}),
        "isBase64Encoded": False,
    }
