"""The real things, made once per container."""

import os
from functools import cache

from services.billing.errors import PaymentsNotConfigured
from services.billing.gateways.inbox import Inbox, SqsInbox
from services.billing.gateways.payments import Payments, Shelf
from services.billing.gateways.secret import StripeSecret, StripeSecrets
from services.billing.gateways.stripe_client import make_client
from services.billing.gateways.stripe_payments import StripePayments
from services.billing.gateways.stripe_shelf import StripeShelf
from services.billing.table import SLICE
from shared.copies.tenant_access import TenantAccessCopies
from shared.declaration import exports_of
from shared.export.exporter import Depot
from shared.removal import Bucket
from shared.storage.clients import own_client, tenant_client
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


@cache
def tenant_store() -> Store:
    """The slice of the tenant that is acted for."""
    return Store(tenant_client("dynamodb"), table=os.environ[SLICE.table.variable], owned=SLICE)


@cache
def slice_store() -> Store:
    """The slice of every tenant, for events, schedules and webhooks."""
    return Store(own_client("dynamodb"), table=os.environ[SLICE.table.variable], owned=SLICE)


@cache
def copies() -> TenantAccessCopies:
    """The copies of tenants, to be written."""
    return TenantAccessCopies(slice_store())


def is_deleted(tenant_id: str) -> bool:
    """Whether the tenant is gone."""
    return copies().is_deleted(tenant_id)


def buckets() -> tuple[Bucket, ...]:
    """Where the objects of a deleted tenant are removed from."""
    return (Bucket(own_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"], exports_of("billing")),)


def depot() -> Depot:
    """Where the exports of the tenant that is acted for go."""
    return Depot(tenant_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"])


def access(tenant_id: str) -> TenantAccess:
    """What this service knows of the tenant that is acted for."""
    return TenantAccessCopies(tenant_store()).read(tenant_id)


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


@cache
def _payments(api_key: str) -> Payments:
    return StripePayments(make_client(api_key, api_base=_api_base()))


def _api_base() -> str | None:
    return os.environ.get("STRIPE_API_BASE") or None
