"""The answer that a worker receives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO

from services.runs.errors import ProviderFailed
from services.runs.providers.domain.model import (
    ParameterOmitted,
    StopReason,
    StreamActivity,
    StreamEnd,
    StreamPart,
    TextDelta,
    UsageUpdate,
)
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.run import CallEnd, Cost, FinishReason, InvalidOutput, Outcome, RunError
from shared import freejson
from shared.meters import Meter, Meters
from shared.models.capabilities import Parameter

_BYTES_PER_TOKEN = 4
"""The average of ordinary text, for the estimate of an answer that broke off."""
_MAX_INVALID_OUTPUT_BYTES = 16 * 1024
"""The part of an invalid output that is kept in the run's error; an item has no room for a whole answer."""
_FINISH_REASONS = {
    StopReason.ANSWERED: FinishReason.STOP,
    StopReason.LENGTH: FinishReason.LENGTH,
    StopReason.TOOL_CALLS: FinishReason.TOOL_CALLS,
    StopReason.REFUSED: FinishReason.CONTENT_FILTER,
}


@dataclass(slots=True)
class PartialResponse:
    """The received part of an answer."""

    request: ModelRequest
    """The request as it was sent."""
    buffer: StringIO = field(default_factory=StringIO)
    """The text so far; a list of short pieces would take twenty times the memory."""
    output_bytes: int = 0
    """The size of everything that the model has written: text, reasoning and tool calls."""
    counted: Meters = field(default_factory=dict[Meter, int])
    ended: StreamEnd | None = None
    failure: ProviderFailed | None = None
    cancelled: bool = False
    omitted: tuple[Parameter, ...] = ()
    """The configured parameters that were left out."""

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        return self.buffer.getvalue()

    def add(self, part: StreamPart) -> None:
        """Add the next part of the stream."""
        match part:
            case TextDelta(text):
                self.buffer.write(text)
                self.output_bytes += len(text.encode())
            case UsageUpdate(meters):
                self.counted = meters
            case StreamEnd():
                self.ended = part
            case ParameterOmitted(parameter):
                self.omitted = (*self.omitted, parameter)
            case StreamActivity(output_bytes):
                self.output_bytes += output_bytes

    def invalid_output(self, reason: Exception) -> InvalidOutput:
        """Return the beginning of the text of an answer that does not conform to its schema."""
        encoded = self.text.encode()
        kept = freejson.writable(encoded[:_MAX_INVALID_OUTPUT_BYTES].decode(errors="ignore"))
        return InvalidOutput(kept, len(encoded) > _MAX_INVALID_OUTPUT_BYTES, freejson.writable(str(reason)))

    def end(
        self, status: Outcome, *, usage_known: bool, cost: Callable[[Meters], Cost], error: RunError | None
    ) -> CallEnd:
        """Return the end of the call.

        If the answer broke off, its output is estimated. A simulated call that was cancelled has used nothing.

        Args:
            status: the state of the call.
            usage_known: whether the provider's usage is what it has counted, even without a terminal part.
            cost: returns the cost of a usage.
            error: the error of the call.
        """
        if status is Outcome.CANCELLED and self.request.provider == "simulated":
            return CallEnd(
                status,
                {},
                cost=cost({}),
                error=error,
                omitted=self.omitted,
                finish_reason=FinishReason.CANCELLED,
            )
        counted = dict(self.ended.meters if self.ended else self.counted)
        is_known = (usage_known or self.ended is not None) and not counted.pop(Meter.TOKENS_UNCERTAIN, 0)
        meters = counted if is_known else self._with_estimate(counted)
        return CallEnd(
            status,
            meters,
            is_known,
            cost(meters),
            error,
            omitted=self.omitted,
            finish_reason=FinishReason.CANCELLED if status is Outcome.CANCELLED else self._finish_reason,
            usage_estimated=meters != counted,
        )

    @property
    def _finish_reason(self) -> FinishReason | None:
        return _FINISH_REASONS[self.ended.stop] if self.ended else None

    def _with_estimate(self, counted: Meters) -> Meters:
        estimated = min(-(-self.output_bytes // _BYTES_PER_TOKEN), self.request.max_output_tokens)
        if estimated <= counted.get(Meter.TOKENS_OUT, 0):
            return counted
        return {**counted, Meter.TOKENS_OUT: estimated}
