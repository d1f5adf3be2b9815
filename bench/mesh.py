"""Our side: a mesh on this machine with its functions as processes, whose CPU and AWS calls are read."""

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
_PATIENCE_S = 60
_OWN_CALL = "dynamodb Scan"
"""What this program itself calls while it measures."""


@dataclass(frozen=True)
class Mesh:
    """A deployed mesh."""

    target: Target
    token: str

    @property
    def tenant_url(self) -> str:
        """Below it lie the routes of the tenant."""
        return f"{self.target.outputs['ApiEndpoint']}/v1/tenants/demo-org"

    def agent(self, **config: Any) -> str:  # noqa: ANN401 — any field of a config
        """A new agent."""
        body = {"name": "Bench", "type": "conversational", "config": config}
        answer = send(ApiRequest("POST", f"{self.tenant_url}/agents", body, token=self.token))
        return str(answer.body["agent"]["agent_id"])

    def wait_until_counted(self, agent_id: str, runs: int) -> None:
        """Wait until the ledger holds all runs, and the functions have come to rest."""
        until, before = time.monotonic() + _PATIENCE_S, Counter[str]()
        while self._counted(agent_id) < runs or before != self.cpu_ms():
            if time.monotonic() > until:
                msg = "the runs are not counted"
                raise RuntimeError(msg)
            before = self.cpu_ms()
            time.sleep(1)

    def _counted(self, agent_id: str) -> int:
        """Calls in the ledger. It is scanned, as no function ever does, so that this can be told from their calls."""
        pages = self.target.clients.dynamodb.get_paginator("scan").paginate(
            TableName=self.target.outputs["UsageTableName"],
            FilterExpression="agentId = :agent",
            ExpressionAttributeValues={":agent": {"S": agent_id}},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def functions(self) -> dict[int, str]:
        """The processes of functions, by number."""
        found = {pid: machine.variables(pid).get("AWS_LAMBDA_FUNCTION_NAME", "") for pid in self._processes()}
        return {pid: name.removeprefix("ainexus-local-") for pid, name in found.items() if name}

    def cpu_ms(self) -> Counter[str]:
        """CPU time until now, by function."""
        times: Counter[str] = Counter()
        for pid, name in self.functions().items():
            times[name] += int(machine.cpu_ms([pid]))
        return times

    def calls(self) -> Counter[str]:
        """AWS calls of functions over HTTP until now, by operation."""
        with urllib.request.urlopen(f"{self.target.outputs['EngineEndpoint']}/_ainexus/calls") as answer:  # noqa: S310 — our own engine
            found = Counter[str](json.load(answer))
        del found[_OWN_CALL]
        return found

    def bundles(self) -> dict[str, tuple[Path, Mapping[str, str]]]:
        """Where each function's code lies unpacked, and with which variables it runs."""
        found = {name: machine.variables(pid) for pid, name in self.functions().items()}
        return {name: (Path(known["LAMBDA_TASK_ROOT"]), known) for name, known in sorted(found.items())}

    def handler(self, function: str) -> str:
        """The module that a function starts with."""
        known = self.target.clients.functions.get_function_configuration(FunctionName=f"ainexus-local-{function}")
        return str(known.get("Handler", "")).rpartition(".")[0].replace("/", ".")

    def _processes(self) -> list[int]:
        noted = record.read(self.target.mesh.home.engine_record)
        return machine.children(noted.pid) if noted else []


@contextmanager
def deployed() -> Generator[Mesh]:
    """A mesh of the measurements' own, beside any that a person has up; its home can be named to use it again."""
    named = os.environ.get("AINEXUS_BENCH_HOME")
    home = Path(named) if named else ROOT / ".ainexus" / "bench"
    noted = record.read(home / "engine.json")
    port = noted.port if noted and noted.is_running else free_port()
    environ = {**os.environ, "AINEXUS_HOME": str(home), "AINEXUS_PORT": str(port), "AINEXUS_WARM_S": "3600"}
    target = Target("local", environ=environ)
    target.mesh.up()
    try:
        seed_mesh(target, temporary_password=new_password())
        yield Mesh(target, sign_in(target, _ADMIN).token)
    finally:
        if not named:
            target.mesh.down()


@contextmanager
def upstream() -> Generator[str]:
    """The provider of this machine."""
    port = free_port()
    started = subprocess.Popen([str(ROOT / ".venv/bin/python"), "-m", "bench.upstream", str(port)], cwd=ROOT)  # noqa: S603 — our own
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        started.terminate()
        started.wait()
