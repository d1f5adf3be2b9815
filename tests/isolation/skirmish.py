"""The attacks on a few routes alone, for products that lack a guard."""

from infra.core.document import openapi
from infra.services import SERVICES
from tests.isolation.campaign import TENANTS, Report, attack_all, estates, ten_minutes_ago
from tests.isolation.inside import inside
from tests.isolation.operation import operations_of


def breaches(family: str) -> list[str]:
    """The attacks of one family, by one tenant on the other's projects, that get through."""
    report = Report()
    operations = [one for one in operations_of(openapi(SERVICES)) if "/projects" in one.path]
    with inside(*TENANTS) as way:
        with ten_minutes_ago():
            victim, attacker = estates(way, operations, *TENANTS, canary="5d1e")
        attack_all(report, victim=victim, attacker=attacker, chosen=lambda attack: attack.family.startswith(family))
    return report.breaches
