"""From a request to the call that is written down before it is sent: what it may cost, and what is held for it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.runs.domain.budget import LEAST_ANSWER_TOKENS, Wish
from services.runs.domain.cost import longest_answer
from services.runs.domain.request import ModelRequest
from services.runs.domain.run import CallId, Cost, LimitedBy, OpenCall, Run
from services.runs.errors import CostUsedUp, ModelWithoutPrice
from services.runs.operations.budgets import Held, reserve
from services.runs.table.budgets import BudgetTable
from shared.errors import DependencyUnavailable
from shared.meters import Meter, Meters
from shared.tenancy.context import TenantAccess

Price = Callable[[ModelRequest, Meters, datetime], Cost]
"""What a call costs that used so much at that time."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A call that may be written down, and what is held for it."""

    id: CallId
    call: OpenCall
    held: Held


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans calls within the tenant's budget and the run's cost."""

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
    ) -> Planned:
        """The call that this request will be, with what it may use at most held for it.

        Args:
            access: the tenant as it is known now.
            call: which one it is.
            request: as the config and the run ask for it.
            left_nano_usd: what it may cost; None: anything.
            now: the time.
            from_client: a client adds it, and can be told to come again.

        Raises:
            LimitReached: not even the input fits into the budget, or into the cost.
            ModelWithoutPrice: what it costs is not known, and matters.
            TooManyRequests, DependencyUnavailable: nothing can be held for it now.
        """
        output_tokens = self._affordable(request, left_nano_usd, now=now)
        wish = Wish(request.input_bound_tokens, output_tokens, asked_for=request.output_asked_for)
        held = reserve(self.budgets, access, call, wish, now=now, from_client=from_client)
        tokens = held.reservation.tokens
        if tokens < wish.least_tokens:
            msg = "An earlier try of this request is being undone; try again in a moment."
            raise DependencyUnavailable(msg, retry_after_s=60)
        cap = min(output_tokens, tokens - wish.input_tokens)
        planned = OpenCall(
            number=call.number,
            provider=request.provider,
            model=request.model,
            simulated=request.provider == "simulated",
            bound_tokens=tokens,
            max_output_tokens=cap,
            period=held.period,
            bound_nano_usd=None if left_nano_usd is None else self._most_nano_usd(request, cap, now=now),
            limited_by=_limited_by(request.max_output_tokens, output_tokens, cap),
        )
        return Planned(held.reservation.call, planned, held)

    def plan_next(
        self,
        access: TenantAccess,
        run: Run,
        call: CallId,
        request: ModelRequest,
        *,
        now: datetime,
        from_client: bool = False,
    ) -> Planned:
        """As `plan`, for a further call of this run."""
        left_nano_usd = run.left_nano_usd
        return self.plan(access, call, request, left_nano_usd=left_nano_usd, now=now, from_client=from_client)

    def check_priced(self, request: ModelRequest, *, now: datetime) -> None:
        """Let nothing be limited by a cost that nobody knows.

        Raises:
            ModelWithoutPrice: it is not known.
        """
        self._most_nano_usd(request, request.max_output_tokens, now=now)

    def _affordable(self, request: ModelRequest, left_nano_usd: int | None, *, now: datetime) -> int:
        """The output cap that the cost allows."""
        if left_nano_usd is None:
            return request.max_output_tokens
        longest = longest_answer(
            request.max_output_tokens,
            left_nano_usd=left_nano_usd,
            most_nano_usd=lambda output_tokens: self._most_nano_usd(request, output_tokens, now=now),
        )
        if longest < min(request.max_output_tokens, LEAST_ANSWER_TOKENS):
            raise CostUsedUp
        return longest

    def _most_nano_usd(self, request: ModelRequest, output_tokens: int, *, now: datetime) -> int:
        """More than the call can cost: writing a cache costs more than reading the input, at some providers."""
        input_tokens = request.input_bound_tokens
        used = {Meter.TOKENS_IN: input_tokens, Meter.TOKENS_OUT: output_tokens}
        costs = [
            self.price(request, meters, now).nano_usd
            for meters in (used, {**used, Meter.TOKENS_CACHE_WRITE: input_tokens})
        ]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            raise ModelWithoutPrice(request.model)
        return max(known)


def _limited_by(asked: int, affordable: int, cap: int) -> LimitedBy | None:
    if cap < affordable:
        return LimitedBy.BUDGET
    return LimitedBy.MAX_COST if affordable < asked else None
