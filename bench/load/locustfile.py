# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUntypedBaseClass=false, reportUntypedFunctionDecorator=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportUnknownLambdaType=false
# Locust is installed in an environment of its own, where no type checker runs.
"""The simulated users, for locust; `python -m bench.load` starts it."""

import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))

from locust import HttpUser, LoadTestShape, constant_pacing, events, task

from bench.load.stages import stage_at, users_at

_HERE = frozenset({"localhost", "127.0.0.1"})
_TENANT = "/v1/tenants/demo-org"


@events.test_start.add_listener
def refuse_other_hosts(environment, **_: object) -> None:  # noqa: ANN001 — a type of locust
    """Exit if the host is not this machine, the only one that may receive the load."""
    if urlsplit(environment.host).hostname not in _HERE:
        sys.exit(f"{environment.host} is not on this machine.")


@events.request.add_listener
def note(request_type: str, name: str, response_time: float, exception: object, **_: object) -> None:
    """Append one request to the notes, which `python -m bench.load` evaluates."""
    note = {"at": time.time(), "name": f"{request_type} {name}", "ms": response_time, "ok": exception is None}
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(json.dumps(note) + "\n")


class Developer(HttpUser):
    """A user who reads data and sometimes starts a run: one request per second."""

    wait_time = constant_pacing(1)

    def on_start(self) -> None:
        """Authenticate. All users share one account."""
        self.client.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"

    @task(3)
    def list_projects(self) -> None:
        """Read one table."""
        self.client.get(f"{_TENANT}/projects", name="projects")

    @task(2)
    def get_agent(self) -> None:
        """Read a table and the bucket."""
        self.client.get(f"{_TENANT}/agents/{os.environ['AGENT_ID']}", name="agents/{agent_id}")

    @task(2)
    def list_runs(self) -> None:
        """Read a page of 25 runs."""
        self.client.get(f"{_TENANT}/runs", name="runs")

    @task(1)
    def read_usage(self) -> None:
        """Read the usage by day."""
        self.client.get(f"{_TENANT}/usage/daily", name="usage/daily")

    @task(2)
    def run_agent(self) -> None:
        """Start a run and wait for it."""
        body = {"agent_id": os.environ["AGENT_ID"], "inputs": {"message": "Hello, world! This is a test."}}
        self.client.post(f"{_TENANT}/runs", json=body, headers={"Prefer": "wait=25"}, name="runs, waited")


class Stages(LoadTestShape):
    """The number of users in each stage."""

    def tick(self) -> tuple[int, float] | None:
        """Return the required number of users and the spawn rate per second, or None to end the load."""
        seconds = self.get_run_time()
        return (users_at(seconds), 30.0) if stage_at(seconds) else None
