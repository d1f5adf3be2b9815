"""A provider that records the real usage of each call, even if its worker dies."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from services.runs.errors import ProviderFailed
from services.runs.providers.domain.model import Model, StopReason, StreamEnd, StreamPart, TextDelta, UsageUpdate
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import CallId
from shared.meters import Meter
from tests.services.runs.kills.fate import Fate

INPUT = 7
"""The input tokens of every accepted request."""
Happening = str | ProviderFailed | Callable[[], object]


@dataclass(frozen=True, slots=True)
class Script:
    """The response to a call: pieces of one token, and callables between them."""

    happenings: Sequence[Happening]
    calls: tuple[ToolCall, ...] = ()
    refused: ProviderFailed | None = None
    """A failure at once, without usage."""

    @property
    def tokens(self) -> int:
        """The usage of a response that is read to its end or not cancelled."""
        return 0 if self.refused else INPUT + sum(isinstance(piece, str) for piece in self.happenings)

    @property
    def end(self) -> StreamEnd:
        """Return the terminal part."""
        meters = {Meter.TOKENS_IN: INPUT, Meter.TOKENS_OUT: self.tokens - INPUT}
        return StreamEnd(meters, self.calls, StopReason.TOOL_CALLS if self.calls else StopReason.ANSWERED)


@dataclass
class Provider:
    """Responds with one script after the other and repeats the last one.

    Args:
        scripts: at least one.
    """

    scripts: Sequence[Script]
    books: dict[CallId, int] = field(default_factory=dict[CallId, int])
    """The really used tokens by call."""
    under_way: dict[CallId, Script] = field(default_factory=dict[CallId, Script])

    def send(self, call: CallId) -> Script:
        """Accept a request; each call is sent once."""
        assert call not in self.books, f"{call} was sent twice"
        script = self.scripts[min(len(self.books), len(self.scripts) - 1)]
        self.books[call] = 0 if script.refused else INPUT
        self.under_way[call] = script
        return script

    def finish_unread(self) -> None:
        """Complete the active responses of a worker that has died."""
        self.books |= {call: script.tokens for call, script in self.under_way.items()}
        self.under_way.clear()


@dataclass(frozen=True, slots=True)
class Line:
    """A worker's client of the provider. Sending and each received piece are steps.

    Args:
        provider: the server of the connection.
        fate: the fate of the worker.
        open_call: returns the call that is stored as open.
    """

    provider: Provider
    fate: Fate
    open_call: Callable[[], CallId]

    def effective_request(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """Return the request unchanged."""
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """Return this model."""
        return self

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:  # noqa: ARG002 — the script does not depend on it
        """See `Model.stream`."""
        call = self.open_call()
        script = self.fate.execute("send", lambda: self.provider.send(call))
        yield from self._answer(call, script)
        self.provider.under_way.pop(call, None)

    def _answer(self, call: CallId, script: Script) -> Generator[StreamPart]:
        if script.refused:
            self.provider.under_way.pop(call, None)
            raise script.refused
        yield UsageUpdate({Meter.TOKENS_IN: INPUT})
        for happening in script.happenings:
            if isinstance(happening, ProviderFailed):
                raise happening
            if isinstance(happening, str):
                yield self.fate.execute("receive", lambda text=happening: self._piece(call, text))
            else:
                happening()
        yield self.fate.execute("receive the end", lambda: script.end)

    def _piece(self, call: CallId, text: str) -> TextDelta:
        self.provider.books[call] += 1
        return TextDelta(text)
