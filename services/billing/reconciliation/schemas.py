"""Responses of the reconciliation API, and the inputs of its commands."""

from pydantic import AwareDatetime, ConfigDict

from shared.http.responses import ListResponse
from shared.schema import DocumentedModel


class DriftItem(DocumentedModel):
    """One number that differs from the expected one."""

    model_config = ConfigDict(from_attributes=True)

    tenant_id: str
    place: str
    """`sync ledger`, `stripe`, `stripe day`, `invoice` or `subscription`."""
    at: str
    """The start of the hour, or of an invoice line's period."""
    meter: str
    """The meter, or the name of the compared amount."""
    expected: int
    """The amount by the authoritative record."""
    found: int
    """The amount in the compared record."""
    subject: str | None
    """The id of the meter event, invoice or subscription."""


class UncomparedTenant(DocumentedModel):
    """A tenant whose records could not be compared."""

    tenant_id: str
    reason: str


class ReconcileResponse(ListResponse):
    """The differences of a page of tenants. Usage that is still being sent is `pending`."""

    drift: list[DriftItem]
    pending: list[DriftItem]
    """Differences that work in progress explains."""
    failed: list[UncomparedTenant]
    """Compare these tenants one by one with `ainexus reconcile --tenant`."""
    tenants: int
    """The number of tenants on this page, including the failed ones."""


class WindowCommand(DocumentedModel):
    """The commands `compare_records` and `repair`."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str
    since: AwareDatetime
