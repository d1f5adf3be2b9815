"""Limits of tenants as options."""

from typing import Any

from cli.errors import CommandRefused


def parse_limits(options: tuple[str, ...]) -> dict[str, Any]:
    """Return the limits in options of the form `NAME=VALUE`.

    A value is a number, for `enabled_features` a comma-separated list. An empty value is None, which restores the
    plan's limit.

    Raises:
        CommandRefused: an option has another form.
    """
    return dict(_parse_limit(option) for option in options)


def _parse_limit(option: str) -> tuple[str, Any]:
    name, equals, value = option.partition("=")
    if not equals:
        msg = f"{option!r} is not a limit. Use NAME=VALUE, for example max_users=25."
        raise CommandRefused(msg)
    if not value:
        return name, None
    if name == "enabled_features":
        return name, value.split(",")
    try:
        return name, int(value)
    except ValueError as error:
        msg = f"{value!r} is not a number. Use, for example, {name}=25."
        raise CommandRefused(msg) from error
