"""The root command, and the exit codes of errors."""

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import click

from cli import commands
from shared.version import VERSION

INTERRUPTED_EXIT_CODE = 130


class CommandGroup(click.Group):
    """The modules of `cli.commands` as commands, each imported when it is needed.

    The command `dead-letters` is `dead_letters` in the module `dead_letters`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        """Return the names of all commands, sorted."""
        return sorted(module.name.replace("_", "-") for module in iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of this name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"{commands.__name__}.{name}"), name)
        return command


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION)
def ainexus() -> None:
    """Operate the mesh on this machine (--env local) or on AWS (--env dev, staging or prod)."""


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; expected errors are printed on one line."""
    try:
        code = ainexus.main(list(arguments), prog_name="ainexus", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nInterrupted.", err=True)
        return INTERRUPTED_EXIT_CODE
    except Exception as error:  # noqa: BLE001 — the edge: expected errors are explained, all others are raised again
        return _print_explanation(error)
    return code if isinstance(code, int) else 0


def _print_explanation(error: Exception) -> int:
    from cli.explanation import explain  # it imports botocore

    line = explain(error)
    if line is None:
        raise error
    click.echo(f"Error: {line}", err=True)
    return 1
