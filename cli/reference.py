"""The reference of all commands as a page: `python -m cli.reference` writes `docs/cli.md`."""

import inspect
from collections.abc import Iterator

import click

from cli.app import ainexus
from infra.local.paths import ROOT

PAGE = ROOT / "docs" / "cli.md"

COMMON_OPTIONS = frozenset({"--env", "--json"})

_HEAD = """# Command line

`make docs` generates this page from the commands. Run `./ainexus` in the checkout.

Every command takes two options, which are not repeated below. `--env` selects the environment to work on: `local` (the
default), `dev`, `staging` or `prod`. `--json` prints JSON. `./ainexus --version` prints the version, and `--help`
explains any command.
"""


def reference() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(line for name, command in commands(ainexus) for line in _section(name, command))])


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Find all commands below a group, each with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        elif command is not None:
            yield " ".join((*names, name)), command


def _section(name: str, command: click.Command) -> Iterator[str]:
    yield from (f"## {name}", "")
    yield from (inspect.cleandoc(command.help or ""), "")
    usage = " ".join(command.collect_usage_pieces(click.Context(command)))
    yield from ("```sh", f"./ainexus {name} {usage}", "```", "")
    options = [option for option in command.params if isinstance(option, click.Option)]
    rows = [_row(option) for option in options if not COMMON_OPTIONS & {*option.opts}]
    if rows:
        yield from ("| Option | Meaning |", "|---|---|", *rows, "")


def _row(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return f"| `{names}{_value(option)}` | {' '.join(_meaning(option))} |"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    is_choice = isinstance(option.type, click.Choice)
    return f" {option.human_readable_name.upper() if is_choice else option.type.name.split()[0].upper()}"


def _meaning(option: click.Option) -> Iterator[str]:
    yield option.help or ""
    if isinstance(option.type, click.Choice):
        yield f"One of {', '.join(f'`{choice}`' for choice in option.type.choices)}."
    if option.required:
        yield "Required."
    if option.show_default:
        yield f"Default: `{option.default}`."


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference())


if __name__ == "__main__":
    main()
