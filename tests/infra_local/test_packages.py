"""Installation of packages, with a fake uv."""

import sys
from pathlib import Path

import pytest

from infra.local.errors import NotInstalled
from infra.local.packages import Packages
from infra.local.paths import Home

_WORKS = f"""
case "$1" in
  venv) for last; do :; done; mkdir -p "$last/bin"; ln -s {sys.executable} "$last/bin/python" ;;
esac
echo "$@" >> "$(dirname "$0")/calls"
"""


def _packages(root: Path, uv: str) -> Packages:
    home = Home(root=root, state=root / ".ainexus")
    home.uv.parent.mkdir(parents=True)
    home.uv.write_text(f"#!/bin/sh\n{uv}\n")
    home.uv.chmod(0o755)
    return Packages(home)


def _lock(root: Path) -> Path:
    lock = root / "lock.txt"
    lock.write_text("click==8.5.1\n")
    return lock


class TestInstall:
    def test_is_current_until_the_lock_changes(self, tmp_path: Path) -> None:
        packages, lock = _packages(tmp_path, _WORKS), _lock(tmp_path)
        environment = tmp_path / "environment"
        assert not packages.is_current(environment, lock=lock)
        packages.install(environment, lock=lock, interpreter=Path(sys.executable))
        assert packages.is_current(environment, lock=lock)
        lock.write_text("click==8.5.2\n")
        assert not packages.is_current(environment, lock=lock)

    def test_keeps_an_environment_that_has_the_right_python(self, tmp_path: Path) -> None:
        packages, lock = _packages(tmp_path, _WORKS), _lock(tmp_path)
        for _ in range(2):
            packages.install(tmp_path / "environment", lock=lock, interpreter=Path(sys.executable))
        calls = (tmp_path / ".ainexus" / "uv" / "bin" / "calls").read_text().splitlines()
        assert [call.split()[0] for call in calls] == ["venv", "pip", "pip"]
        assert all("--require-hashes" in call for call in calls[1:])

    def test_names_an_unreachable_index(self, tmp_path: Path) -> None:
        packages = _packages(tmp_path, "echo 'error: Request failed: dns error' >&2; exit 2")
        with pytest.raises(NotInstalled, match="package index cannot be reached"):
            packages.install(tmp_path / "environment", lock=_lock(tmp_path), interpreter=Path(sys.executable))

    def test_shows_the_reason_of_any_other_failure(self, tmp_path: Path) -> None:
        packages = _packages(tmp_path, "echo 'no space left on device' >&2; exit 2")
        with pytest.raises(NotInstalled, match="no space left on device"):
            packages.install(tmp_path / "environment", lock=_lock(tmp_path), interpreter=Path(sys.executable))
