"""The paths of files and the requested port."""

from pathlib import Path

import pytest

from infra.local.errors import LocalError
from infra.local.paths import ROOT, Home, wanted_port


class TestHome:
    def test_is_in_the_checkout(self) -> None:
        home = Home.of({})
        assert home.state == ROOT / ".ainexus"
        assert home.variables == ROOT / ".env.local"

    def test_keeps_only_the_state_elsewhere(self, tmp_path: Path) -> None:
        home = Home.of({"AINEXUS_HOME": str(tmp_path)})
        state = (home.engine_state, home.engine_log, home.engine_record, home.deployed, home.assembly, home.variables)
        assert all(path.is_relative_to(tmp_path) for path in state)
        assert home.engine_python.is_relative_to(ROOT / ".ainexus")

    def test_reads_the_engines_version_from_its_lock(self) -> None:
        assert Home.of({}).engine_version == "1.5.33"


class TestWantedPort:
    def test_is_none_without_a_setting(self) -> None:
        assert wanted_port({}) is None
        assert wanted_port({"AINEXUS_PORT": " "}) is None

    def test_is_the_configured_port(self) -> None:
        assert wanted_port({"AINEXUS_PORT": "4700"}) == 4700

    @pytest.mark.parametrize("text", ["abc", "80", "65536", "-1", "4566.5"])
    def test_refuses_an_invalid_port(self, text: str) -> None:
        with pytest.raises(LocalError, match="AINEXUS_PORT"):
            wanted_port({"AINEXUS_PORT": text})
