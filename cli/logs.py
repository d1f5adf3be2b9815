"""Log lines of the functions of a service."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.errors import CommandRefused
from cli.target import Target
from infra.local.warmth import functions_of
from shared.times import to_text

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

_CORE = "core"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PAUSE_S = 1
_MAX_DELAY_MS = 10_000
"""The longest time between a line's timestamp and its arrival."""

LogLine = dict[str, Any]


def find_functions(target: Target, service: str) -> list[str]:
    """Return the names of a service's functions.

    Raises:
        CommandRefused: this environment has no such service.
    """
    services: dict[str, list[str]] = {}
    for name in functions_of(target.clients.functions, target.environment):
        core = name in {target.names.api, target.names.publisher}
        owner = _CORE if core else name.removeprefix(target.names.of("")).partition("-")[0]
        services.setdefault(owner, []).append(name)
    if service not in services:
        known_names = ", ".join(sorted(services))
        msg = f"There is no service {service}. Use one of {known_names}." if known_names else target.not_deployed
        raise CommandRefused(msg)
    return services[service]


def read_lines(logs: "CloudWatchLogsClient", groups: list[str], *, begin_ms: int, follow: bool) -> Iterator[LogLine]:
    """Yield the lines of all groups by time, each once.

    Args:
        logs: the client.
        groups: log groups; those that do not exist are empty.
        begin_ms: the time of the oldest line, in milliseconds since 1970.
        follow: whether to wait for new lines for ever.
    """
    seen: set[str] = set()
    while True:
        found = [line for group in groups for line in _read(logs, group, begin_ms=begin_ms)]
        fresh = sorted((line for line in found if line["eventId"] not in seen), key=lambda line: line["timestamp"])
        yield from fresh
        if not follow:
            return
        begin_ms = max([begin_ms, *(line["timestamp"] - _MAX_DELAY_MS for line in fresh)])
        seen = {line["eventId"] for line in found}
        time.sleep(_PAUSE_S)


def _read(logs: "CloudWatchLogsClient", group: str, *, begin_ms: int) -> Iterator[LogLine]:
    paginator = logs.get_paginator("filter_log_events")
    try:
        for page in paginator.paginate(logGroupName=group, startTime=begin_ms):
            for event in page["events"]:
                # The local engine assigns no ids.
                substitute = f"{event.get('logStreamName')} {event.get('timestamp')} {event.get('message')}"
                yield {**event, "group": group, "eventId": event.get("eventId", substitute)}
    except logs.exceptions.ResourceNotFoundException:
        return


def format_line(line: LogLine, *, as_json: bool) -> str:
    """Return a line with its time and function; as JSON, a line that is JSON already is returned unchanged."""
    message, function = str(line["message"]).rstrip(), line["group"].rpartition("/")[2]
    at = datetime.fromtimestamp(line["timestamp"] / 1000, UTC)
    if as_json and message.startswith("{"):
        return message
    if as_json:
        return json.dumps({"message": message, "timestamp": to_text(at), "function": function})
    return f"{at.strftime('%H:%M:%S.%f')[:-3]} {function}  {message}"


def parse_duration(text: str) -> int:
    """Return a duration such as `10m` in seconds.

    Raises:
        CommandRefused: the text is not a number with a unit of s, m, h or d.
    """
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        msg = f"{text!r} is not a duration. Use, for example, 30s, 10m, 2h or 1d."
        raise CommandRefused(msg)
    return int(found[1]) * _UNITS_S[found[2]]
