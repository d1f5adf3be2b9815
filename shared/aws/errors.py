"""Classification of AWS's errors: throttled, transient or permanent."""

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import DependencyUnavailable

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
_CALLER_REFUSED_STATUS = frozenset({401, 403})
_CALLER_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "KMSAccessDeniedException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "ResourceNotFoundException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Wrong permissions, credentials or names of resources. DynamoDB reports them with status 400:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"""


def code_of(error: ClientError) -> str:
    """Return the error's code, for example `ThrottlingException`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_throttled(error: ClientError) -> bool:
    """Return whether the service refuses the rate of calls."""
    return code_of(error) in _THROTTLED


def is_passing(error: ClientError) -> bool:
    """Return whether the same call may succeed later: the service is throttling or failing, and did not refuse it."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in _PASSING_STATUS or is_throttled(error) or code_of(error) in _PASSING


def is_outage(error: BaseException) -> bool:
    """Return whether an error does not concern the data: AWS or another dependency does not respond, or refuses us.

    Refused permissions and credentials are a mistake in the configuration. The same work succeeds once it is corrected.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return is_passing(error) or status in _CALLER_REFUSED_STATUS or code_of(error) in _CALLER_REFUSED
    return isinstance(error, DependencyUnavailable | BotoCoreError)
