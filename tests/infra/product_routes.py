"""The product's routes with the required role and feature, as in its specification.

Each line has the service, the methods, the path below `/v1` (`…` means `/tenants/{t}`) and the least role for changes.
Optional are the least role for reads (default `analyst`) and the feature that a change requires.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.tenancy.permissions import Feature, Role

ROUTES = """
core     GET                  /health                        open
core     GET                  /openapi.json                  open
tenants  GET                  /tenants                       -               observer
tenants  GET,PUT              …                              tenant_admin    observer
tenants  POST                 …/users/invite                 tenant_admin
tenants  GET                  …/users                        -
tenants  PUT,DELETE           …/users/{u}                    tenant_admin
tenants  GET,POST             …/projects                     developer       observer
tenants  GET,PUT,DELETE       …/projects/{p}                 developer       observer
tenants  GET                  …/audit                        -               tenant_admin
tenants  GET,POST             /admin/tenants                 platform_admin  platform_admin
tenants  GET,PUT,DELETE       /admin/tenants/{t}             platform_admin  platform_admin
tenants  POST                 /admin/tenants/{t}/suspend     platform_admin
tenants  POST                 /admin/tenants/{t}/reactivate  platform_admin
tenants  POST                 /admin/tenants/{t}/export      platform_admin
tenants  GET                  /admin/tenants/{t}/exports/{e}  -              platform_admin
agents   GET,POST             …/agents                       developer       observer  agents
agents   GET,PUT,DELETE       …/agents/{a}                   developer       observer  agents
agents   GET,POST             …/agents/{a}/versions          developer       observer  agents
agents   GET                  …/agents/{a}/versions/{v}      -               observer
agents   PUT                  …/agents/{a}/alias             developer       -         agents
agents   GET                  …/provider-keys                -               observer
agents   PUT,DELETE           …/provider-keys/{provider}     tenant_admin    -         agents
agents   GET,POST             …/prompts                      developer       analyst   agents
agents   GET,PUT,DELETE       …/prompts/{p}                  developer       analyst   agents
agents   GET,POST             …/prompts/{p}/versions         developer       analyst   agents
agents   GET                  …/prompts/{p}/versions/{v}     -
agents   PUT                  …/prompts/{p}/alias            developer       -         agents
agents   GET                  …/prompts/{p}/versions/{v}/diff  -             observer
agents   GET                  …/agents/{a}/versions/{v}/diff   -             observer
agents   POST                 …/lint/run                     developer       -         linting
agents   GET                  …/lint/{id}/results            -
agents   POST                 …/lint/{id}/fix                developer       -         linting
agents   GET,POST             …/rulesets                     developer       analyst   linting
agents   GET                  …/rulesets/{r}                 -
agents   GET,POST             …/rulesets/{r}/versions        developer       analyst   linting
agents   POST                 …/rules/generate               developer       -         linting
runs     GET,POST             …/runs                         developer       observer  agents
runs     GET,PATCH,DELETE     …/runs/{r}                     developer       observer  agents
runs     GET                  …/runs/{r}/logs                -               observer
runs     GET                  …/runs/{r}/traces              -               observer
runs     GET                  …/runs/{r}/stream              -               observer
runs     POST                 …/runs/{r}/tool-outputs        developer       -         agents
runs     POST                 …/runs/{r}/replay              developer       -         debugging
runs     GET,POST             …/datasets                     developer       analyst   experiments
runs     GET,PUT,DELETE       …/datasets/{d}                 developer       analyst   experiments
runs     POST                 …/datasets/{d}/upload          developer       -         experiments
runs     GET                  …/datasets/{d}/download        -
runs     GET,POST             …/experiments                  developer       analyst   experiments
runs     GET,PUT              …/experiments/{e}              developer       analyst   experiments
runs     POST                 …/experiments/{e}/start        developer       -         experiments
runs     GET                  …/experiments/{e}/status       -
runs     GET                  …/experiments/{e}/results      -
runs     GET,POST             …/debug/sessions               developer       analyst   debugging
runs     GET,PATCH            …/debug/sessions/{s}           developer       analyst   debugging
runs     GET                  …/debug/sessions/{s}/traces    -
runs     GET                  …/budget                       -               observer
metering GET                  …/usage/daily                  -
metering GET                  …/usage/monthly                -
metering GET,POST             …/usage/events                 developer
metering GET                  …/analytics/dashboard          -
metering GET,POST             …/monitors                     developer       analyst   monitoring
metering GET,PUT,DELETE       …/monitors/{m}                 developer       analyst   monitoring
metering GET                  …/alerts                       -
metering POST                 …/alerts/{a}/acknowledge       developer       -         monitoring
metering GET                  /admin/usage/export            -               platform_admin
billing  GET,PUT              …/billing/plan                 tenant_admin
billing  GET                  …/billing/usage                -
billing  GET                  …/billing/invoices             -
billing  GET                  …/billing/invoices/{i}         -
billing  POST                 …/billing/checkout             tenant_admin
billing  POST                 …/billing/portal               tenant_admin
billing  GET                  /admin/billing/reconcile       -               platform_admin
billing  POST                 /webhooks/stripe               open
"""


@dataclass(frozen=True, slots=True)
class ExpectedRoute:
    """The service of a route, and the role and feature that it requires."""

    service: str
    min_role: Role | None
    feature: Feature | None


def product_routes() -> dict[tuple[str, str], ExpectedRoute]:
    """Return every route by its method and its path with empty parameter names: `/v1/tenants/{}/runs`."""
    return dict(route for line in ROUTES.strip().splitlines() for route in _parse_line(line))


def _parse_line(line: str) -> Iterator[tuple[tuple[str, str], ExpectedRoute]]:
    service, methods, path, change, *more = line.split()
    read = more[0] if more else "analyst"
    feature = Feature(more[1]) if len(more) > 1 else None
    for method in _with_both_updates(methods.split(",")):
        is_read = method == "GET"
        min_role = None if change == "open" else Role(read if is_read else change)
        yield (
            (method, without_names(f"/v1{path.replace('…', '/tenants/{t}')}")),
            ExpectedRoute(service, min_role, None if is_read else feature),
        )


def _with_both_updates(methods: list[str]) -> list[str]:
    """Return the methods with `PUT` for each `PATCH` and `PATCH` for each `PUT`, because every such route has both."""
    return [*methods, *({"PUT", "PATCH"} - {*methods} if {"PUT", "PATCH"} & {*methods} else ())]


def without_names(path: str) -> str:
    """Return a path without the names of its parameters."""
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
