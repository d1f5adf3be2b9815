"""The whole installation, with fakes for downloads."""

import io
import sys
from pathlib import Path

import pytest

from infra.local.errors import NotInstalled
from infra.local.install import install
from infra.local.packages import UV_VERSION
from infra.local.paths import Home
from infra.local.progress import ConsoleProgress

_UV = """#!/bin/sh
case "$1" in
  venv) for last; do :; done; mkdir -p "$last/bin"; ln -s {python} "$last/bin/python" ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Create a checkout with uv, whose Node tools create a file when installed."""
    home = Home(tmp_path, tmp_path / ".ainexus")
    for lock in ("dev.txt", "engine.txt"):
        (tmp_path / "locks").mkdir(exist_ok=True)
        (tmp_path / "locks" / lock).write_text("click==8.5.1\n")
    home.uv.parent.mkdir(parents=True)
    home.uv.write_text(_UV.format(python=sys.executable))
    home.uv.chmod(0o755)
    (home.tools / "uv" / ".ainexus-lock").write_text(UV_VERSION)
    (tmp_path / "infra").mkdir()
    _node_tools(home, "pass")
    return home


def _node_tools(home: Home, body: str) -> None:
    (home.root / "infra" / "__init__.py").touch()
    (home.root / "infra" / "tools.py").write_text(f"def install_node_tools():\n    {body}\n")


def _payload(home: Home) -> str:
    out = io.StringIO()
    install(home, progress=ConsoleProgress(out))
    return out.getvalue()


class TestInstall:
    def test_prints_each_step_and_does_nothing_the_second_time(self, home: Home) -> None:
        first = _payload(home)
        assert [line for line in first.splitlines() if line.startswith("→")] == [
            "→ installing the tools (.venv) …",
            "→ installing the engine (.ainexus/engine) …",
            "→ installing the CDK command line …",
        ]
        assert _payload(home) == "  everything is installed\n"

    def test_does_only_what_has_changed(self, home: Home) -> None:
        _payload(home)
        home.engine_lock.write_text("click==8.5.2\n")
        assert "engine" in (second := _payload(home))
        assert ".venv" not in second

    def test_continues_where_it_failed(self, home: Home) -> None:
        _node_tools(home, "raise SystemExit('npm error network\\nother noise')")
        with pytest.raises(NotInstalled, match=r"npm registry[\s\S]*npm error network$"):
            _payload(home)
        _node_tools(home, "pass")
        assert _payload(home).splitlines()[0] == "→ installing the CDK command line …"
