"""The command line as a whole."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.app import ainexus, main
from infra.local.paths import ROOT
from shared.version import VERSION

HEAVY = ("boto3", "botocore", "pydantic", "aws_cdk", "services", "infra.profile", "urllib.request")
"""Modules that take a tenth of a second or more to import."""


def _commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command, name
        if isinstance(command, click.Group):
            yield from _commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


_ALL = dict(_commands(ainexus))


class TestCommandsOfTheRoot:
    @pytest.mark.parametrize("name", _ALL)
    def test_have_the_two_options_of_every_command(self, name: str) -> None:
        options = {option for parameter in _ALL[name].params for option in parameter.opts}
        assert {"--env", "--json"} <= options

    @pytest.mark.parametrize("name", _ALL)
    def test_have_a_help_text(self, name: str) -> None:
        assert _ALL[name].help

    @pytest.mark.parametrize("name", _ALL)
    def test_explain_every_option(self, name: str) -> None:
        options = [one for one in _ALL[name].params if isinstance(one, click.Option)]
        assert [option.name for option in options if not option.help] == []

    @pytest.mark.parametrize("name", _ALL)
    def test_are_listed_with_a_whole_sentence(self, name: str) -> None:
        on_80_columns = 60
        assert not _ALL[name].get_short_help_str(on_80_columns).endswith("...")

    def test_take_no_key_as_an_argument(self) -> None:
        assert [
            parameter.name for parameter in _ALL["secrets set"].params if isinstance(parameter, click.Argument)
        ] == ["kind"]


class TestMain:
    def test_prints_the_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"ainexus, version {VERSION}\n"

    def test_explains_an_unknown_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bogus"]) == 2
        assert "No such command 'bogus'" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["up", "down", "reset", "demo"])
    def test_keeps_local_commands_local(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([command, "--env", "prod"]) == 1
        assert "works only on the mesh of this machine" in capsys.readouterr().err

    @pytest.mark.parametrize(("command", "instead"), [("destroy", "ainexus reset"), ("bootstrap", "ainexus up")])
    def test_keeps_other_commands_away_from_this_machine(
        self, command: str, instead: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([command]) == 1
        assert instead in capsys.readouterr().err

    def test_shows_the_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--help"]) == 0
        assert "dead-letters" in capsys.readouterr().out

    def test_prints_an_expected_error_on_one_line(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("AINEXUS_HOME", str(tmp_path))
        assert main(["outputs"]) == 1
        assert capsys.readouterr().err == "Error: The local mesh is not up. Run `make up`.\n"


class TestImports:
    def test_of_the_help_are_light(self) -> None:
        code = f"import sys; from cli.app import main; main(['--help']); print({{*{HEAVY!r}}} & sys.modules.keys())"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 — our own code
        assert done.stdout.splitlines()[-1] == "set()"
