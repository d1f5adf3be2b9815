"""Positions in the text of a call."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class TextPosition:
    """A position in the text of one call."""

    attempt: int
    call: int
    offset: int = 0
    """The number of characters before it."""

    def after(self, text: str) -> "TextPosition":
        """Return the position after this piece of text."""
        return replace(self, offset=self.offset + len(text))

    def is_in_text_of(self, other: "TextPosition") -> bool:
        """Return whether both are positions in the same text."""
        return (self.attempt, self.call) == (other.attempt, other.call)
