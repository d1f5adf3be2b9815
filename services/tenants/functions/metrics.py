"""The hourly usage metrics of tenants."""

from services.tenants.tenants import consumer as tenants

handler = tenants.report_usage_metrics
