"""Errors of counting and of reading usage."""

from datetime import date

from shared.errors import DependencyUnavailable, Detail, InvalidRequest, TooManyRequests


class InvalidRange(InvalidRequest):
    """The requested time range is empty, reversed or too long."""

    def __init__(self, message: str) -> None:
        super().__init__("The request is not valid.", [Detail("from", message)])


class HoursClosing(DependencyUnavailable):
    """Hours were closed during every attempt to read usage."""

    def __init__(self) -> None:
        super().__init__("Usage is being added up at this moment; try again.", retry_after_s=1)


class InvocationTimeExceeded(DependencyUnavailable):
    """The invocation's time ended before all work was done."""

    def __init__(self) -> None:
        super().__init__("The request ran out of time. Send it again; finished work is not repeated.", retry_after_s=1)


class DayTooLarge(InvalidRequest):
    """The ledger of a day has too many entries to recount in one invocation."""

    def __init__(self, day: date, entries: int) -> None:
        message = f"the ledger of {day} is too large: {entries:,} entries were counted before the time was over"
        super().__init__("The request is not valid.", [Detail("start", message)])


class ExportTooLarge(InvalidRequest):
    """The range contains more events than one export may have."""

    def __init__(self, max_events: int) -> None:
        message = f"there are more than {max_events:,} events; ask for fewer days, or for one tenant"
        super().__init__("The request is not valid.", [Detail("from", message)])


class ExportInterrupted(DependencyUnavailable):
    """The function that writes an export was stopped. The next request starts the export again."""

    def __init__(self) -> None:
        super().__init__("The export was interrupted. Repeat the request.", retry_after_s=1)


class ReportingRateExceeded(TooManyRequests):
    """The tenant exceeded its limit of requests that report usage."""

    def __init__(self, retry_after_s: int) -> None:
        message = "This tenant reports usage too often. Wait, and send up to 100 events in each request."
        super().__init__(message, retry_after_s=retry_after_s)


class ReportsCountedElsewhere(DependencyUnavailable):
    """Other requests changed the number of the tenant's requests meanwhile."""

    def __init__(self) -> None:
        message = "Too many requests of this tenant arrive at the same time. Send this one again."
        super().__init__(message, retry_after_s=1)


class InvalidUsageEvent(InvalidRequest):
    """A reported usage event cannot be counted; the message contains the reason."""


class StorageChanged(DependencyUnavailable):
    """Other events changed the tenant's storage meanwhile."""

    def __init__(self) -> None:
        message = "Too many events change this tenant's storage at the same time. They are retried."
        super().__init__(message, retry_after_s=1)


class CounterChanged(DependencyUnavailable):
    """A counter changed between its recount and its correction."""

    def __init__(self) -> None:
        super().__init__("A counter changed during the recount. Run the command again.", retry_after_s=1)
