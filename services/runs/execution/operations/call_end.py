"""The end of a call as its worker observed it: the counted usage and its cost."""

from services.runs.execution.operations.dependencies import WorkerDependencies
from services.runs.execution.operations.response import PartialResponse
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.run import NOTHING_USED, CallEnd, Cost, Outcome, RunError
from shared.failures import facts_of
from shared.meters import Meters
from shared.observability import logger

_UNKNOWN_PRICE_VERSION = "unknown"
"""The version of the price table for a price that could not be calculated."""


def call_end(
    worker: WorkerDependencies,
    response: PartialResponse,
    outcome: Outcome,
    *,
    usage_known: bool = True,
    error: RunError | None = None,
) -> CallEnd:
    """Return the end of a call.

    Args:
        worker: for the price and the time.
        response: the response, as far as it was received.
        outcome: the outcome of the call.
        usage_known: whether the counted usage is complete even without the terminal event.
        error: the error of a failed call.
    """

    def cost(meters: Meters) -> Cost:
        return _cost(worker, response.request, meters)

    return response.end(outcome, usage_known=usage_known, cost=cost, error=error)


def _cost(worker: WorkerDependencies, request: ModelRequest, meters: Meters) -> Cost:
    if not any(meters.values()):
        return NOTHING_USED
    try:
        cost = worker.price(request, meters, worker.clock())
    except Exception as error:  # noqa: BLE001 — what was used is counted all the same
        logger.error("a price could not be calculated", **facts_of(error))
        cost = Cost(None, _UNKNOWN_PRICE_VERSION)
    if cost.is_missing:
        logger.warning("a model without a price", provider=request.provider, model=request.model)
    return cost
