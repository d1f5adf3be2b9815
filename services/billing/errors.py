"""What can go wrong with customers, their subscriptions and invoices."""

from shared.errors import (
    AinexusError,
    Conflict,
    DependencyUnavailable,
    IdempotencyKeyReused,
    InvalidRequest,
    Malformed,
    NotFound,
    PaymentRequired,
)


class CustomerExists(Conflict):
    """The tenant has its customer record already."""

    def __init__(self) -> None:
        super().__init__("The tenant has a customer record.")


class CustomerChanged(Conflict):
    """The customer record is not the one that was read."""

    def __init__(self) -> None:
        super().__init__("The tenant's billing changed at the same time; try again.")


class InvoiceChanged(Conflict):
    """The invoice is not the one that was read."""

    def __init__(self) -> None:
        super().__init__("The invoice changed at the same time.")


class EntryChanged(Conflict):
    """The entry of the sync ledger is not the one that was read."""

    def __init__(self) -> None:
        super().__init__("The entry changed at the same time.")


class AlreadyKept(Conflict):
    """The usage of this hour is known."""

    def __init__(self) -> None:
        super().__init__("The usage of this hour is known.")


class AlreadyBooked(Conflict):
    """The hour is in the sync ledger, or another one was booked at the same time."""

    def __init__(self) -> None:
        super().__init__("Another hour was booked at the same time.")


class AlreadyReceived(Conflict):
    """The webhook is in the inbox."""

    def __init__(self, *, done: bool) -> None:
        super().__init__("The webhook was received before.")
        self.done = done


class BooksTooLarge(Conflict):
    """A tenant's books do not fit into memory."""

    def __init__(self) -> None:
        super().__init__("These books are too large to be compared at once. Compare them from a later time on.")


class BilledByHand(Conflict):
    """The tenant's plan is none of Stripe's business."""

    def __init__(self) -> None:
        super().__init__("This tenant is billed by hand; a checkout of a paid plan changes that.")


class AlreadySubscribed(Conflict):
    """There is a subscription that goes on."""

    def __init__(self) -> None:
        super().__init__("The tenant has a subscription; change its plan instead.")


class CheckoutInProgress(Conflict):
    """Another request is opening a checkout of this tenant."""

    def __init__(self) -> None:
        super().__init__("Another checkout of this tenant is being opened. Try again in a minute.")


class CheckoutClosed(Conflict):
    """The page that was opened with this Idempotency-Key is paid, expired or replaced."""

    def __init__(self) -> None:
        super().__init__("The checkout of this Idempotency-Key is no longer open. Start another with a new key.")


class NoCustomerAtStripe(Conflict):
    """There is nothing at Stripe that a portal could show."""

    def __init__(self) -> None:
        super().__init__("The tenant has never been to the checkout; begin there.")


class PlanIsFree(InvalidRequest):
    """A checkout of a plan that costs nothing."""

    def __init__(self) -> None:
        super().__init__("The free plan needs no checkout.")


class InvoiceNotFound(NotFound):
    """There is no such invoice of this tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such invoice.")


class PaymentsNotConfigured(DependencyUnavailable):
    """No key of Stripe is put in."""

    def __init__(self) -> None:
        super().__init__("Payments are not configured here: Stripe's key is not put in.")


class PaymentsUnavailable(DependencyUnavailable):
    """Stripe does not respond; whether the request was carried out is not known."""

    def __init__(self, message: str = "The payment provider does not answer now; nothing was changed twice.") -> None:
        super().__init__(message, retry_after_s=5)


class NothingDone(PaymentsUnavailable):
    """Stripe, or our own code, did not carry the request out, and the same request may succeed later."""


class PaymentsBusy(NothingDone):
    """Stripe limits the rate of requests, or another request holds the object (429)."""

    def __init__(self) -> None:
        super().__init__("The payment provider has too many requests; try again in a moment.")


class OutOfTime(NothingDone):
    """The invocation has no time left for another request."""

    def __init__(self) -> None:
        super().__init__("There was not enough time left; try again.")


class BookingUnfinished(OutOfTime):
    """More hours wait to be booked than are booked at once; the next try goes on."""


class KeyNotAccepted(NothingDone):
    """Stripe does not accept the API key, or not for this request (401, 403, a key of the other mode)."""

    def __init__(self) -> None:
        super().__init__(
            "The payment provider does not accept our API key. "
            "An operator replaces it with `ainexus secrets set stripe`; nothing is lost until then."
        )


class CatalogueMissing(NothingDone):
    """The meters or prices are not at Stripe."""

    def __init__(self) -> None:
        super().__init__("The price list is not set up at the payment provider: run `ainexus billing setup`.")


class PaymentRefused(PaymentRequired):
    """The card was declined."""

    def __init__(self) -> None:
        super().__init__("The payment was declined.")


class KeyReused(IdempotencyKeyReused):
    """The Idempotency-Key belongs to another request."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used before with another request.")


class PriceInUse(Conflict):
    """A set-up would change the price of subscriptions that go on."""

    def __init__(self, lookup_keys: str) -> None:
        super().__init__(
            f"In use, so not to be changed: {lookup_keys}. Move their subscriptions to another plan first."
        )


class BadSignature(Malformed):
    """The webhook is not Stripe's, or not of now."""

    def __init__(self) -> None:
        super().__init__("The signature of this webhook is not valid.")


class RefusedByStripe(Exception):
    """Stripe refuses this very request, and would again; the message is for operators alone.

    Args:
        message: Stripe's code and text.
        code: Stripe's error code, if any.
        param: the parameter that Stripe names, if any.
        status: of the HTTP response.
    """

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.status = status

    @property
    def is_missing(self) -> bool:
        """Whether the object does not exist at Stripe."""
        return self.code == "resource_missing"


class SubscriptionMissing(AinexusError):
    """The grace of a tenant is over, and Stripe does not show whether it has paid."""

    def __init__(self) -> None:
        super().__init__("The tenant's grace is over, but Stripe has no subscription of it. Look there.")


class UsageNotAccepted(AinexusError):
    """A meter event was refused for a reason that may pass; it is tried again, and quarantined in the end.

    It is raised in sweeps and commands alone, so that only operators see Stripe's text.
    """
