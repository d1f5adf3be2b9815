"""The real things of this service."""

import os
from functools import cache, lru_cache

from services.billing.errors import PaymentsNotConfigured
from services.billing.gateways.inbox import Inbox, SqsInbox
from services.billing.gateways.payments import Payments, Shelf
from services.billing.gateways.secret import StripeSecret, StripeSecrets
from services.billing.gateways.stripe_client import make_client
from services.billing.gateways.stripe_payments import StripePayments
from services.billing.gateways.stripe_shelf import StripeShelf
from services.billing.table import SLICE
from shared.storage.clients import own_client
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="billing")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
access, is_deleted = _own.access, _own.is_deleted
empty_folder, depot = _own.empty_folder, _own.depot


@cache
def secrets() -> StripeSecrets:
    """Stripe's keys."""
    return StripeSecrets(own_client("secretsmanager"), name=f"ainexus-{os.environ['ENVIRONMENT']}/stripe/secret")


def secret() -> StripeSecret:
    """Stripe's keys.

    Raises:
        PaymentsNotConfigured: none are put in.
    """
    found = secrets().read()
    if found is None:
        raise PaymentsNotConfigured
    return found


def find_payments() -> Payments | None:
    """Stripe; None where no key is put in."""
    found = secrets().read()
    return _payments(found.api_key) if found else None


def payments() -> Payments:
    """Stripe.

    Raises:
        PaymentsNotConfigured: no key is put in.
    """
    return _payments(secret().api_key)


def shelf() -> Shelf:
    """Stripe's catalogue.

    Raises:
        PaymentsNotConfigured: no key is put in.
    """
    return StripeShelf(make_client(secret().api_key, api_base=_api_base()))


@cache
def inbox() -> Inbox:
    """The queue of webhooks that are to be handled."""
    return SqsInbox(own_client("sqs"), url=os.environ["INBOX_QUEUE_URL"])


@lru_cache(maxsize=1)
def _payments(api_key: str) -> Payments:
    return StripePayments(make_client(api_key, api_base=_api_base()))


def _api_base() -> str | None:
    return os.environ.get("STRIPE_API_BASE") or None
