"""From a request to the call that is written down before it is sent."""

from datetime import datetime

from services.runs.domain.request import ModelRequest
from services.runs.domain.run import OpenCall


def plan_call(request: ModelRequest, *, number: int, now: datetime) -> OpenCall:
    """The call that this request will be."""
    return OpenCall(
        number=number,
        provider=request.provider,
        model=request.model,
        simulated=request.provider == "simulated",
        bound_tokens=request.input_bound_tokens + request.max_output_tokens,
        max_output_tokens=request.max_output_tokens,
        period=f"{now:%Y-%m}",
    )
