"""The choice of the Python interpreter."""

import sys
from pathlib import Path

from infra.local import interpreter


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class TestVersionOf:
    def test_returns_the_version_of_a_working_interpreter(self) -> None:
        assert interpreter.version_of(Path(sys.executable)) == sys.version_info[:2]

    def test_returns_none_for_a_failing_shim(self, tmp_path: Path) -> None:
        shim = _script(tmp_path / "python3.13", "echo 'command not found' >&2; exit 127")
        assert interpreter.version_of(shim) is None

    def test_returns_none_for_a_missing_program(self, tmp_path: Path) -> None:
        assert interpreter.version_of(tmp_path / "python3.13") is None


class TestBest:
    def test_skips_broken_interpreters_and_other_versions(self) -> None:
        versions: dict[Path, tuple[int, int] | None] = {
            Path("shim"): None,
            Path("old"): (3, 12),
            Path("good"): (3, 13),
        }
        assert interpreter.best(versions, running=Path("this"), find_version=versions.get) == Path("good")

    def test_returns_the_running_interpreter_as_fallback(self) -> None:
        assert interpreter.best([Path("shim")], running=Path("this"), find_version=lambda _: None) == Path("this")


class TestCandidates:
    def test_lists_interpreters_of_a_version_manager_newest_first(self, tmp_path: Path) -> None:
        for version in ("3.13.2", "3.13.10", "3.12.1"):
            name = f"python{version.rpartition('.')[0]}"
            _script(tmp_path / ".pyenv" / "versions" / version / "bin" / name, "exit 0")
        found = [path.parts[-3] for path in interpreter.candidates(tmp_path, path="/nowhere") if ".pyenv" in path.parts]
        assert found == ["3.13.10", "3.13.2"]
