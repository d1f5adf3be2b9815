"""The official SDK, made for one key, and its errors in our words. The SDK is imported when it is first needed."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from services.billing.errors import (
    CatalogueMissing,
    KeyNotAccepted,
    KeyReused,
    OutOfTime,
    PaymentRefused,
    PaymentsBusy,
    PaymentsUnavailable,
    RefusedByStripe,
)
from shared.deadline import bounded_s
from shared.metrics import BILLING_FAILING
from shared.observability import logger, report

if TYPE_CHECKING:
    from stripe import StripeClient, StripeError

TIMEOUT_S = 10
"""Of one request, in seconds; less where the invocation ends before."""
_SHORTEST_TIMEOUT_S = 1
"""A request that has less time than this is not sent."""
_AT_THE_SAME_TIME = 409
_BROKEN = 500
_OTHER_MODE = "a similar object exists in"
"""A test key was put in where a live one belongs, or the reverse: to this key nothing exists."""


def make_client(api_key: str, *, api_base: str | None) -> "StripeClient":
    """Make a client that never retries by itself: the ledger decides when to do that.

    Args:
        api_key: Stripe's secret key.
        api_base: where Stripe is; None for the real one.
    """
    import stripe

    class BoundedClient(stripe.RequestsClient):
        """Ends each request before the invocation ends."""

        def request(
            self,
            method: str,
            url: str,
            headers: Mapping[str, str] | None,
            post_data: Any = None,  # noqa: ANN401 — the SDK's own signature
        ) -> tuple[bytes, int, Mapping[str, str]]:
            self._timeout = bounded_s(TIMEOUT_S)
            if self._timeout < _SHORTEST_TIMEOUT_S:
                raise OutOfTime
            return super().request(method, url, headers, post_data)  # pyright: ignore[reportUnknownMemberType]  # untyped there

    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base} if api_base else None,
        max_network_retries=0,
        http_client=BoundedClient(timeout=TIMEOUT_S),
    )


@contextmanager
def translated() -> Generator[None]:
    """Turn the SDK's errors into ours; the text of a refusal stays in the log.

    Only a 400 or 404 is a statement about the request itself. Everything else is an outage, and passes.

    Raises:
        PaymentsUnavailable: Stripe does not respond, or fails; the request may have been carried out.
        PaymentsBusy: Stripe has too many requests.
        KeyNotAccepted: the API key is expired, revoked, of the other mode, or lacks a permission.
        PaymentRefused: the card was declined.
        KeyReused: the idempotency key belongs to another request.
        RefusedByStripe: this request is refused, and would be refused again.
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
        raise PaymentRefused from error
    except stripe.StripeError as error:
        raise _refusal(error) from error


def _refusal(error: "StripeError") -> Exception:
    status = error.http_status or _BROKEN
    if status == _AT_THE_SAME_TIME or status >= _BROKEN:
        return PaymentsUnavailable()
    if _OTHER_MODE in (error.user_message or ""):
        return _key_not_accepted(error)
    logger.warning("refused by Stripe", status=status, code=error.code, stripe_request=error.request_id)
    msg = f"{error.code or status}: {error.user_message}"
    return RefusedByStripe(msg, code=error.code, param=getattr(error, "param", None), status=status)


def _key_not_accepted(error: "StripeError") -> KeyNotAccepted:
    facts = {"status": error.http_status, "code": error.code, "stripe_request": error.request_id}
    report("billing is failing", {BILLING_FAILING: 1}, reason="Stripe does not accept the API key", **facts)
    return KeyNotAccepted()


def catalogue_missing(name: str) -> CatalogueMissing:
    """Report that a meter or price of ours is not at Stripe, and return the error."""
    report("billing is failing", {BILLING_FAILING: 1}, reason="the price list is not set up", missing=name)
    return CatalogueMissing()
