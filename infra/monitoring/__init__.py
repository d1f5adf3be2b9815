"""Dashboards, alarms and log queries."""
