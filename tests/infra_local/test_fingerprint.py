"""The changes that make a deployment necessary."""

from pathlib import Path

import pytest

from infra.local.fingerprint import fingerprint


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for path in ("infra/app.py", "infra/local/engine.py", "services/agents/service.py", "shared/ids.py", "cdk.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1")
    return tmp_path


class TestFingerprint:
    @pytest.mark.parametrize("path", ["infra/app.py", "services/agents/service.py", "cdk.json", "locks/functions.txt"])
    def test_changes_with_deployed_files(self, checkout: Path, path: str) -> None:
        before = fingerprint(checkout)
        (checkout / path).parent.mkdir(exist_ok=True)
        (checkout / path).write_text("2")
        assert fingerprint(checkout) != before

    @pytest.mark.parametrize(
        "path", ["infra/local/engine.py", "services/runs/README.md", "shared/__pycache__/ids.py", "cli/app.py"]
    )
    def test_ignores_other_files(self, checkout: Path, path: str) -> None:
        before = fingerprint(checkout)
        (checkout / path).parent.mkdir(exist_ok=True)
        (checkout / path).write_text("2")
        assert fingerprint(checkout) == before

    def test_changes_with_a_file_name(self, checkout: Path) -> None:
        before = fingerprint(checkout)
        (checkout / "shared/ids.py").rename(checkout / "shared/names.py")
        assert fingerprint(checkout) != before

    def test_changes_with_the_python_version(self, checkout: Path) -> None:
        assert fingerprint(checkout, also=("3.13",)) != fingerprint(checkout, also=("3.12",))
