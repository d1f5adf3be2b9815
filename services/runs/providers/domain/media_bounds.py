"""Upper bounds of the input tokens of images and files, which are reserved for a call.

| Model | image | PDF files of a request |
|---|---|---|
| of the table, with a bound of its images | `image_tokens` of its row | its context window |
| of the table, without one | its context window | its context window |
| of no row, as at a tenant's own server | `image_tokens` of the config | `file_tokens` of the config for each |
| simulated, of no row | 1,000 | 1,000 |

A provider refuses an input above the context window, so the sum never exceeds it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.media import MediaKind, MediaPart
from shared.models.capabilities import Capabilities

SIMULATED_TOKENS = 1_000
"""The bound of a part whose simulated model has no row."""
UNKNOWN_TOKENS = 2_000_000
"""The bound of a part without a known one. The request for such a run is refused."""


@dataclass(frozen=True, slots=True)
class MediaTokens:
    """The tenant's own bounds for a model without a row."""

    image: int | None = None
    file: int | None = None

    def of(self, kind: MediaKind) -> int | None:
        """Return the bound of one part of this kind; None if the config has none."""
        return self.image if kind == "image" else self.file


NO_MEDIA_TOKENS = MediaTokens()


def media_in(messages: Iterable[Message]) -> tuple[MediaPart, ...]:
    """Return the images and files of a conversation."""
    return tuple(part for message in messages for part in message.parts if isinstance(part, MediaPart))


def media_bound_tokens(media: Iterable[MediaPart], row: Capabilities | None, own: MediaTokens) -> int:
    """Return an upper bound of the input tokens of these parts.

    Args:
        media: the parts.
        row: the row of the model in the table of capabilities, if it has one.
        own: the bounds of the config, for a model without a row.
    """
    kinds: list[MediaKind] = [part.kind for part in media]
    if not row or row.context_tokens is None:
        return sum(own.of(kind) or UNKNOWN_TOKENS for kind in kinds)
    bounds = (row.image_tokens if kind == "image" else None for kind in kinds)
    return min(sum(bound or row.context_tokens for bound in bounds), row.context_tokens)
