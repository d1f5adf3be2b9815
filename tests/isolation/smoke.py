"""Smoke test: attacks on a few routes only, fast enough to repeat without each guard."""

from infra.core.document import openapi
from infra.services import SERVICES
from tests.isolation.attack_suite import TENANTS, Report, create_fixtures, run_attacks, ten_minutes_ago
from tests.isolation.in_process import start_api
from tests.isolation.operation import operations_of


def breaches(family: str) -> list[str]:
    """Return the successful attacks of one family by one tenant on the other's projects."""
    report = Report()
    operations = [operation for operation in operations_of(openapi(SERVICES)) if "/projects" in operation.path]
    with start_api(*TENANTS) as api:
        with ten_minutes_ago():
            victim, attacker = create_fixtures(api, operations, *TENANTS, canary="5d1e")
        run_attacks(report, victim=victim, attacker=attacker, selected=lambda attack: attack.family.startswith(family))
    return report.breaches
