"""Targets for the cost of a run, each compared with its measurement."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.services import SERVICES

_ROUTED = frozenset(
    f"{service.name}-{function.name}" for service in SERVICES for function in service.functions if function.routes
)
"""Functions with routes, for whose response a client waits."""
_RUNS = "run, "
"""The prefix of our sides' names."""
_CPU_MS, _CALLS = 8.0, 9.0
_IMPORT_MS, _BUNDLE_MB = 300.0, 15.0
_FOR_RUNS = {
    "CPU ms of our functions": ("cpu_ms", _CPU_MS),
    "AWS calls, from the API to counted": ("aws_calls", _CALLS),
}
_FOR_API = {"CPU ms of a cold import": ("import_cpu_ms", _IMPORT_MS), "MB of its bundle": ("bundle_mb", _BUNDLE_MB)}


def of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each target with its measurement and whether it is met; for functions with routes, the worst one."""
    return [*_of_runs(results["sides"]), *_of_api(results["functions"])]


def _of_runs(sides: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for what, (number, most) in _FOR_RUNS.items():
        for name, side in sides.items():
            if name.startswith(_RUNS):
                yield _target(f"{what}: {name}", side[number], most)


def _of_api(functions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    with_routes = [name for name in functions if name in _ROUTED]
    for what, (number, most) in _FOR_API.items():
        worst = max(with_routes, key=lambda name: functions[name][number])
        yield _target(f"{what}: {worst}", functions[worst][number], most)


def _target(name: str, measured: float, most: float) -> dict[str, Any]:
    return {"name": name, "measured": measured, "most": most, "held": measured <= most}
