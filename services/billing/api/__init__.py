"""HTTP in: tenants' billing, Stripe's webhooks, and the operators' view of all books. Decides nothing."""

from services.billing.api import application, operators

__all__ = ["application", "handler", "operators", "operators_handler", "webhook"]

handler = application.app
webhook = application.webhook
operators_handler = operators.app
