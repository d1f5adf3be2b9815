"""The HTTP API of operators, which can access the slice of every tenant."""

from services.tenants import wiring
from services.tenants.exports import api as exports
from services.tenants.tenants.api import operators as tenants
from shared.http.app import HttpApp

handler = HttpApp(tenants.router, exports.router, store=wiring.slice_store)
