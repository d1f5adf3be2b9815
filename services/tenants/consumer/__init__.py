"""All that is not HTTP: what other services say, what users' rows say to the pool, the sweep, operators' commands."""

from services.tenants.consumer.commands import admin
from services.tenants.consumer.events import consumer, exporter, remover, sweep

__all__ = ["admin", "consumer", "exporter", "remover", "sweep"]
