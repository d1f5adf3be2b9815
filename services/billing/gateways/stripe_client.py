"""The official SDK, made for one key, and its errors in our words. The SDK is imported when it is first needed."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.billing.errors import KeyReused, PaymentRefused, PaymentsUnavailable, RefusedByStripe
from shared.observability import logger

if TYPE_CHECKING:
    from stripe import StripeClient

_TIMEOUT_S = 10
_BUSY = 429
_AT_THE_SAME_TIME = 409
_BROKEN = 500


def make_client(api_key: str, *, api_base: str | None) -> "StripeClient":
    """A client that never tries again by itself: when to do that is decided by the ledger.

    Args:
        api_key: Stripe's secret key.
        api_base: where Stripe is; None for the real one.
    """
    import stripe

    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base} if api_base else None,
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=_TIMEOUT_S),
    )


@contextmanager
def translated() -> Generator[None]:
    """Turn the SDK's errors into ours; what Stripe said of a refusal stays in the log.

    Raises:
        PaymentsUnavailable: Stripe does not answer, is busy, or is broken.
        PaymentRefused: the card was declined.
        KeyReused: the idempotency key belongs to another request.
        RefusedByStripe: anything else.
    """
    import stripe

    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise PaymentsUnavailable from error
    except stripe.IdempotencyError as error:
        raise KeyReused from error
    except stripe.CardError as error:
        raise PaymentRefused from error
    except stripe.StripeError as error:
        status = error.http_status or _BROKEN
        if status in {_BUSY, _AT_THE_SAME_TIME} or status >= _BROKEN:
            raise PaymentsUnavailable from error
        logger.warning("refused by Stripe", status=status, code=error.code, stripe_request=error.request_id)
        msg = f"{error.code or status}: {error.user_message}"
        raise RefusedByStripe(msg) from error
