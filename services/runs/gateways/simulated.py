"""The built-in provider: deterministic, free, and honest about being simulated.

Directives in the last user message: `[[tokens 500]]` sets the answer's length, `[[delay 200]]` waits so many
milliseconds before each chunk, at most 10 s.
"""

import re
import time
from collections.abc import Callable, Iterator

from services.runs.domain.request import ModelRequest
from services.runs.gateways.model import Ended, Text
from shared.meters import Meter

_BYTES_PER_TOKEN = 4
_TOKENS_PER_CHUNK = 16
_LONGEST_DELAY_MS = 10_000
_DIRECTIVE = re.compile(r"\[\[(tokens|delay) (\d{1,6})\]\]")
_FILLER = ("and", "so", "it", "goes", "on", "word", "by", "word")


class SimulatedModel:
    """Answers without any model."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def stream(self, request: ModelRequest) -> Iterator[Text | Ended]:
        """See `Model.stream`; a token is a word here."""
        asked = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
        directives = {name: int(value) for name, value in _DIRECTIVE.findall(asked)}
        words = _answer(_DIRECTIVE.sub("", asked).strip(), tokens=directives.get("tokens"))[: request.max_output_tokens]
        for start in range(0, len(words), _TOKENS_PER_CHUNK):
            if "delay" in directives:
                self._sleep(min(directives["delay"], _LONGEST_DELAY_MS) / 1000)
            chunk = " ".join(words[start : start + _TOKENS_PER_CHUNK])
            yield Text(chunk if start == 0 else f" {chunk}")
        sent = sum(len(message.content.encode()) for message in request.messages)
        yield Ended({Meter.TOKENS_IN: -(-sent // _BYTES_PER_TOKEN), Meter.TOKENS_OUT: len(words)})


def _answer(asked: str, *, tokens: int | None) -> list[str]:
    words = f"This is a simulated answer. You said: {asked}".split()
    if tokens is None:
        return words
    filler = (_FILLER[place % len(_FILLER)] for place in range(max(0, tokens - len(words))))
    return [*words, *filler][:tokens]
