"""The API for Stripe's webhooks. It is a function of its own, because a webhook has no tenant."""

from services.billing.stripe_webhooks import api as stripe_webhooks
from shared.http.app import HttpApp

handler = HttpApp(stripe_webhooks.router)
