"""The doctor: what can be found without a mesh."""

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from cli.doctor import checks
from cli.doctor.checks import Finding, Level, compare_clocks
from cli.doctor.examination import examine, line_of
from cli.errors import Refused
from cli.target import Target
from infra.local.engine import State, Status
from infra.names import Names

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WANTED = "1.5.33"


@dataclass
class _Home:
    engine_version: str = WANTED
    engine_log: Path = Path("engine.log")


@dataclass
class _Engine:
    found: Status

    def status(self) -> Status:
        return self.found


@dataclass
class _Mesh:
    engine: _Engine
    current: bool = True
    home: _Home = field(default_factory=_Home)

    def is_current(self) -> bool:
        return self.current


@dataclass
class _Target:
    """A local target whose engine is like this."""

    mesh: _Mesh
    is_local: bool = True
    environ: dict[str, str] = field(default_factory=dict[str, str])


def _target(state: State, *, version: str = WANTED, current: bool = True, **environ: str) -> Target:
    status = Status(state, 4566, version, 17)
    return cast("Target", _Target(_Mesh(_Engine(status), current), environ=environ))


@contextmanager
def _taken_port() -> Generator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


class TestEngine:
    def test_runs(self) -> None:
        assert [one.level for one in checks.engine(_target(State.RUNNING))] == [Level.OK]

    @pytest.mark.parametrize(
        ("target", "says"),
        [
            (_target(State.RUNNING, version="1.0.0"), "The engine is 1.0.0, this checkout asks for 1.5.33."),
            (_target(State.DIED), "The engine has ended without being stopped."),
            (_target(State.SILENT), "The engine (pid 17) runs and does not answer."),
        ],
        ids=["of another version", "dead", "silent"],
    )
    def test_that_is_not_as_it_should_be_is_found(self, target: Target, says: str) -> None:
        assert [(one.level, one.says) for one in checks.engine(target)] == [(Level.TROUBLE, says)]

    def test_a_port_that_another_program_has_is_found(self) -> None:
        with _taken_port() as port:
            (found,) = checks.engine(_target(State.STOPPED, AINEXUS_PORT=str(port)))
        assert found.says == f"Another program listens on port {port}."

    def test_that_was_stopped_is_found(self) -> None:
        with _taken_port() as port:
            pass
        (found,) = checks.engine(_target(State.STOPPED, AINEXUS_PORT=str(port)))
        assert (found.says, found.advice) == ("The engine does not run.", "./ainexus up")


class TestCheckout:
    @pytest.mark.parametrize(("current", "level"), [(True, Level.OK), (False, Level.TROUBLE)])
    def test_code_that_is_older_is_found(self, current: bool, level: Level) -> None:  # noqa: FBT001 — a parameter of pytest's
        assert [one.level for one in checks.checkout(_target(State.RUNNING, current=current))] == [level]


@dataclass
class _Stacks:
    """CloudFormation with these stacks, by status."""

    found: dict[str, str]

    def get_paginator(self, operation: str) -> "_Stacks":
        assert operation == "describe_stacks"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"Stacks": [{"StackName": name, "StackStatus": status} for name, status in self.found.items()]}]


@dataclass
class _Clients:
    cloudformation: _Stacks


@dataclass
class _Deployed:
    """A local target with these stacks."""

    clients: _Clients
    names: Names = field(default_factory=lambda: Names("local", "111111111111"))
    environment: str = "local"
    is_local: bool = True


PARTS = ("Core", "Edge", "Monitoring", "Tenants", "Agents", "Runs", "Metering", "Billing")
ALL = {f"AILab{part}-local": "CREATE_COMPLETE" for part in PARTS}


class TestStacks:
    @pytest.mark.parametrize(
        ("there", "says"),
        [
            (ALL, "8 stacks are there"),
            ({**ALL, "AILabRuns-local": "ROLLBACK_COMPLETE"}, "AILabRuns-local (ROLLBACK_COMPLETE)"),
            ({name: status for name, status in ALL.items() if "Edge" not in name}, "AILabEdge-local"),
            ({"AILabCore-dev": "CREATE_COMPLETE"}, "AILabCore-local"),
        ],
        ids=["whole", "taken back", "missing", "another environment's"],
    )
    def test_a_half_deployment_is_found(self, there: dict[str, str], says: str) -> None:
        (found,) = checks.stacks(cast("Target", _Deployed(_Clients(_Stacks(there)))))
        assert found.level is (Level.OK if there is ALL else Level.TROUBLE)
        assert says in found.says


class TestCompareClocks:
    @pytest.mark.parametrize("minutes", [-4, 0, 4])
    def test_a_little_off_does_no_harm(self, minutes: int) -> None:
        assert compare_clocks(NOW + timedelta(minutes=minutes), NOW).level is Level.OK

    @pytest.mark.parametrize(("minutes", "way"), [(10, "10 min ahead of"), (-10, "10 min behind")])
    def test_ten_minutes_off_is_found(self, minutes: int, way: str) -> None:
        found = compare_clocks(NOW + timedelta(minutes=minutes), NOW)
        assert (found.level, way in found.says) == (Level.TROUBLE, True)


def _good(_: Target) -> Iterator[Finding]:
    yield Finding(Level.OK, "well")


def _bad(_: Target) -> Iterator[Finding]:
    yield Finding(Level.TROUBLE, "broken", "mend it")


def _unreachable(_: Target) -> Iterator[Finding]:
    msg = "Not deployed."
    yield from (_ for _ in ())
    raise Refused(msg)


def _mistaken(_: Target) -> Iterator[Finding]:
    yield from (_ for _ in ())
    raise ZeroDivisionError


ANY: Any = None


class TestExamine:
    def test_goes_through_all_checks(self) -> None:
        found = list(examine(ANY, {"a": _good}, {"b": _bad, "c": _good}))
        assert [(name, one.level) for name, one in found] == [("a", "ok"), ("b", "trouble"), ("c", "ok")]

    def test_does_not_look_at_what_stands_on_broken_ground(self) -> None:
        assert [name for name, _ in examine(ANY, {"a": _bad, "b": _good}, {"c": _good})] == ["a"]

    def test_goes_on_when_something_cannot_be_looked_at(self) -> None:
        found = list(examine(ANY, {}, {"a": _unreachable, "b": _good}))
        assert [one.says for _, one in found] == ["This cannot be looked at: Not deployed.", "well"]

    def test_hides_no_mistake_of_its_own(self) -> None:
        with pytest.raises(ZeroDivisionError):
            list(examine(ANY, {}, {"a": _mistaken}))


class TestLineOf:
    def test_says_what_to_do_below(self) -> None:
        assert line_of("queues", Finding(Level.TROUBLE, "stuck", "look")).splitlines() == [
            "✗ queues       stuck",
            "               → look",
        ]
