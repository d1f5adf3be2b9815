"""Every attack of two tenants on each other's data is blocked inside of the applications themselves."""

import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass

import pytest

from infra.core.document import openapi
from infra.services import SERVICES
from tests.architecture.source import ROOT
from tests.isolation.attacks import NEIGHBOUR, attacks
from tests.isolation.campaign import TENANTS, Report, attack_all, estates, succeed_all, ten_minutes_ago, twins_of, whole
from tests.isolation.estate import Estate
from tests.isolation.guards import GUARDS, Guard, got_through
from tests.isolation.inside import inside
from tests.isolation.operation import operations_of

OPERATIONS = operations_of(openapi(SERVICES))


@dataclass(frozen=True)
class Fought:
    """Two tenants after all attacks on each other."""

    estates: list[Estate]
    report: Report
    changed: list[str]
    """The tenants of which something is otherwise than before the attacks."""


@pytest.fixture(name="fought", scope="module")
def fight() -> Generator[Fought]:
    """All attacks, and then their twins."""
    report, changed = Report(), list[str]()
    with inside(*TENANTS) as way:
        with ten_minutes_ago():
            both = estates(way, OPERATIONS, *TENANTS, canary="7f3a")
        for victim, attacker in (both, reversed(both)):
            before = way.items_of(victim.tenant_id)
            attack_all(report, victim=victim, attacker=attacker, chosen=lambda attack: attack.family != NEIGHBOUR)
            changed += [victim.tenant_id] if way.items_of(victim.tenant_id) != before else []
            attack_all(report, victim=victim, attacker=attacker, chosen=lambda attack: attack.family == NEIGHBOUR)
        for owner in both:
            succeed_all(report, owner)
        yield Fought(both, report, changed)


class TestAttacks:
    def test_are_all_blocked(self, fought: Fought, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\ninside: {fought.report}\n")
        assert fought.report.breaches == []

    def test_change_nothing_of_the_victim(self, fought: Fought) -> None:
        assert fought.changed == []

    def test_have_twins_that_all_succeed(self, fought: Fought) -> None:
        assert fought.report.failures == []

    def test_are_made_on_every_operation(self, fought: Fought) -> None:
        assert fought.report.attacked == {operation.name for operation in OPERATIONS if operation.least}

    def test_have_a_twin_each(self, fought: Fought) -> None:
        victim, attacker = fought.estates
        for operation in OPERATIONS:
            wanted = {attack.twin for attack in attacks(operation, victim=victim, attacker=attacker)}
            assert wanted <= set(twins_of(operation, victim))


class TestEstate:
    def test_shows_its_canary_and_ids_to_its_owner(self, fought: Fought) -> None:
        for owner in fought.estates:
            shown = {
                name for name, request in owner.requests.items() if owner.marks.search(whole(owner.way.send(request)))
            }
            assert len(shown) > len(OPERATIONS) / 2

    def test_is_not_taken_for_its_twin_by_prefix(self, fought: Fought) -> None:
        acme, acme2 = fought.estates
        assert not acme.marks.search("/v1/tenants/acme2/projects")
        assert acme2.marks.search("/v1/tenants/acme2/projects")
        assert acme.marks.search('{"tenant_id": "acme"}')


@pytest.fixture(name="without", scope="module")
def try_without_guards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The attacks that got through, by the guard that was missing."""
    folder = tmp_path_factory.mktemp("guards")
    command = [sys.executable, "-m", "tests.isolation.guards", str(folder)]
    # S603: the code is ours.
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)  # noqa: S603
    return got_through(folder)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_without_a_guard_the_attacks_get_through(guard: Guard, without: dict[str, list[str]]) -> None:
    assert [breach for breach in without[guard.name] if breach.startswith(guard.family)]
