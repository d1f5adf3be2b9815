"""The function with the routes of all capabilities of core."""

from services.core.health import api as health
from services.core.openapi_document import api as openapi_document
from shared.http.app import HttpApp

handler = HttpApp(health.router, openapi_document.router)
