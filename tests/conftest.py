"""Fixtures of all tests, figures that are printed at the end, and groups of tests that share a process."""

import json
import os
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from shared import removal
from shared.observability import logger
from tests.mesh import mesh

__all__ = ["mesh"]

_TESTS_FOLDER = Path(__file__).parent
_SHARED_PROCESS_FOLDERS = ("infra",)
"""Folders whose tests share an expensive resource, here the synthesized templates."""
_SECOND_MESH_FILES = frozenset(
    f"journeys/test_{name}.py"
    for name in (
        *("a_provider", "billing", "counting", "dead_letters", "doctor", "events", "guides", "limits", "monitoring"),
        *("reconcile", "runs", "tenants", "usage", "zz_restart"),
    )
)
"""Journeys with a separate mesh, so that two processes share the work. Most of them wait more than they compute."""
_FIRST_GROUPS = ("mesh", "infra", "second mesh")
"""The groups that start first, in this order. All others follow.

The meshes take longest. The second one is deployed after the tests of `infra`, when all bundles are in the cache.
"""
_FIGURES_PROPERTY = "figures"


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Assign tests that share an expensive resource to the same process, and start the longest groups first."""
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(
        key=lambda item: _FIRST_GROUPS.index(groups[item]) if groups[item] in _FIRST_GROUPS else len(_FIRST_GROUPS)
    )
    yield
    if config.getoption("loadgroup", default=False) and not all("@" in item.nodeid for item in items):
        message = "pytest-xdist does not apply the groups, so every process would start its own mesh."
        raise pytest.UsageError(message)


def _group(item: pytest.Item) -> str:
    path = item.path.relative_to(_TESTS_FOLDER)
    if item.get_closest_marker("mesh"):
        # A mesh that the environment names is the only one.
        is_second = path.as_posix() in _SECOND_MESH_FILES and "AINEXUS_TEST_HOME" not in os.environ
        return "second mesh" if is_second else "mesh"
    return path.parts[0] if path.parts[0] in _SHARED_PROCESS_FOLDERS else str(path)


@pytest.fixture(autouse=True)
def _no_removal_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the pauses of a removal, because a unit test has no concurrent writers."""
    monkeypatch.setattr(removal, "SETTLES_S", 0)
    monkeypatch.setattr(removal, "LAST_WRITES_S", 0)


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a test's figures at the end, regardless of its process."""
    return lambda text: record_property(_FIGURES_PROPERTY, text)


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """Return the log lines since the last call, as CloudWatch receives them."""
    stream = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)

    def new_lines() -> list[dict[str, Any]]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in text.splitlines()]

    return new_lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have recorded."""
    figures = list(_figures(terminalreporter.stats))
    if figures:
        terminalreporter.section("figures")
        for text in figures:
            terminalreporter.write_line(text)


def _figures(stats: dict[str, list[Any]]) -> Iterator[str]:
    reports = [report for found in stats.values() for report in found if isinstance(report, pytest.TestReport)]
    for report in reports:
        if report.when == "call":
            yield from (str(text) for name, text in report.user_properties if name == _FIGURES_PROPERTY)
