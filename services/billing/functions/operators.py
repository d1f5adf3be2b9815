"""The API for operators. It is a function of its own, because it can access the billing data of every tenant."""

from services.billing.reconciliation import api as reconciliation
from shared.http.app import HttpApp

handler = HttpApp(reconciliation.router)
