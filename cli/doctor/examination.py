"""`doctor`: what is wrong, and what to do."""

from collections.abc import Iterator, Mapping

import click

from cli.doctor.checks import CHECKS, GROUNDS, Check, Finding, Level
from cli.errors import Refused, explain
from cli.output import show
from cli.target import Target, for_target

_SIGNS = {Level.OK: "✓", Level.NOTE: "·", Level.TROUBLE: "✗"}


@click.command()
@for_target
def doctor(target: Target) -> int:
    """Look for what can be wrong, and say what to do.

    The exit code is 0 only when nothing is.
    """
    found = list(examine(target, GROUNDS, CHECKS))
    rows = [{"check": name, "level": one.level, "says": one.says, "advice": one.advice} for name, one in found]
    show(target, {"findings": rows}, [line_of(name, one) for name, one in found])
    return int(any(one.level is Level.TROUBLE for _, one in found))


def examine(target: Target, grounds: Mapping[str, Check], checks: Mapping[str, Check]) -> Iterator[tuple[str, Finding]]:
    """All findings; what stands on broken ground is not looked at."""
    for name, check in grounds.items():
        found = list(_findings(target, check))
        yield from ((name, one) for one in found)
        if any(one.level is Level.TROUBLE for one in found):
            return
    for name, check in checks.items():
        yield from ((name, one) for one in _findings(target, check))


def _findings(target: Target, check: Check) -> Iterator[Finding]:
    """What a check finds; that it cannot look is a finding, too."""
    try:
        yield from check(target)
    except Exception as error:
        reason = error.message if isinstance(error, Refused) else explain(error)
        if reason is None:
            raise
        yield Finding(Level.TROUBLE, f"This cannot be looked at: {reason}")


def line_of(name: str, finding: Finding) -> str:
    """A finding on one line, what to do on the next."""
    line = f"{_SIGNS[finding.level]} {name:12} {finding.says}"
    return f"{line}\n{'':15}→ {finding.advice}" if finding.advice else line
