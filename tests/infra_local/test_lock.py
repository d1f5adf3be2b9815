"""One command at a time."""

from pathlib import Path

import pytest

from infra.local.errors import LocalError
from infra.local.lock import only_one
from infra.local.paths import Home


class TestOnlyOne:
    def test_refuses_a_second_command(self, tmp_path: Path) -> None:
        home = Home(tmp_path, tmp_path / "state")
        with only_one(home), pytest.raises(LocalError, match="Another command"), only_one(home):
            pass

    def test_lets_the_next_one_in(self, tmp_path: Path) -> None:
        home = Home(tmp_path, tmp_path / "state")
        for _ in range(2):
            with only_one(home):
                pass
