"""`doctor`."""

import click

from cli.output import show
from cli.target import Target, for_target


@click.command()
@for_target
def doctor(target: Target) -> int:
    """Check the mesh and give advice on each problem.

    The exit code is 0 if there is no problem.
    """
    from cli.doctor.checks import CHECKS, PREREQUISITES, Level
    from cli.doctor.examination import examine, format_result

    results = list(examine(target, PREREQUISITES, CHECKS))
    rows = [{"check": name, "level": one.level, "says": one.message, "advice": one.advice} for name, one in results]
    show(target, {"findings": rows}, [format_result(name, one) for name, one in results])
    return int(any(one.level is Level.TROUBLE for _, one in results))
