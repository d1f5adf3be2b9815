"""Errors of customers, subscriptions, invoices and Stripe."""

from shared.errors import (
    AinexusError,
    ChangedMeanwhile,
    Conflict,
    DependencyUnavailable,
    IdempotencyKeyReused,
    InvalidRequest,
    Malformed,
    NotFound,
    PaymentRequired,
)


class CustomerExists(Conflict):
    """The tenant already has a customer record."""

    def __init__(self) -> None:
        super().__init__("The tenant already has a customer record.")


class CustomerChanged(ChangedMeanwhile):
    """The customer record changed after it was read."""

    def __init__(self) -> None:
        super().__init__("The tenant's billing changed at the same time. Try again.")


class InvoiceChanged(ChangedMeanwhile):
    """The invoice changed after it was read."""

    def __init__(self) -> None:
        super().__init__("The invoice changed at the same time.")


class EntryChanged(Conflict):
    """The entry of the sync ledger changed after it was read."""

    def __init__(self) -> None:
        super().__init__("The entry changed at the same time.")


class HourAlreadyStored(Conflict):
    """This revision of the hour is already stored."""

    def __init__(self) -> None:
        super().__init__("The usage of this hour is already stored.")


class HourAlreadyBooked(ChangedMeanwhile):
    """The hour is already in the sync ledger, or another hour was booked at the same time."""

    def __init__(self) -> None:
        super().__init__("Another hour was booked at the same time.")


class WebhookAlreadyReceived(Conflict):
    """The webhook is already in the inbox."""

    def __init__(self, *, done: bool) -> None:
        super().__init__("The webhook was already received.")
        self.done = done


class TooManyRecords(Conflict):
    """A tenant's records do not fit into memory."""

    def __init__(self) -> None:
        super().__init__("The records of this tenant are too large to compare at once. Choose a later start time.")


class BilledManually(Conflict):
    """Stripe does not bill this tenant, so it has no subscription to change."""

    def __init__(self) -> None:
        super().__init__("This tenant is billed manually. Start a checkout of a paid plan instead.")


class AlreadySubscribed(Conflict):
    """The tenant already has an ongoing subscription."""

    def __init__(self) -> None:
        super().__init__("The tenant already has a subscription. Change its plan instead.")


class CheckoutInProgress(Conflict):
    """Another request is opening a checkout page for this tenant."""

    def __init__(self) -> None:
        super().__init__("Another checkout of this tenant is being opened. Try again in a minute.")


class CheckoutClosed(Conflict):
    """The checkout page that was opened with this Idempotency-Key is paid, expired or replaced."""

    def __init__(self) -> None:
        super().__init__("The checkout of this Idempotency-Key is no longer open. Start another with a new key.")


class NoCustomerAtStripe(Conflict):
    """The tenant has no customer at Stripe, so there is nothing for a portal to show."""

    def __init__(self) -> None:
        super().__init__("The tenant has no customer at Stripe yet. Start a checkout first.")


class PlanIsFree(InvalidRequest):
    """The free plan needs no checkout."""

    def __init__(self) -> None:
        super().__init__("The free plan needs no checkout.")


class InvoiceNotFound(NotFound):
    """The tenant has no invoice with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such invoice.")


class PaymentsNotConfigured(DependencyUnavailable):
    """No Stripe API key is configured."""

    def __init__(self) -> None:
        super().__init__("Payments are not configured: no Stripe API key is set.")


class PaymentsUnavailable(DependencyUnavailable):
    """Stripe does not respond. The request may or may not have been carried out."""

    def __init__(self, message: str = "The payment provider is unavailable. Try again in a moment.") -> None:
        super().__init__(message, retry_after_s=5)


class RequestNotExecuted(PaymentsUnavailable):
    """The request was not carried out, and the same request may succeed later."""


class PaymentsBusy(RequestNotExecuted):
    """Stripe limits the rate of requests, or another request locks the object (429)."""

    def __init__(self) -> None:
        super().__init__("The payment provider limits the rate of requests. Try again in a moment.")


class NotEnoughTime(RequestNotExecuted):
    """The invocation has no time left for another request."""

    def __init__(self) -> None:
        super().__init__("There was not enough time left. Try again.")


class BookingIncomplete(NotEnoughTime):
    """More hours wait to be booked than one operation books. The next attempt continues."""


class ApiKeyRejected(RequestNotExecuted):
    """Stripe rejects the API key, or the key lacks a permission or belongs to the other mode (401, 403)."""

    def __init__(self) -> None:
        super().__init__(
            "The payment provider does not accept our API key. "
            "An operator replaces it with `ainexus secrets set stripe`; nothing is lost until then."
        )


class CatalogMissing(RequestNotExecuted):
    """A meter or price does not exist at Stripe."""

    def __init__(self) -> None:
        super().__init__("The price list is not set up at the payment provider: run `ainexus billing setup`.")


class PaymentDeclined(PaymentRequired):
    """The card was declined."""

    def __init__(self) -> None:
        super().__init__("The payment was declined.")


class KeyReused(IdempotencyKeyReused):
    """The Idempotency-Key belongs to another request."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used before with another request.")


class PriceInUse(Conflict):
    """The setup would change the price of ongoing subscriptions."""

    def __init__(self, lookup_keys: str) -> None:
        super().__init__(
            f"These prices are in use and cannot be changed: {lookup_keys}. "
            "Move their subscriptions to another plan first."
        )


class BadSignature(Malformed):
    """The signature of the webhook is missing or wrong, or its timestamp is out of bounds."""

    def __init__(self) -> None:
        super().__init__("The signature of this webhook is not valid.")


class RejectedByStripe(Exception):
    """Stripe rejects this request and would reject it again. Only operators see the message.

    Args:
        message: Stripe's error code and text.
        code: Stripe's error code, if any.
        param: the parameter that Stripe names, if any.
        status: the status of the HTTP response.
    """

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.status = status

    @property
    def is_missing(self) -> bool:
        """Return whether the object does not exist at Stripe."""
        return self.code == "resource_missing"


class SubscriptionMissing(AinexusError):
    """The grace period of a tenant is over, and Stripe has no subscription that decides its status."""

    def __init__(self) -> None:
        super().__init__("The grace period is over, but Stripe has no subscription. Check the customer at Stripe.")


class UsageNotAccepted(AinexusError):
    """Stripe rejected a meter event for a reason that may pass. It is retried, and quarantined after five failures.

    Only sweeps and commands raise this error, so only operators see Stripe's text.
    """
