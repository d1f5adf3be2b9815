"""Planning of a call before it is recorded and sent: its cost limit and its reservation."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.runs.budgets.domain import MIN_OUTPUT_TOKENS, ReservationRequest
from services.runs.budgets.operations.reservation import ReservedCall, reserve
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import CostUsedUp, ModelWithoutPrice, TrialTokensUsedUp
from services.runs.execution.domain.cost import affordable_tokens
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.run import CallId, Cost, LimitedBy, OpenCall, Run
from shared.errors import DependencyUnavailable
from shared.meters import Meter, Meters
from shared.tenancy.context import TenantAccess

Price = Callable[[ModelRequest, Meters, datetime], Cost]
"""Returns the cost of a call with these meters at that time."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A planned call and its reservation."""

    id: CallId
    call: OpenCall
    reserved: ReservedCall


@dataclass(frozen=True, slots=True)
class Planner:
    """Planner of calls within the tenant's budget and the run's cost limit."""

    budgets: BudgetTable
    price: Price

    def plan(
        self,
        access: TenantAccess,
        call: CallId,
        request: ModelRequest,
        *,
        left_nano_usd: int | None,
        now: datetime,
        from_client: bool,
        is_whole: bool = False,
    ) -> PlannedCall:
        """Plan the call of this request, and reserve its usage bound.

        Args:
            access: the tenant's copy as it is now.
            call: the id of the call.
            request: the request of the config and the run.
            left_nano_usd: the maximum cost; None: unlimited.
            now: the time.
            from_client: whether a client adds the call and can be asked to retry.
            is_whole: whether the call is refused rather than clamped, as calls of trials are.

        Raises:
            LimitReached: not even the input fits into the budget or the cost limit.
            NoFreeSlot: all slots of the tenant are taken.
            ModelWithoutPrice: the cost is limited and the model's price is unknown.
            TooManyRequests, DependencyUnavailable: nothing can be reserved now.
        """
        output_tokens = self._affordable(request, left_nano_usd, now=now)
        if is_whole and output_tokens < request.max_output_tokens:
            raise CostUsedUp
        reservation_request = ReservationRequest(
            request.input_bound_tokens,
            output_tokens,
            has_explicit_cap=request.has_explicit_cap or is_whole,
            is_whole=is_whole,
        )
        reserved = reserve(self.budgets, access, call, reservation_request, now=now, from_client=from_client)
        tokens = reserved.reservation.tokens
        if tokens < reservation_request.min_tokens:
            msg = "A previous attempt of this request is being cleaned up. Try again in a moment."
            raise DependencyUnavailable(msg, retry_after_s=60)
        cap = min(output_tokens, tokens - reservation_request.input_tokens)
        planned = OpenCall(
            number=call.number,
            provider=request.provider,
            model=request.model,
            simulated=request.provider == "simulated",
            bound_tokens=tokens,
            max_output_tokens=cap,
            period=reserved.period,
            bound_nano_usd=None if left_nano_usd is None else self._max_nano_usd(request, cap, now=now),
            limited_by=_limited_by(request.max_output_tokens, output_tokens, cap),
        )
        return PlannedCall(reserved.reservation.call, planned, reserved)

    def plan_next(
        self,
        access: TenantAccess,
        run: Run,
        call: CallId,
        request: ModelRequest,
        *,
        now: datetime,
        from_client: bool = False,
    ) -> PlannedCall:
        """Plan a further call of this run, see `plan`.

        Raises:
            TrialTokensUsedUp: the call does not fit into the tokens that an experiment holds for its trial.
        """
        if run.left_tokens is not None and request.bound_tokens > run.left_tokens:
            raise TrialTokensUsedUp
        return self.plan(
            access,
            call,
            request,
            left_nano_usd=run.left_nano_usd,
            now=now,
            from_client=from_client,
            is_whole=run.trial is not None,
        )

    def max_nano_usd(self, request: ModelRequest, *, now: datetime) -> int:
        """Return an upper bound of the cost of a call with its full output cap.

        Raises:
            ModelWithoutPrice: the price is unknown.
        """
        return self._max_nano_usd(request, request.max_output_tokens, now=now)

    def check_priced(self, request: ModelRequest, *, now: datetime) -> None:
        """Check that the price of the model is known, for a run with a cost limit.

        Raises:
            ModelWithoutPrice: the price is unknown.
        """
        self._max_nano_usd(request, request.max_output_tokens, now=now)

    def _affordable(self, request: ModelRequest, left_nano_usd: int | None, *, now: datetime) -> int:
        """Return the output cap that the cost limit allows."""
        if left_nano_usd is None:
            return request.max_output_tokens
        affordable = affordable_tokens(
            request.max_output_tokens,
            left_nano_usd=left_nano_usd,
            max_nano_usd=lambda output_tokens: self._max_nano_usd(request, output_tokens, now=now),
        )
        if affordable < min(request.max_output_tokens, MIN_OUTPUT_TOKENS):
            raise CostUsedUp
        return affordable

    def _max_nano_usd(self, request: ModelRequest, output_tokens: int, *, now: datetime) -> int:
        """Return an upper bound of the cost; at some providers, cache writes cost more than the same input tokens."""
        input_tokens = request.input_bound_tokens
        used = {Meter.TOKENS_IN: input_tokens, Meter.TOKENS_OUT: output_tokens}
        written = {**used, Meter.TOKENS_CACHE_WRITE: input_tokens}
        written_for_an_hour = {**written, Meter.TOKENS_CACHE_WRITE_1H: input_tokens}
        costs = [self.price(request, meters, now).nano_usd for meters in (used, written, written_for_an_hour)]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            raise ModelWithoutPrice(request.model)
        return max(known)


def _limited_by(requested_tokens: int, affordable: int, cap: int) -> LimitedBy | None:
    if cap < affordable:
        return LimitedBy.BUDGET
    return LimitedBy.MAX_COST if affordable < requested_tokens else None
