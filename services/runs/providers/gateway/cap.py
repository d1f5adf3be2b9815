"""Enforcement of the output cap on answers."""

from collections.abc import Generator
from contextlib import closing

from services.runs.providers.domain.model import StreamEnd, StreamPart, TextDelta, UsageUpdate
from services.runs.providers.gateway.bounds import max_response_bytes
from services.runs.providers.gateway.failures import too_large


def limited_to_cap(stream: Generator[StreamPart], *, max_output_tokens: int) -> Generator[StreamPart]:
    """Pass on a model's stream up to the maximum size of an answer under this cap.

    Raises:
        ProviderFailed: `AnswerTooLarge`, after a part with the usage if the provider has counted it.
    """
    left = max_response_bytes(max_output_tokens)
    with closing(stream) as parts:
        for part in parts:
            left -= _bytes_of(part)
            if left < 0 and isinstance(part, StreamEnd):
                yield UsageUpdate(part.meters)
            if left < 0:
                raise too_large(usage_known=isinstance(part, StreamEnd))
            yield part


def _bytes_of(part: StreamPart) -> int:
    if isinstance(part, TextDelta):
        return len(part.text.encode())
    if isinstance(part, StreamEnd):
        texts = [text for call in part.tool_calls for text in (call.id, call.name, call.arguments)]
        return sum(len(text.encode()) for text in [*texts, part.state.content if part.state else ""])
    return 0
