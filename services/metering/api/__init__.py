"""HTTP in: what was used, and all of it for operators. Decides nothing."""

from services.metering.api import admin, application, dashboard, events, usage

__all__ = ["admin", "admin_handler", "app", "application", "dashboard", "events", "handler", "usage"]

app = application.app
handler = application.app
admin_handler = admin.app
