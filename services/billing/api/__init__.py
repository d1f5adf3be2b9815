"""HTTP in: tenants' billing, Stripe's webhooks, and the operators' view of all books. Decides nothing."""

from services.billing.api import application, operators, webhooks

__all__ = ["application", "handler", "operators", "operators_handler", "webhook", "webhooks"]

handler = application.app
webhook = webhooks.app
operators_handler = operators.app
