"""A provider that keeps books of its own: what each call has really used, whatever its worker lives to hear."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from services.runs.domain.request import ModelRequest, ToolCall
from services.runs.domain.run import CallId
from services.runs.errors import ProviderFailed
from services.runs.gateways.model import Counted, Ended, Model, Part, Stop, Text
from shared.meters import Meter
from tests.services.runs.kills.fate import Fate

INPUT = 7
"""Tokens of every request that is not refused."""
Happening = str | ProviderFailed | Callable[[], object]


@dataclass(frozen=True, slots=True)
class Script:
    """What a call answers: pieces of text, of one token each; what can be called happens in between."""

    happenings: Sequence[Happening]
    calls: tuple[ToolCall, ...] = ()
    refused: ProviderFailed | None = None
    """At once, and nothing is used."""

    @property
    def tokens(self) -> int:
        """What it uses when it is heard to its end, or nobody is there any more to stop it."""
        return 0 if self.refused else INPUT + sum(isinstance(piece, str) for piece in self.happenings)

    @property
    def end(self) -> Ended:
        """The terminal part."""
        meters = {Meter.TOKENS_IN: INPUT, Meter.TOKENS_OUT: self.tokens - INPUT}
        return Ended(meters, self.calls, Stop.TOOL_CALLS if self.calls else Stop.ANSWERED)


@dataclass
class Provider:
    """Answers with one script after the other; the last one again and again.

    Args:
        scripts: at least one.
    """

    scripts: Sequence[Script]
    books: dict[CallId, int] = field(default_factory=dict[CallId, int])
    """Tokens that were really used, by call."""
    under_way: dict[CallId, Script] = field(default_factory=dict[CallId, Script])

    def send(self, call: CallId) -> Script:
        """Take a request; under the name of one call there is one."""
        assert call not in self.books, f"{call} was sent twice"
        script = self.scripts[min(len(self.books), len(self.scripts) - 1)]
        self.books[call] = 0 if script.refused else INPUT
        self.under_way[call] = script
        return script

    def finish_for_nobody(self) -> None:
        """The worker is gone, and what is under way goes on to its end all the same."""
        self.books |= {call: script.tokens for call, script in self.under_way.items()}
        self.under_way.clear()


@dataclass(frozen=True, slots=True)
class Line:
    """A worker's way to the provider: sending and each piece that is heard are its steps.

    Args:
        provider: at the other end.
        fate: of the worker.
        open_call: says which call is written down as open now.
    """

    provider: Provider
    fate: Fate
    open_call: Callable[[], CallId]

    def answering(self, tenant_id: str, request: ModelRequest) -> ModelRequest:  # noqa: ARG002 — as for all
        """By the provider that was asked for."""
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:  # noqa: ARG002 — there is but one
        """This is the only model."""
        return self

    def stream(self, request: ModelRequest) -> Generator[Part]:  # noqa: ARG002 — the script does not depend on it
        """See `Model.stream`."""
        call = self.open_call()
        script = self.fate.take("send", lambda: self.provider.send(call))
        yield from self._answer(call, script)
        self.provider.under_way.pop(call, None)

    def _answer(self, call: CallId, script: Script) -> Generator[Part]:
        if script.refused:
            self.provider.under_way.pop(call, None)
            raise script.refused
        yield Counted({Meter.TOKENS_IN: INPUT})
        for happening in script.happenings:
            if isinstance(happening, ProviderFailed):
                raise happening
            if isinstance(happening, str):
                yield self.fate.take("hear", lambda text=happening: self._piece(call, text))
            else:
                happening()
        yield self.fate.take("hear the end", lambda: script.end)

    def _piece(self, call: CallId, text: str) -> Text:
        self.provider.books[call] += 1
        return Text(text)
