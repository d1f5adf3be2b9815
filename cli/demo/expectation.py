"""Expected results of the demo."""

from cli.api import ApiResponse


class DemoFailed(Exception):
    """A step had an unexpected result."""


def expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001 — it reads as a sentence
    """Check a condition.

    Raises:
        DemoFailed: the condition is false; `otherwise` is the message.
    """
    if not condition:
        raise DemoFailed(otherwise)


def expect_status(response: ApiResponse, status: int) -> None:
    """Check the status of a response.

    Raises:
        DemoFailed: it has another status.
    """
    expect(response.status == status, f"expected {status}, got {response.status}: {response.body}")
