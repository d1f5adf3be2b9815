"""Whether a webhook is Stripe's own, and of now. https://docs.stripe.com/webhooks#verify-manually."""

import re
from datetime import datetime

from services.billing.errors import BadSignature
from shared.times import epoch

OLDEST_S = 300
CLOCKS_DIFFER_S = 60
"""The SDK refuses no stamp of the future; one within this is only a clock that goes ahead."""


def verify(body: str, header: str | None, *, secret: str, now: datetime) -> None:
    """Let a webhook pass whose bytes carry Stripe's signature with a stamp of now.

    Args:
        body: as it came; any change of it breaks the signature.
        header: `Stripe-Signature`.
        secret: of the endpoint.
        now: the time.

    Raises:
        BadSignature: in every other case.
    """
    import stripe

    stamp = re.search(r"(?:^|,)t=(\d{1,12})(?:,|$)", header or "")
    if stamp is None or not -OLDEST_S <= int(stamp[1]) - epoch(now) <= CLOCKS_DIFFER_S:
        raise BadSignature
    try:
        stripe.WebhookSignature.verify_header(body, header, secret)  # pyright: ignore[reportUnknownMemberType]  # untyped there
    except stripe.SignatureVerificationError as error:
        raise BadSignature from error
