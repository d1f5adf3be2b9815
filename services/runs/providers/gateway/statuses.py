"""Conversion of a provider's HTTP status to the failure of a call."""

from services.runs.errors import ProviderFailed


def of_status(status: int, message: str, *, retry_after_s: float | None = None) -> ProviderFailed:
    """Return the failure of a call that was answered with this status and so has no usage.

    Args:
        status: the HTTP status.
        message: the provider's own error message.
        retry_after_s: the `Retry-After` in seconds.
    """
    if status in {401, 403}:
        return ProviderFailed("ProviderUnauthorized", "The provider does not accept the key.")
    if status == 404:
        return ProviderFailed("ProviderModelNotFound", message)
    if status == 429:
        return ProviderFailed("ProviderRateLimited", message, retry=True, retry_after_s=retry_after_s)
    if status >= 500:
        return ProviderFailed("ProviderUnavailable", message, retry=True, retry_after_s=retry_after_s)
    return ProviderFailed("ProviderRejected", message)
