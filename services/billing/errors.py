"""What can go wrong with customers, their subscriptions and invoices."""

from shared.errors import (
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


class BilledByHand(Conflict):
    """The tenant's plan is none of Stripe's business."""

    def __init__(self) -> None:
        super().__init__("This tenant is billed by hand; a checkout of a paid plan changes that.")


class AlreadySubscribed(Conflict):
    """There is a subscription that goes on."""

    def __init__(self) -> None:
        super().__init__("The tenant has a subscription; change its plan instead.")


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
    """Stripe does not answer, or not now."""

    def __init__(self) -> None:
        super().__init__("The payment provider does not answer now; nothing was changed twice.", retry_after_s=5)


class PaymentRefused(PaymentRequired):
    """The card was declined."""

    def __init__(self) -> None:
        super().__init__("The payment was declined.")


class KeyReused(IdempotencyKeyReused):
    """The Idempotency-Key belongs to another request."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used before with another request.")


class CatalogueMissing(DependencyUnavailable):
    """The prices are not at Stripe."""

    def __init__(self) -> None:
        super().__init__("The price list is not set up at the payment provider: run `ainexus billing setup`.")


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
    """Stripe does not take a request as it is, and never will; the message is for operators alone."""
