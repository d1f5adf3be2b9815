"""Errors in Stripe's wire format."""

from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass
class StripeError(Exception):
    """A response with Stripe's error object."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    type: str = "invalid_request_error"
    decline_code: str | None = None

    def to_body(self) -> dict[str, Any]:
        """Return the body, without fields that have no value."""
        fields = {
            "code": self.code,
            "decline_code": self.decline_code,
            "message": self.message,
            "param": self.param,
            "type": self.type,
        }
        return {"error": {name: value for name, value in fields.items() if value is not None}}


def refuse(message: str, *, param: str | None = None, code: str | None = None) -> NoReturn:
    """Refuse a request with a 400.

    Raises:
        StripeError: always.
    """
    raise StripeError(400, message, code, param)


def missing(kind: str, name: str) -> StripeError:
    """Return a 404 for an object that does not exist."""
    noun = kind.rpartition(".")[2].replace("_", " ")
    return StripeError(404, f"No such {noun}: '{name}'", "resource_missing", "id")


def declined(message: str = "Your card was declined.") -> StripeError:
    """Return a 402 for a declined card."""
    return StripeError(402, message, "card_declined", type="card_error", decline_code="generic_decline")
