"""Repair: the services correct the differences that a comparison has found."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from cli.reconciliation.contracts import ServiceCommands
from cli.reconciliation.report import BillingGap, ReconciliationReport
from shared.drift import Drift


def repair(services: ServiceCommands, report: ReconciliationReport, *, start: datetime) -> Iterator[str]:
    """Correct all differences, and yield a line for each correction.

    Args:
        services: the commands of the services.
        report: the differences.
        start: the beginning of the time that was compared.
    """
    if report.missing_events and "ledger" in report.places:
        for event_id in services.republish_calls(report.missing_events):
            yield f"usage.recorded published again: {event_id}"
    yield from _correct_counters(services, report)
    for period, spent in report.correct_budgets.items():
        before = services.correct_budget(period, spent)
        yield f"budget of {period} corrected from {before.numbers} to {spent.numbers}"
    for hour, gap in report.billing_gaps.items():
        yield _fill_gap(services, hour, gap)
    if report.places & {"sync ledger", "stripe"}:
        for entry in services.repair_billing(since=start):
            yield f"meter event {entry.identifier}: {entry.quantity}, {entry.state}"


def _correct_counters(services: ServiceCommands, report: ReconciliationReport) -> Iterator[str]:
    days = sorted({one.at[:10] for one in report.drift if one.place in {"hour", "closed hour", "day"}})
    for day in map(date.fromisoformat, days):
        yield from _describe(services.correct_days(start=day, end=day + timedelta(days=1)))
    for month in sorted({one.at for one in report.drift if one.place == "month"}):
        yield from _describe(services.correct_month(month))


def _describe(corrected: Iterable[Drift]) -> Iterator[str]:
    for one in corrected:
        number = f"{one.place} {one.at} {one.subject or ''} {one.meter}".replace("  ", " ")
        yield f"{number} corrected from {one.found} to {one.expected}"


def _fill_gap(services: ServiceCommands, hour: str, gap: BillingGap) -> str:
    """Publish the missing revisions of an hour again, or else a correction, and describe it."""
    republished = services.republish_hour(hour, gap.revisions) if gap.revisions else []
    if republished:
        return f"published again: {', '.join(republished)}"
    revision = services.publish_correction(hour, meters=gap.meters, events=gap.events)
    return f"usage.corrected published: {hour} revision {revision}, {gap.meters}"
