"""What can go wrong with counting and with asking for usage."""

from datetime import date

from shared.errors import DependencyUnavailable, Detail, InvalidRequest, TooManyRequests


class BadRange(InvalidRequest):
    """The asked time range is empty, runs backwards or is too long."""

    def __init__(self, message: str) -> None:
        super().__init__("The request is not valid.", [Detail("from", message)])


class BusyClosing(DependencyUnavailable):
    """Hours were closed each time that usage was read."""

    def __init__(self) -> None:
        super().__init__("Usage is being added up at this moment; try again.", retry_after_s=1)


class OutOfTime(DependencyUnavailable):
    """The invocation's time was over before all of the work was done."""

    def __init__(self) -> None:
        super().__init__(
            "There was not enough time for all of it. Send it again; nothing is done twice.", retry_after_s=1
        )


class DayTooLarge(InvalidRequest):
    """The ledger of a day has too many entries to be counted again in one invocation."""

    def __init__(self, day: date, entries: int) -> None:
        message = f"the ledger of {day} is too large: {entries:,} entries were counted before the time was over"
        super().__init__("The request is not valid.", [Detail("start", message)])


class ExportTooLarge(InvalidRequest):
    """There are more events than one export takes."""

    def __init__(self, most: int) -> None:
        message = f"there are more than {most:,} events; ask for fewer days, or for one tenant"
        super().__init__("The request is not valid.", [Detail("from", message)])


class ExportBrokeOff(DependencyUnavailable):
    """What writes an export was stopped; asked for again, it begins anew."""

    def __init__(self) -> None:
        super().__init__("The export broke off; ask again.", retry_after_s=1)


class ReportsTooOften(TooManyRequests):
    """The tenant has used up its share of requests that report usage."""

    def __init__(self, retry_after_s: int) -> None:
        message = "This tenant reports usage too often. Wait, and send up to 100 events in each request."
        super().__init__(message, retry_after_s=retry_after_s)


class NotTaken(InvalidRequest):
    """A reported usage event cannot be counted as it is; the message says why."""


class CounterMoved(DependencyUnavailable):
    """A counter was changed between its recount and its correction."""

    def __init__(self) -> None:
        super().__init__("A counter has changed meanwhile; recount it again.", retry_after_s=1)
