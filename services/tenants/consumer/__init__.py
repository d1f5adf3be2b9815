"""All that is not HTTP: what other services say, what users' rows say to the pool, schedules, operators' commands."""

from services.tenants.consumer.commands import admin
from services.tenants.consumer.events import census, consumer, exporter, remover, sweep

__all__ = ["admin", "census", "consumer", "exporter", "remover", "sweep"]
