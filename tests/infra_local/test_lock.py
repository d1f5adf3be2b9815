"""The lock of a checkout's mesh."""

from pathlib import Path

import pytest

from infra.local.errors import LocalError
from infra.local.lock import exclusive_lock
from infra.local.paths import Home


class TestExclusiveLock:
    def test_refuses_a_second_command(self, tmp_path: Path) -> None:
        home = Home(tmp_path, tmp_path / "state")
        with exclusive_lock(home), pytest.raises(LocalError, match="Another command"), exclusive_lock(home):
            pass

    def test_is_released_for_the_next_command(self, tmp_path: Path) -> None:
        home = Home(tmp_path, tmp_path / "state")
        for _ in range(2):
            with exclusive_lock(home):
                pass
