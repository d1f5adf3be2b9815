"""What all tests share: the mesh, what is shown at the end, and who runs beside whom."""

import json
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from shared import removal
from shared.observability import logger
from tests.gateway import CLIENT_ID
from tests.mesh import mesh

__all__ = ["mesh"]

_HERE = Path(__file__).parent
_TOGETHER = ("infra",)
"""Folders whose tests share what takes long to make: here the templates."""
_FIGURES = "figures"


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> Iterator[None]:
    """What shares something dear goes to the same process, where there are several."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    yield
    if config.getoption("loadgroup", default=False) and not all("@" in item.nodeid for item in items):
        message = "pytest-xdist does not see the groups: every process would start a mesh of its own"
        raise pytest.UsageError(message)


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker("mesh"):
        return "mesh"
    path = item.path.relative_to(_HERE)
    return path.parts[0] if path.parts[0] in _TOGETHER else str(path)


@pytest.fixture(autouse=True)
def _nothing_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes in a unit test, and a remover need not wait for them."""
    monkeypatch.setattr(removal, "SETTLES_S", 0)


@pytest.fixture(autouse=True)
def _our_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the app client that the tokens of `tests.gateway` are made for."""
    monkeypatch.setenv("USER_POOL_CLIENT_ID", CLIENT_ID)


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Shows what a test has counted, at the end, in whichever process it ran."""
    return lambda text: record_property(_FIGURES, text)


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """Gives the lines that were logged since it was asked last, as CloudWatch gets them."""
    stream = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)

    def take() -> list[dict[str, Any]]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in text.splitlines()]

    return take


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of the tests that have some."""
    figures = list(_figures(terminalreporter.stats))
    if figures:
        terminalreporter.section("figures")
        for text in figures:
            terminalreporter.write_line(text)


def _figures(stats: dict[str, list[Any]]) -> Iterator[str]:
    reports = [report for found in stats.values() for report in found if isinstance(report, pytest.TestReport)]
    for report in reports:
        if report.when == "call":
            yield from (str(text) for name, text in report.user_properties if name == _FIGURES)
