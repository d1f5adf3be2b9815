"""The schedule that samples storage, closes hours and repeats summaries."""

from services.metering.hours import consumer

handler = consumer.close_due
