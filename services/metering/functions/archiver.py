"""The schedule that archives days."""

from services.metering.archive import consumer

handler = consumer.archive_due
