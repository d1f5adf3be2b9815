"""Every attack of two tenants on each other's data is blocked by the applications themselves."""

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
from shared.aws.clients import own_client
from tests.architecture.source import ROOT
from tests.isolation import recipes
from tests.isolation.attack_suite import (
    TENANTS,
    Report,
    controls_of,
    create_fixtures,
    response_text,
    run_attacks,
    run_controls,
    ten_minutes_ago,
)
from tests.isolation.attacks import OTHER_USER_FAMILY, attacks_on
from tests.isolation.guards import GUARDS, Guard, read_breaches
from tests.isolation.in_process import InProcessApi, start_api, start_local_stripe
from tests.isolation.operation import PUBLIC_OPERATIONS, operations_of
from tests.isolation.recipes import export_of
from tests.isolation.tenant_fixture import TenantFixture
from tests.tables import BUCKET

OPERATIONS = operations_of(openapi(SERVICES, with_twins=True))


@dataclass(frozen=True)
class SuiteResult:
    """The state of two tenants after all attacks on each other."""

    api: InProcessApi
    fixtures: list[TenantFixture]
    report: Report
    changed: list[str]
    """The tenants whose data the attacks have changed."""


@pytest.fixture(name="result", scope="module")
def run_suite() -> Generator[SuiteResult]:
    """Execute all attacks, then their positive controls."""
    report, changed = Report(), list[str]()
    with start_local_stripe() as stripe, start_api(*TENANTS, stripe=stripe) as api:
        with ten_minutes_ago():
            fixtures = create_fixtures(api, OPERATIONS, *TENANTS, canary="7f3a")
        for victim, attacker in (fixtures, reversed(fixtures)):
            items_before = api.items_of(victim.tenant_id)
            run_attacks(
                report, victim=victim, attacker=attacker, selected=lambda attack: attack.family != OTHER_USER_FAMILY
            )
            changed += [victim.tenant_id] if api.items_of(victim.tenant_id) != items_before else []
            run_attacks(
                report, victim=victim, attacker=attacker, selected=lambda attack: attack.family == OTHER_USER_FAMILY
            )
        for owner in fixtures:
            run_controls(report, owner)
        yield SuiteResult(api, fixtures, report, changed)


class TestAttacks:
    def test_are_all_blocked(self, result: SuiteResult, show: Callable[[str], None]) -> None:
        show(f"in process: {result.report}")
        assert result.report.breaches == []

    def test_leave_the_victims_data_unchanged(self, result: SuiteResult) -> None:
        assert result.changed == []

    def test_have_positive_controls_that_all_succeed(self, result: SuiteResult) -> None:
        assert result.report.failures == []

    def test_cover_every_operation_with_a_token(self, result: SuiteResult) -> None:
        assert result.report.attacked == {operation.name for operation in OPERATIONS if operation.min_role}

    def test_omit_only_public_operations(self) -> None:
        assert {operation.name for operation in OPERATIONS if operation.min_role is None} == set(PUBLIC_OPERATIONS)

    def test_have_a_positive_control_each(self, result: SuiteResult) -> None:
        victim, attacker = result.fixtures
        for operation in OPERATIONS:
            expected = {attack.control for attack in attacks_on(operation, victim=victim, attacker=attacker)}
            assert expected <= set(controls_of(operation, victim))


NUMBERS_ONLY = {
    "GET /v1/tenants/{tenant_id}/agents/{agent_id}/versions",
    "GET /v1/tenants/{tenant_id}/agents/{agent_id}/versions/{version}/diff",
    "GET /v1/tenants/{tenant_id}/budget",
    "GET /v1/tenants/{tenant_id}/prompts/{prompt_id}/versions",
    "GET /v1/tenants/{tenant_id}/prompts/{prompt_id}/versions/{version}/diff",
}
"""Reads whose responses have no text of the tenant."""


class TestTenantFixture:
    def test_returns_its_canary_and_ids_to_its_owner(self, result: SuiteResult) -> None:
        for owner in result.fixtures:
            reads = [
                request
                for request in owner.requests.values()
                if not request.operation.is_write and "tenant_id" in request.operation.path_parameters
                if request.operation.name not in NUMBERS_ONLY
            ]
            matching = [
                request for request in reads if owner.data_pattern.search(response_text(owner.api.send(request)))
            ]
            assert len(matching) > len(reads) * 3 / 4

    def test_is_not_matched_by_a_tenant_with_its_prefix(self, result: SuiteResult) -> None:
        acme, acme2 = result.fixtures
        assert not acme.data_pattern.search("/v1/tenants/acme2/projects")
        assert acme2.data_pattern.search("/v1/tenants/acme2/projects")
        assert acme.data_pattern.search('{"tenant_id": "acme"}')


class TestExport:
    """The export of all data of a tenant, written by every service."""

    def test_contains_every_row_of_the_tenant_once(self, result: SuiteResult) -> None:
        api, owner = result.api, result.fixtures[0]
        api.deliver_events()
        files = files_of(export_of(owner).body["export"]["manifest_url"])
        written = [(service, *line["key"]) for service, lines in files.items() for line in lines if "key" in line]
        rows = [key for item in api.items_of(owner.tenant_id) if (key := export_key(json.loads(item)))]
        assert sorted(written) == sorted(rows)
        assert {service.name for service in SERVICES} == {*files}

    def test_contains_documents_but_no_foreign_data_and_no_secret(self, result: SuiteResult) -> None:
        owner, other = result.fixtures
        files = files_of(export_of(owner).body["export"]["manifest_url"])
        text = json.dumps(files)
        assert any("document" in line for line in files["agents"])
        assert owner.canary in text
        assert other.data_pattern.search(text) is None
        assert recipes.secret_of(owner) not in text


def files_of(manifest_url: str) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of an export, by service."""
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
    r"#(OUTBOX|INBOX|IDEMPOTENCY|EXPORTS|HOUR|OPEN)[#/]"  # marks, and counters of open hours
    r"|/(COPY#|EXPORT#|TEXT#|BURIED|STOPPING)|#BURIED/"  # copies of other services' resources, and work in progress
)


def export_key(item: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return the service that exports a row and its key in the export, or None if it is not exported."""
    pk, sk = item["PK"]["S"], item["SK"]["S"]
    if NOT_EXPORTED.search(f"{pk}/{sk}"):
        return None
    _, tenant_id, *parts = pk.split("#")
    slices = {service.slice.name: service for service in SERVICES}
    if not parts:
        return "tenants", pk, sk
    own = slices[parts[0]].slice.key(tenant_id)
    return slices[parts[0]].name, pk.removeprefix(own).removeprefix("#"), sk


@pytest.fixture(name="breaches_by_guard", scope="module")
def run_without_guards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the attacks that succeeded, by the missing guard."""
    folder = tmp_path_factory.mktemp("guards")
    command = [sys.executable, "-m", "tests.isolation.guards", str(folder)]
    # S603: the command is our own code.
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)  # noqa: S603
    return read_breaches(folder)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_attacks_succeed_without_the_guard(guard: Guard, breaches_by_guard: dict[str, list[str]]) -> None:
    assert [breach for breach in breaches_by_guard[guard.name] if breach.startswith(guard.family)]
