"""Calls without the parameters that their model does not support."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

from services.runs.errors import ProviderFailed
from services.runs.providers.domain.model import Model, ParameterOmitted, StreamPart
from services.runs.providers.domain.parameters import after_refusal, given, refused_by, without
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway.refusals import refusal_of


class TolerantModel:
    """A model that is asked without the parameters that it is known to refuse.

    A model that refuses another parameter by name is asked once more without it. The refused request has not begun, so
    both requests are one call: it is reserved, recorded and counted once, within its one timeout. A second refusal is
    final.

    Args:
        model: the model.
        monotonic: returns the seconds of a monotonic clock.
    """

    def __init__(self, model: Model, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.model = model
        self._monotonic = monotonic

    def stream(self, request: ModelRequest) -> Generator[StreamPart]:
        """See `Model.stream`. A parameter that is left out comes before the answer."""
        omitted = given(request, refused_by(request))
        yield from map(ParameterOmitted, omitted)
        yield from self._stream(without(request, omitted))

    def _stream(self, request: ModelRequest) -> Generator[StreamPart]:
        began_at, has_begun = self._monotonic(), False
        try:
            with closing(self.model.stream(request)) as parts:
                for part in parts:
                    has_begun = True
                    yield part
        except ProviderFailed as failure:
            refusal = refusal_of(failure.unsupported)
            again = None if has_begun else after_refusal(request, refusal)
            if again is None:
                raise
        else:
            return
        yield from map(ParameterOmitted, given(request, refusal.parameters))
        left_s = request.timeout_s - int(self._monotonic() - began_at)
        with closing(self.model.stream(replace(again, timeout_s=max(left_s, 1)))) as parts:
            yield from parts
