"""Our side: a local mesh that runs functions as processes, with their CPU time and their AWS calls."""

import json
import os
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import machine
from cli.api import ApiRequest, send
from cli.password import new_password
from cli.seed import seed_mesh
from cli.sign_in import sign_in
from cli.target import Target
from infra.local import record
from infra.local.health import free_port
from infra.local.paths import ROOT

_ADMIN = "admin@demo-org.com"
_TIMEOUT_S = 60
_OWN_CALL = "dynamodb Scan"
"""The AWS operation of this program, which is excluded from the calls of functions."""


@dataclass(frozen=True)
class MeasuredMesh:
    """A deployed mesh."""

    target: Target
    token: str

    @property
    def tenant_url(self) -> str:
        """The URL prefix of the tenant's routes."""
        return f"{self.target.outputs['ApiEndpoint']}/v1/tenants/demo-org"

    def agent(self, **config: Any) -> str:  # noqa: ANN401 — any field of a config
        """Create an agent and return its id."""
        body = {"name": "Bench", "type": "conversational", "config": config}
        response = send(ApiRequest("POST", f"{self.tenant_url}/agents", body, token=self.token))
        return str(response.body["agent"]["agent_id"])

    def wait_until_counted(self, agent_id: str, runs: int) -> None:
        """Wait until the ledger contains all runs and the functions are idle."""
        until, before = time.monotonic() + _TIMEOUT_S, Counter[str]()
        while self._counted(agent_id) < runs or before != self.cpu_ms():
            if time.monotonic() > until:
                msg = "the runs are not counted"
                raise RuntimeError(msg)
            before = self.cpu_ms()
            time.sleep(1)

    def _counted(self, agent_id: str) -> int:
        """Return the number of calls in the ledger.

        It uses a scan, which no function does, so that `calls` can exclude it.
        """
        pages = self.target.clients.dynamodb.get_paginator("scan").paginate(
            TableName=self.target.outputs["UsageTableName"],
            FilterExpression="agentId = :agent",
            ExpressionAttributeValues={":agent": {"S": agent_id}},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def functions(self) -> dict[int, str]:
        """Return the names of the functions by process id."""
        found = {pid: machine.variables(pid).get("AWS_LAMBDA_FUNCTION_NAME", "") for pid in self._processes()}
        return {pid: name.removeprefix("ainexus-local-") for pid, name in found.items() if name}

    def cpu_ms(self) -> Counter[str]:
        """Return the CPU time of each function until now."""
        times: Counter[str] = Counter()
        for pid, name in self.functions().items():
            times[name] += int(machine.cpu_ms([pid]))
        return times

    def calls(self) -> Counter[str]:
        """Return the number of AWS calls that functions have made over HTTP until now, by operation."""
        with urllib.request.urlopen(f"{self.target.outputs['EngineEndpoint']}/_ainexus/calls") as response:  # noqa: S310 — our own engine
            found = Counter[str](json.load(response))
        del found[_OWN_CALL]
        return found

    def bundles(self) -> dict[str, tuple[Path, Mapping[str, str]]]:
        """Return the unpacked code of each function and its environment."""
        found = {name: machine.variables(pid) for pid, name in self.functions().items()}
        return {
            name: (Path(configuration["LAMBDA_TASK_ROOT"]), configuration)
            for name, configuration in sorted(found.items())
        }

    def handler(self, function: str) -> str:
        """Return the module of a function's handler."""
        configuration = self.target.clients.functions.get_function_configuration(
            FunctionName=f"ainexus-local-{function}"
        )
        return str(configuration.get("Handler", "")).rpartition(".")[0].replace("/", ".")

    def _processes(self) -> list[int]:
        recorded = record.read(self.target.mesh.home.engine_record)
        return machine.children(recorded.pid) if recorded else []


@contextmanager
def deployed() -> Generator[MeasuredMesh]:
    """Deploy a separate mesh for measurements, beside any other local mesh, and stop it afterwards.

    `AINEXUS_BENCH_HOME` names the home of a mesh to reuse; that mesh stays up.
    """
    named = os.environ.get("AINEXUS_BENCH_HOME")
    home = Path(named) if named else ROOT / ".ainexus" / "bench"
    recorded = record.read(home / "engine.json")
    port = recorded.port if recorded and recorded.is_running else free_port()
    environ = {**os.environ, "AINEXUS_HOME": str(home), "AINEXUS_PORT": str(port), "AINEXUS_WARM_S": "3600"}
    target = Target("local", environ=environ)
    target.mesh.up()
    try:
        seed_mesh(target, temporary_password=new_password())
        yield MeasuredMesh(target, sign_in(target, _ADMIN).token)
    finally:
        if not named:
            target.mesh.down()


@contextmanager
def upstream() -> Generator[str]:
    """Run the local provider while the block lasts, and yield its base URL."""
    port = free_port()
    started = subprocess.Popen([str(ROOT / ".venv/bin/python"), "-m", "bench.upstream", str(port)], cwd=ROOT)  # noqa: S603 — our own program
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        started.terminate()
        started.wait()
