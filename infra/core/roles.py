"""The matrix of roles and routes, derived from the routes."""

from collections.abc import Iterator, Sequence

from services.core.service import API
from shared.declaration import Route, Service
from shared.tenancy.permissions import Role

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HEAD = """# Roles and routes

`make docs` generates this page from the routes. `yes` may call; the others get 403. Each role acts only in its own
tenant, except `platform_admin`. A feature is needed for changes, never to read. A suspended tenant may read.
"""


def roles_markdown(services: Sequence[Service]) -> str:
    """Return the matrix as a page: a table per service, a row per route."""
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
    """Return whether this role may call the route. A route without a token is open to all."""
    return route.min_role is None or role.includes(route.min_role)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
