"""What can go wrong with counting and with asking for usage."""

from shared.errors import DependencyUnavailable, Detail, InvalidRequest


class BadRange(InvalidRequest):
    """The asked time range is empty, runs backwards or is too long."""

    def __init__(self, message: str) -> None:
        super().__init__("The request is not valid.", [Detail("from", message)])


class HourClosed(DependencyUnavailable):
    """The hour of this usage takes no more."""

    def __init__(self) -> None:
        super().__init__("The hour of this usage is closed.")
