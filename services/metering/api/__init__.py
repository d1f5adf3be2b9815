"""HTTP in: what was used, and all of it for operators. Decides nothing."""

from services.metering.api import application, dashboard, events, usage

__all__ = ["app", "application", "dashboard", "events", "handler", "usage"]

app = application.app
handler = application.app
