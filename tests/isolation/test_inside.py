"""Every attack of two tenants on each other's data is blocked inside of the applications themselves."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.core.document import openapi
from infra.services import SERVICES
from shared.storage.clients import own_client
from tests.architecture.source import ROOT
from tests.isolation import recipes
from tests.isolation.attacks import NEIGHBOUR, attacks
from tests.isolation.campaign import TENANTS, Report, attack_all, estates, succeed_all, ten_minutes_ago, twins_of, whole
from tests.isolation.estate import Estate
from tests.isolation.guards import GUARDS, Guard, got_through
from tests.isolation.inside import Inside, inside, stripe_of_its_own
from tests.isolation.operation import OPEN, operations_of
from tests.isolation.recipes import export_of
from tests.tables import BUCKET

OPERATIONS = operations_of(openapi(SERVICES))


@dataclass(frozen=True)
class Fought:
    """Two tenants after all attacks on each other."""

    way: Inside
    estates: list[Estate]
    report: Report
    changed: list[str]
    """The tenants of which something is otherwise than before the attacks."""


@pytest.fixture(name="fought", scope="module")
def fight() -> Generator[Fought]:
    """All attacks, and then their twins."""
    report, changed = Report(), list[str]()
    with stripe_of_its_own() as stripe, inside(*TENANTS, stripe=stripe) as way:
        with ten_minutes_ago():
            both = estates(way, OPERATIONS, *TENANTS, canary="7f3a")
        for victim, attacker in (both, reversed(both)):
            before = way.items_of(victim.tenant_id)
            attack_all(report, victim=victim, attacker=attacker, chosen=lambda attack: attack.family != NEIGHBOUR)
            changed += [victim.tenant_id] if way.items_of(victim.tenant_id) != before else []
            attack_all(report, victim=victim, attacker=attacker, chosen=lambda attack: attack.family == NEIGHBOUR)
        for owner in both:
            succeed_all(report, owner)
        yield Fought(way, both, report, changed)


class TestAttacks:
    def test_are_all_blocked(self, fought: Fought, show: Callable[[str], None]) -> None:
        show(f"inside: {fought.report}")
        assert fought.report.breaches == []

    def test_change_nothing_of_the_victim(self, fought: Fought) -> None:
        assert fought.changed == []

    def test_have_twins_that_all_succeed(self, fought: Fought) -> None:
        assert fought.report.failures == []

    def test_are_made_on_every_operation(self, fought: Fought) -> None:
        assert fought.report.attacked == {operation.name for operation in OPERATIONS if operation.least}

    def test_leave_out_only_what_asks_for_no_token(self) -> None:
        assert {operation.name for operation in OPERATIONS if operation.least is None} == set(OPEN)

    def test_have_a_twin_each(self, fought: Fought) -> None:
        victim, attacker = fought.estates
        for operation in OPERATIONS:
            wanted = {attack.twin for attack in attacks(operation, victim=victim, attacker=attacker)}
            assert wanted <= set(twins_of(operation, victim))


class TestEstate:
    def test_shows_its_canary_and_ids_to_its_owner(self, fought: Fought) -> None:
        for owner in fought.estates:
            reads = [
                request
                for request in owner.requests.values()
                if not request.operation.changes and "tenant_id" in request.operation.names
            ]
            shown = [request for request in reads if owner.marks.search(whole(owner.way.send(request)))]
            assert len(shown) > len(reads) * 3 / 4

    def test_is_not_taken_for_its_twin_by_prefix(self, fought: Fought) -> None:
        acme, acme2 = fought.estates
        assert not acme.marks.search("/v1/tenants/acme2/projects")
        assert acme2.marks.search("/v1/tenants/acme2/projects")
        assert acme.marks.search('{"tenant_id": "acme"}')


class TestExport:
    """Everything of a tenant, as every service writes it."""

    def test_has_every_row_of_the_tenant_once(self, fought: Fought) -> None:
        way, owner = fought.way, fought.estates[0]
        way.settle()
        files = files_of(export_of(owner).body["export"]["manifest_url"])
        written = [(service, *line["key"]) for service, lines in files.items() for line in lines if "key" in line]
        rows = [key for item in way.items_of(owner.tenant_id) if (key := exported_as(json.loads(item)))]
        assert sorted(written) == sorted(rows)
        assert {service.name for service in SERVICES} == {*files}

    def test_has_the_documents_and_nothing_of_others_and_no_secret(self, fought: Fought) -> None:
        owner, other = fought.estates
        files = files_of(export_of(owner).body["export"]["manifest_url"])
        text = json.dumps(files)
        assert any("document" in line for line in files["agents"])
        assert owner.canary in text
        assert other.marks.search(text) is None
        assert recipes.secret_of(owner) not in text


def files_of(manifest_url: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of an export, by service."""
    s3 = own_client("s3")

    def read(key: str) -> bytes:
        return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    manifest = json.loads(read(urlsplit(manifest_url).path.removeprefix("/").removeprefix(f"{BUCKET}/")))
    return {
        part["service"]: [
            json.loads(line) for file in part["files"] for line in gzip.decompress(read(file["key"])).splitlines()
        ]
        for part in manifest["services"]
    }


NOT_EXPORTED = re.compile(
    r"#(OUTBOX|INBOX|IDEMPOTENCY|EXPORTS|HOUR|OPEN)[#/]"  # marks, and counters within an hour
    r"|/(COPY#|EXPORT#|TEXT#|BURIED|STOPPING)"  # what others have, and what is under way
)


def exported_as(item: dict[str, Any]) -> tuple[str, str, str] | None:
    """The service that exports a row, and its key there; None: it is left out."""
    pk, sk = item["PK"]["S"], item["SK"]["S"]
    if NOT_EXPORTED.search(f"{pk}/{sk}"):
        return None
    _, tenant_id, *parts = pk.split("#")
    slices = {service.slice.name: service for service in SERVICES}
    if not parts:
        return "tenants", pk, sk
    own = slices[parts[0]].slice.key(tenant_id)
    return slices[parts[0]].name, pk.removeprefix(own).removeprefix("#"), sk


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
