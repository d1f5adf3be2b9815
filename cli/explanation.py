"""Explanations of the errors of boto3 and of the local mesh."""

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

from infra.local.errors import LocalError

_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, SSOTokenLoadError, UnauthorizedSSOTokenError)
_UNREACHABLE = (EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError)


def explain(error: Exception) -> str | None:
    """Return one line for an expected error; None for a defect of this program."""
    match error:
        case LocalError():
            return str(error)
        case ClientError():
            return _explain_response(error)
        case NoRegionError():
            return "No AWS region is set. Set AWS_REGION."
        case ProfileNotFound():
            return f"{error}. Check AWS_PROFILE."
        case BotoCoreError():
            return _explain_connection(error)
        case _:
            return None


def _explain_connection(error: BotoCoreError) -> str:
    if isinstance(error, _NO_CREDENTIALS):
        return "There are no valid AWS credentials. Sign in (for example `aws sso login`) or set AWS_PROFILE."
    if isinstance(error, _UNREACHABLE):
        return f"AWS cannot be reached: {error}"
    return str(error)


def _explain_response(error: ClientError) -> str:
    details = error.response.get("Error", {})
    code, message = details.get("Code", ""), details.get("Message", "")
    if code in _EXPIRED:
        return f"The AWS credentials are not valid or have expired: {message}"
    if code in _DENIED:
        return f"AWS denies this request: {message}"
    return f"{error.operation_name} was refused: {code}: {message}"
