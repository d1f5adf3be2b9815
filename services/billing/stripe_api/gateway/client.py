"""The client of Stripe's official SDK, and the translation of its errors. The SDK is imported on first use."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from services.billing.errors import (
    ApiKeyRejected,
    CatalogMissing,
    KeyReused,
    NotEnoughTime,
    PaymentDeclined,
    PaymentsBusy,
    PaymentsUnavailable,
    RejectedByStripe,
)
from shared.deadline import bounded_s
from shared.metrics import BILLING_FAILING
from shared.observability import logger, report

if TYPE_CHECKING:
    from stripe import StripeClient, StripeError

TIMEOUT_S = 10
"""Timeout of one request in seconds. It is shorter if the invocation ends before."""
_MIN_TIMEOUT_S = 1
"""Seconds that must remain before a request is sent."""
_STATUS_CONFLICT = 409
_STATUS_SERVER_ERROR = 500
_WRONG_MODE_MESSAGE = "a similar object exists in"
"""Part of Stripe's message if a test key is used in live mode or the reverse. No object exists for such a key."""


def make_client(api_key: str, *, api_base: str | None) -> "StripeClient":
    """Create a client that never retries by itself, because the sync ledger decides when to retry.

    Args:
        api_key: Stripe's secret key.
        api_base: the base URL of the API; None for Stripe's own.
    """
    import stripe

    class BoundedClient(stripe.RequestsClient):
        """An HTTP client that ends each request before the invocation ends."""

        def request(
            self,
            method: str,
            url: str,
            headers: Mapping[str, str] | None,
            post_data: Any = None,  # noqa: ANN401 — the SDK's own signature
        ) -> tuple[bytes, int, Mapping[str, str]]:
            self._timeout = bounded_s(TIMEOUT_S)
            if self._timeout < _MIN_TIMEOUT_S:
                raise NotEnoughTime
            return super().request(method, url, headers, post_data)  # pyright: ignore[reportUnknownMemberType]  # untyped there

    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base} if api_base else None,
        max_network_retries=0,
        http_client=BoundedClient(timeout=TIMEOUT_S),
    )


@contextmanager
def translate_errors() -> Generator[None]:
    """Translate the SDK's errors into ours. The text of a rejection is only logged.

    Only a 400 or a 404 concerns the request itself. Everything else is an outage and passes.

    Raises:
        PaymentsUnavailable: Stripe does not respond or fails; the request may have been carried out.
        PaymentsBusy: Stripe limits the rate of requests.
        ApiKeyRejected: the API key is expired, revoked, of the other mode, or lacks a permission.
        PaymentDeclined: the card was declined.
        KeyReused: the idempotency key belongs to another request.
        RejectedByStripe: Stripe rejects this request and would reject it again.
    """
    import stripe

    try:
        yield
    except stripe.RateLimitError as error:
        raise PaymentsBusy from error
    except stripe.APIConnectionError as error:
        raise PaymentsUnavailable from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise _key_not_accepted(error) from error
    except stripe.IdempotencyError as error:
        raise KeyReused from error
    except stripe.CardError as error:
        raise PaymentDeclined from error
    except stripe.StripeError as error:
        raise _rejection(error) from error


def _rejection(error: "StripeError") -> Exception:
    status = error.http_status or _STATUS_SERVER_ERROR
    if status == _STATUS_CONFLICT or status >= _STATUS_SERVER_ERROR:
        return PaymentsUnavailable()
    if _WRONG_MODE_MESSAGE in (error.user_message or ""):
        return _key_not_accepted(error)
    logger.warning("refused by Stripe", status=status, code=error.code, stripe_request=error.request_id)
    msg = f"{error.code or status}: {error.user_message}"
    return RejectedByStripe(msg, code=error.code, param=getattr(error, "param", None), status=status)


def _key_not_accepted(error: "StripeError") -> ApiKeyRejected:
    fields = {"status": error.http_status, "code": error.code, "stripe_request": error.request_id}
    report("billing is failing", {BILLING_FAILING: 1}, reason="Stripe does not accept the API key", **fields)
    return ApiKeyRejected()


def catalog_missing(name: str) -> CatalogMissing:
    """Report that a meter or price does not exist at Stripe, and return the error to raise."""
    report("billing is failing", {BILLING_FAILING: 1}, reason="the price list is not set up", missing=name)
    return CatalogMissing()
