"""A model behind any provider: it streams text and ends with what it has counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from services.runs.domain.request import ModelRequest
from shared.meters import Meters


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The terminal event: the answer is whole, and this is what it took."""

    meters: Meters


class Model(Protocol):
    """One provider."""

    def stream(self, request: ModelRequest) -> Iterator[Text | Ended]:
        """Send the request; the last thing that comes is `Ended`.

        Raises:
            ProviderFailed: the provider refused, broke off or is not configured.
        """
        ...
