"""The usual troubles, each said in one clear line."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)
from click import ClickException

from infra.local.errors import LocalError


class Refused(ClickException):
    """What was asked for cannot be done; its text says why and what to do."""


_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_NO_LOGIN = (NoCredentialsError, PartialCredentialsError, SSOTokenLoadError, UnauthorizedSSOTokenError)
_UNREACHABLE = (EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError)


def reason_of(said: Mapping[str, Any]) -> str:
    """One line of the error shape that the API and the functions have in common."""
    details = "; ".join(f"{detail['field']}: {detail['message']}" for detail in said.get("details", []))
    return f"{said['error']}: {said.get('message', '')}{f' ({details})' if details else ''}"


def explain(error: Exception) -> str | None:
    """The line for a trouble that is known; None for what is a mistake in this program."""
    match error:
        case LocalError():
            return str(error)
        case ClientError():
            return _explain_answer(error)
        case NoRegionError():
            return "No AWS region is set: use --region."
        case ProfileNotFound():
            return f"{error}. Check AWS_PROFILE."
        case BotoCoreError():
            return _explain_way(error)
        case _:
            return None


def _explain_way(error: BotoCoreError) -> str:
    if isinstance(error, _NO_LOGIN):
        return "There are no valid AWS credentials. Sign in (for example `aws sso login`) or set AWS_PROFILE."
    if isinstance(error, _UNREACHABLE):
        return f"AWS cannot be reached: {error}"
    return str(error)


def _explain_answer(error: ClientError) -> str:
    said = error.response.get("Error", {})
    code, message = said.get("Code", ""), said.get("Message", "")
    if code in _EXPIRED:
        return f"The AWS credentials are not valid or have expired: {message}"
    if code in _DENIED:
        return f"AWS does not allow this: {message}"
    return f"{error.operation_name} was refused: {code}: {message}"
