"""Text that arrives in pieces, which may split a character.

A server may write each half of a surrogate pair into a JSON text of its own.
"""

from collections.abc import Generator

from services.runs.providers.domain.model import StreamActivity, TextDelta

_FIRST_HALVES = ("\ud800", "\udbff")


def joined(text: str) -> str:
    """Return the text with its surrogate pairs joined, and U+FFFD in place of each lone half."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utf8_bytes(text: str) -> int:
    """Return the size of a piece of text, which may begin or end with half of a character."""
    return len(text.encode(errors="surrogatepass"))


class StreamedText:
    """The text of an answer."""

    def __init__(self) -> None:
        self.chars = 0
        """The number of characters so far."""
        self._half = ""

    def add(self, piece: str) -> Generator[TextDelta | StreamActivity]:
        """Yield the text of the next piece, except for half of a character at its end."""
        text = self._half + piece
        self._half = text[-1] if text and _FIRST_HALVES[0] <= text[-1] <= _FIRST_HALVES[1] else ""
        yield from self._emit(text.removesuffix(self._half))

    def end(self) -> Generator[TextDelta | StreamActivity]:
        """Yield the rest of a complete text."""
        rest, self._half = self._half, ""
        if rest:
            yield from self._emit(rest)

    def _emit(self, text: str) -> Generator[TextDelta | StreamActivity]:
        whole = joined(text)
        self.chars += len(whole)
        yield TextDelta(whole) if whole else StreamActivity()
