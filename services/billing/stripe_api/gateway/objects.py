"""Translation of Stripe's values, for all gateways. https://docs.stripe.com/api, version 2026-08-26.dahlia."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from services.billing.errors import RejectedByStripe
from services.billing.stripe_api.gateway.client import translate_errors

if TYPE_CHECKING:
    from stripe import StripeClient

Json = Mapping[str, Any]

TENANT = "tenant_id"
"""Key in the metadata of our customers and subscriptions."""


class StripeGateway:
    """The base of the gateways to one kind of objects at Stripe."""

    def __init__(self, client: "StripeClient") -> None:
        # The SDK's parameters are typed dicts with hundreds of fields. The tests check the requests against Stripe's
        # own description instead.
        self._client: Any = client.v1


def from_epoch(seconds: int) -> datetime:
    """Convert Stripe's whole seconds since 1970 to a UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


def to_epoch(at: datetime) -> int:
    """Convert a time to whole seconds since 1970."""
    return int(at.timestamp())


def nested(payload: Json, name: str) -> Json:
    """Return the nested object with this name, or an empty one if it is missing or not expanded."""
    child: object = payload.get(name)
    return cast("Json", child) if isinstance(child, Mapping) else {}


def to_dict(stripe_object: Any) -> dict[str, Any]:  # noqa: ANN401 — the SDK's own objects
    """Convert an object of the SDK to a dict."""
    return cast("dict[str, Any]", stripe_object.to_dict())


def list_all(listed: Any, query: Json) -> Iterator[Any]:  # noqa: ANN401 — the SDK's own objects
    """Yield the objects of all pages of a list."""
    return listed.list(query).auto_paging_iter()


def read_or_none(read: Callable[[], Any]) -> dict[str, Any] | None:
    """Return the object, or None if it does not exist at Stripe. Other rejections are raised."""
    try:
        with translate_errors():
            return to_dict(read())
    except RejectedByStripe as error:
        if error.is_missing:
            return None
        raise
