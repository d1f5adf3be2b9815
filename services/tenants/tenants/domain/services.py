"""The services of the mesh."""

from shared.events.catalog import CATALOG

SERVICES = frozenset(kind.OWNER for kind in CATALOG.values())
"""All services. Each of them owns events and stores data of tenants, which it must export and remove."""
