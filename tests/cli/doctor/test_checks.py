"""The checks of the doctor, without a mesh."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from cli.doctor import checks
from cli.doctor.checks import Level, compare_clocks
from cli.target import Target
from infra.local.engine import EngineStatus, State
from infra.names import Names

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REQUIRED_VERSION = "1.5.33"


@dataclass
class _FakeHome:
    engine_version: str = REQUIRED_VERSION
    engine_log: Path = Path("engine.log")


@dataclass
class _FakeEngine:
    found: EngineStatus

    def status(self) -> EngineStatus:
        return self.found


@dataclass
class _FakeMesh:
    engine: _FakeEngine
    current: bool = True
    home: _FakeHome = field(default_factory=_FakeHome)

    def is_current(self) -> bool:
        return self.current


@dataclass
class _LocalTarget:
    """A local target with this mesh."""

    mesh: _FakeMesh
    is_local: bool = True
    environ: dict[str, str] = field(default_factory=dict[str, str])


def _target(state: State, *, version: str = REQUIRED_VERSION, current: bool = True, **environ: str) -> Target:
    status = EngineStatus(state, 4566, version, 17)
    return cast("Target", _LocalTarget(_FakeMesh(_FakeEngine(status), current), environ=environ))


@contextmanager
def _taken_port() -> Generator[int]:
    """Yield a port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


class TestEngineCheck:
    def test_accepts_a_running_engine(self) -> None:
        assert [one.level for one in checks.engine(_target(State.RUNNING))] == [Level.OK]

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (_target(State.RUNNING, version="1.0.0"), "The engine is 1.0.0, but this checkout needs 1.5.33."),
            (_target(State.DIED), "The engine has ended without being stopped."),
            (_target(State.UNRESPONSIVE), "The engine (pid 17) runs but does not respond."),
        ],
        ids=["another version", "dead", "silent"],
    )
    def test_reports_an_engine_that_is_broken(self, target: Target, message: str) -> None:
        assert [(one.level, one.message) for one in checks.engine(target)] == [(Level.TROUBLE, message)]

    def test_reports_a_port_that_another_program_uses(self) -> None:
        with _taken_port() as port:
            (found,) = checks.engine(_target(State.STOPPED, AINEXUS_PORT=str(port)))
        assert found.message == f"Another program listens on port {port}."

    def test_reports_a_stopped_engine(self) -> None:
        with _taken_port() as port:
            pass
        (found,) = checks.engine(_target(State.STOPPED, AINEXUS_PORT=str(port)))
        assert (found.message, found.advice) == ("The engine does not run.", "./ainexus up")


class TestCheckoutCheck:
    @pytest.mark.parametrize(("current", "level"), [(True, Level.OK), (False, Level.TROUBLE)])
    def test_reports_older_code(self, current: bool, level: Level) -> None:  # noqa: FBT001 — a parameter of pytest's
        assert [one.level for one in checks.checkout(_target(State.RUNNING, current=current))] == [level]


@dataclass
class _CloudFormationWithStacks:
    """CloudFormation with stacks of these statuses, by name."""

    found: dict[str, str]

    def get_paginator(self, operation: str) -> "_CloudFormationWithStacks":
        assert operation == "describe_stacks"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"Stacks": [{"StackName": name, "StackStatus": status} for name, status in self.found.items()]}]


@dataclass
class _StackClients:
    cloudformation: _CloudFormationWithStacks


@dataclass
class _DeployedTarget:
    """A local target with these stacks."""

    clients: _StackClients
    names: Names = field(default_factory=lambda: Names("local", "111111111111"))
    environment: str = "local"
    is_local: bool = True


PARTS = ("Core", "Edge", "Monitoring", "Tenants", "Agents", "Runs", "Metering", "Billing")
ALL = {f"AILab{part}-local": "CREATE_COMPLETE" for part in PARTS}


class TestStacksCheck:
    @pytest.mark.parametrize(
        ("deployed", "message"),
        [
            (ALL, "8 stacks are deployed"),
            ({**ALL, "AILabRuns-local": "ROLLBACK_COMPLETE"}, "AILabRuns-local (ROLLBACK_COMPLETE)"),
            ({name: status for name, status in ALL.items() if "Edge" not in name}, "AILabEdge-local"),
            ({"AILabCore-dev": "CREATE_COMPLETE"}, "AILabCore-local"),
        ],
        ids=["whole", "rolled back", "missing", "another environment's"],
    )
    def test_reports_missing_and_incomplete_stacks(self, deployed: dict[str, str], message: str) -> None:
        (found,) = checks.stacks(cast("Target", _DeployedTarget(_StackClients(_CloudFormationWithStacks(deployed)))))
        assert found.level is (Level.OK if deployed is ALL else Level.TROUBLE)
        assert message in found.message


class TestCompareClocks:
    @pytest.mark.parametrize("minutes", [-4, 0, 4])
    def test_accepts_less_than_five_minutes(self, minutes: int) -> None:
        assert compare_clocks(NOW + timedelta(minutes=minutes), NOW).level is Level.OK

    @pytest.mark.parametrize(("minutes", "direction"), [(10, "10 min ahead of"), (-10, "10 min behind")])
    def test_reports_ten_minutes(self, minutes: int, direction: str) -> None:
        found = compare_clocks(NOW + timedelta(minutes=minutes), NOW)
        assert (found.level, direction in found.message) == (Level.TROUBLE, True)
