"""HTTP in: tenants, their users and projects, and the operators' view of all of them. Decides nothing."""

from services.tenants.api import admin, application, audit, exports, projects, tenants, users

__all__ = ["admin", "admin_handler", "application", "audit", "exports", "handler", "projects", "tenants", "users"]

handler = application.app
admin_handler = admin.app
