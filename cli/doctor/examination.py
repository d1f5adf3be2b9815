"""Running the checks, and their results as text."""

from collections.abc import Iterator, Mapping

from cli.doctor.checks import Check, CheckResult, Level
from cli.errors import CommandRefused
from cli.explanation import explain
from cli.target import Target

_SIGNS = {Level.OK: "✓", Level.NOTE: "·", Level.TROUBLE: "✗"}


def examine(
    target: Target, prerequisites: Mapping[str, Check], checks: Mapping[str, Check]
) -> Iterator[tuple[str, CheckResult]]:
    """Yield the results of all checks; a failed prerequisite is the last one."""
    for name, check in prerequisites.items():
        results = list(_run(target, check))
        yield from ((name, one) for one in results)
        if any(one.level is Level.TROUBLE for one in results):
            return
    for name, check in checks.items():
        yield from ((name, one) for one in _run(target, check))


def _run(target: Target, check: Check) -> Iterator[CheckResult]:
    """Yield the results of a check; an expected error in it is a result, too."""
    try:
        yield from check(target)
    except Exception as error:
        reason = error.message if isinstance(error, CommandRefused) else explain(error)
        if reason is None:
            raise
        yield CheckResult(Level.TROUBLE, f"This check cannot run: {reason}")


def format_result(name: str, result: CheckResult) -> str:
    """Return a result on one line, and its advice on a second one."""
    line = f"{_SIGNS[result.level]} {name:12} {result.message}"
    return f"{line}\n{'':15}→ {result.advice}" if result.advice else line
