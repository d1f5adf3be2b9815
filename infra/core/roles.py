"""Who may call what: the matrix of roles and routes, as the routes themselves say it."""

from collections.abc import Iterator, Sequence

from infra.core.functions import API
from shared.declaration import Route, Service
from shared.tenancy.permissions import Role

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HEAD = """# Roles and routes

Written by `make docs` from the routes of the code. `yes` may call, the others get 403. Each role acts in its own
tenant alone, but for `platform_admin`. A feature is needed to change, never to read. A suspended tenant may read.
"""


def roles_markdown(services: Sequence[Service]) -> str:
    """The matrix as a page: a table per service, a row per route."""
    tables = [("core", API.routes), *((service.name, service.routes) for service in services)]
    return "\n".join([_HEAD, *(_table(name, routes) for name, routes in tables if routes)])


def _table(name: str, routes: Sequence[Route]) -> str:
    rows = sorted(routes, key=lambda route: (route.path, _METHODS.index(route.method)))
    return "\n".join([f"## {name}\n", *_rows(rows), ""])


def _rows(routes: Sequence[Route]) -> Iterator[str]:
    yield _row("method", "path", *Role, "feature")
    yield "|" + "---|" * (len(Role) + 3)
    for route in routes:
        marks = ("yes" if may_call(role, route) else "" for role in Role)
        yield _row(route.method, f"`{route.path}`", *marks, route.feature.value if route.feature else "")


def may_call(role: Role, route: Route) -> bool:
    """Whether this role is enough for the route; a route without a token is open to all."""
    return route.least is None or role.includes(route.least)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
