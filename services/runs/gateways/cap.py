"""Answers held to what their output cap allows."""

from collections.abc import Generator
from contextlib import closing

from services.runs.gateways.answers import too_large
from services.runs.gateways.bounds import answer_bytes
from services.runs.gateways.model import Counted, Ended, Part, Text


def held_to_cap(stream: Generator[Part], *, max_output_tokens: int) -> Generator[Part]:
    """Pass on a model's stream while its text and tool calls are within what an answer under this cap can have.

    Raises:
        ProviderFailed: `AnswerTooLarge`; what the provider has counted by then is known.
    """
    left = answer_bytes(max_output_tokens)
    with closing(stream) as parts:
        for part in parts:
            left -= _bytes_of(part)
            if left < 0 and isinstance(part, Ended):
                yield Counted(part.meters)
            if left < 0:
                raise too_large(usage_known=isinstance(part, Ended))
            yield part


def _bytes_of(part: Part) -> int:
    if isinstance(part, Text):
        return len(part.text.encode())
    if isinstance(part, Ended):
        return sum(len(text.encode()) for call in part.tool_calls for text in (call.id, call.name, call.arguments))
    return 0
