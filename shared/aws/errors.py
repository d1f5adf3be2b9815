"""The errors of AWS that the same call may not meet again a moment later."""

from botocore.exceptions import ClientError

_PASSING_STATUS = frozenset({500, 502, 503, 504})
_PASSING = frozenset(
    {
        "RequestTimeout",
        "RequestTimeoutException",
        "PriorRequestNotComplete",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
    }
)
_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
    }
)
"""As in botocore's standard mode: https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html"""


def code_of(error: ClientError) -> str:
    """Return the error's code, for example `ThrottlingException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_throttled(error: ClientError) -> bool:
    """Return whether the service refuses the rate of calls."""
    return code_of(error) in _THROTTLED


def is_passing(error: ClientError) -> bool:
    """Return whether the same call may succeed later: the service is throttling or failing, and refuses nothing."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in _PASSING_STATUS or is_throttled(error) or code_of(error) in _PASSING
