"""`logs`."""

import time

import click

from cli.target import Target, for_target


@click.command()
@click.argument("service")
@click.option("--since", default="10m", show_default=True, help="Age of the oldest line: 30s, 10m, 2h, 1d.")
@click.option("--follow", is_flag=True, help="Wait for new lines until Ctrl+C.")
@for_target
def logs(target: Target, *, service: str, since: str, follow: bool) -> None:
    """Print the logs of the functions of SERVICE.

    The health function and the publisher belong to the service `core`.
    """
    from cli.logs import find_functions, format_line, parse_duration, read_lines

    groups = [target.names.logs(name) for name in find_functions(target, service)]
    begin_ms = int(time.time() * 1000) - parse_duration(since) * 1000
    for line in read_lines(target.clients.logs, groups, begin_ms=begin_ms, follow=follow):
        click.echo(format_line(line, as_json=target.as_json))
