"""Production dependencies of the billing service."""

import os
from functools import cache, lru_cache

from services.billing.catalog.gateway import CatalogGateway, StripeCatalogGateway
from services.billing.errors import PaymentsNotConfigured
from services.billing.partitions import SLICE
from services.billing.stripe_api.gateway.client import make_client
from services.billing.stripe_api.gateway.secret import StripeSecret, StripeSecrets
from services.billing.stripe_webhooks.gateway import BillingGateway, Inbox, SqsInbox, StripeBillingGateway
from shared.aws.clients import own_client
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="billing")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
access, is_deleted = _own.access, _own.is_deleted
empty_folder, artifact_store = _own.empty_folder, _own.artifact_store


@cache
def secrets() -> StripeSecrets:
    """Return the reader of Stripe's keys."""
    return StripeSecrets(own_client("secretsmanager"), name=f"ainexus-{os.environ['ENVIRONMENT']}/stripe/secret")


def secret() -> StripeSecret:
    """Return Stripe's keys.

    Raises:
        PaymentsNotConfigured: no key is configured.
    """
    configured = secrets().read()
    if configured is None:
        raise PaymentsNotConfigured
    return configured


def find_stripe_gateway() -> BillingGateway | None:
    """Return the Stripe gateway, or None if no key is configured."""
    configured = secrets().read()
    return _gateway(configured.api_key) if configured else None


def stripe_gateway() -> BillingGateway:
    """Return the Stripe gateway.

    Raises:
        PaymentsNotConfigured: no key is configured.
    """
    return _gateway(secret().api_key)


def catalog() -> CatalogGateway:
    """Return the gateway to Stripe's catalog of meters, products and prices.

    Raises:
        PaymentsNotConfigured: no key is configured.
    """
    return StripeCatalogGateway(make_client(secret().api_key, api_base=_api_base()))


@cache
def inbox() -> Inbox:
    """Return the queue of received webhooks."""
    return SqsInbox(own_client("sqs"), url=os.environ["INBOX_QUEUE_URL"])


@lru_cache(maxsize=1)
def _gateway(api_key: str) -> BillingGateway:
    return StripeBillingGateway(make_client(api_key, api_base=_api_base()))


def _api_base() -> str | None:
    return os.environ.get("STRIPE_API_BASE") or None
