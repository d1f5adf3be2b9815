"""What a provider's HTTP status means for a run."""

from services.runs.errors import ProviderFailed


def of_status(status: int, message: str, *, retry_after_s: float | None = None) -> ProviderFailed:
    """The failure of a call that was answered with this status: the provider has counted nothing.

    Args:
        status: of the HTTP answer.
        message: the provider's own error message.
        retry_after_s: its `Retry-After`.
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
