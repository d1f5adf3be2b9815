"""Errors that the command line reports on one line."""

from collections.abc import Mapping
from typing import Any

from click import ClickException


class CommandRefused(ClickException):
    """A command cannot do its work; the message gives the reason and the next step."""


def format_error(body: Mapping[str, Any]) -> str:
    """Return one line for the error shape that the API and the functions share."""
    details = "; ".join(f"{detail['field']}: {detail['message']}" for detail in body.get("details", []))
    return f"{body['error']}: {body.get('message', '')}{f' ({details})' if details else ''}"
