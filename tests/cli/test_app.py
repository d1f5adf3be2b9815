"""The command line as a whole."""

from collections.abc import Iterator

import click
import pytest

from cli.app import ainexus, main


def _commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


_ALL = dict(_commands(ainexus))


class TestCommands:
    @pytest.mark.parametrize("name", _ALL)
    def test_has_the_two_options_of_every_command(self, name: str) -> None:
        options = {option for parameter in _ALL[name].params for option in parameter.opts}
        assert {"--env", "--json"} <= options

    @pytest.mark.parametrize("name", _ALL)
    def test_says_what_it_does(self, name: str) -> None:
        assert _ALL[name].help

    @pytest.mark.parametrize("name", _ALL)
    def test_is_listed_by_a_whole_sentence(self, name: str) -> None:
        on_80_columns = 60
        assert not _ALL[name].get_short_help_str(on_80_columns).endswith("...")

    def test_takes_no_key_as_an_argument(self) -> None:
        assert [
            parameter.name for parameter in _ALL["secrets set"].params if isinstance(parameter, click.Argument)
        ] == ["kind"]


class TestMain:
    def test_explains_an_unknown_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bogus"]) == 2
        assert "No such command 'bogus'" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["up", "down", "reset", "demo"])
    def test_keeps_local_commands_local(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([command, "--env", "prod"]) == 1
        assert "for the mesh of this machine alone" in capsys.readouterr().err

    def test_keeps_other_commands_away_from_this_machine(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["destroy"]) == 1
        assert "ainexus reset" in capsys.readouterr().err

    def test_shows_the_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--help"]) == 0
        assert "dead-letters" in capsys.readouterr().out
