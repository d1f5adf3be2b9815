"""`logs`: what the functions of a service say."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cli.errors import Refused
from cli.target import Target, for_target
from infra.local.warmth import functions_of
from shared.times import to_text

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

_CORE = "core"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PAUSE_S = 1
_OVERLAP_MS = 10_000
"""A line may arrive later than its own time says."""

Line = dict[str, Any]


@click.command()
@click.argument("service")
@click.option("--since", default="10m", show_default=True, help="How far back: 30s, 10m, 2h, 1d.")
@click.option("--follow", is_flag=True, help="Go on with what comes.")
@for_target
def logs(target: Target, *, service: str, since: str, follow: bool) -> None:
    """Print what the functions of a SERVICE say.

    The service `core` has the health function and the publisher.
    """
    groups = [target.names.logs(name) for name in functions_of_service(target, service)]
    begin_ms = int(time.time() * 1000) - seconds_of(since) * 1000
    for line in lines_of(target.clients.logs, groups, begin_ms=begin_ms, follow=follow):
        click.echo(format_line(line, as_json=target.as_json))


def functions_of_service(target: Target, service: str) -> list[str]:
    """The names of a service's functions.

    Raises:
        Refused: it has none here.
    """
    services: dict[str, list[str]] = {}
    for name in functions_of(target.clients.functions, target.environment):
        core = name in {target.names.api, target.names.publisher}
        owner = _CORE if core else name.removeprefix(target.names.of("")).partition("-")[0]
        services.setdefault(owner, []).append(name)
    if service not in services:
        known = ", ".join(sorted(services))
        msg = f"There is no service {service}; there are {known}." if known else target.not_deployed
        raise Refused(msg)
    return services[service]


def lines_of(logs: "CloudWatchLogsClient", groups: list[str], *, begin_ms: int, follow: bool) -> Iterator[Line]:
    """Lines of all groups in the order of time, each once."""
    seen: set[str] = set()
    while True:
        found = [line for group in groups for line in _read(logs, group, begin_ms=begin_ms)]
        fresh = sorted((line for line in found if line["eventId"] not in seen), key=lambda line: line["timestamp"])
        yield from fresh
        if not follow:
            return
        begin_ms = max([begin_ms, *(line["timestamp"] - _OVERLAP_MS for line in fresh)])
        seen = {line["eventId"] for line in found}
        time.sleep(_PAUSE_S)


def _read(logs: "CloudWatchLogsClient", group: str, *, begin_ms: int) -> Iterator[Line]:
    paginator = logs.get_paginator("filter_log_events")
    try:
        for page in paginator.paginate(logGroupName=group, startTime=begin_ms):
            for event in page["events"]:
                # The engine gives no ids.
                said = f"{event.get('logStreamName')} {event.get('timestamp')} {event.get('message')}"
                yield {**event, "group": group, "eventId": event.get("eventId", said)}
    except logs.exceptions.ResourceNotFoundException:
        return


def format_line(line: Line, *, as_json: bool) -> str:
    """A line as it is, behind its time and its function; in JSON what the function said, or Lambda of it."""
    message, function = str(line["message"]).rstrip(), line["group"].rpartition("/")[2]
    at = datetime.fromtimestamp(line["timestamp"] / 1000, UTC)
    if as_json and message.startswith("{"):
        return message
    if as_json:
        return json.dumps({"message": message, "timestamp": to_text(at), "function": function})
    return f"{at.strftime('%H:%M:%S.%f')[:-3]} {function}  {message}"


def seconds_of(text: str) -> int:
    """`10m` in seconds.

    Raises:
        Refused: it is none.
    """
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        msg = f"{text!r} is no duration: write 30s, 10m, 2h or 1d."
        raise Refused(msg)
    return int(found[1]) * _UNITS_S[found[2]]
