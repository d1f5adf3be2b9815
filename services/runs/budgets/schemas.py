"""Responses about budgets."""

from datetime import datetime
from typing import Self

from services.runs.budgets.domain import Budget, month_of, next_month
from shared.http.responses import ResponseBody
from shared.plans import UNLIMITED
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class RequestBudget(DocumentedModel):
    """The runs of the month, and the usage that the tenant has reported itself."""

    limit: int | None
    """Null if the plan has no limit."""
    used: int
    """Runs that called a provider, and reported requests."""
    reserved: int
    """Runs whose first call is under way."""
    left: int | None
    """`limit - used - reserved`, at least 0; null without a limit."""


class TokenBudget(DocumentedModel):
    """The input and output tokens of the month."""

    limit: int | None
    """Null if the plan has no limit."""
    used: int
    """Tokens of ended calls, and reported tokens."""
    reserved: int
    """The upper bounds of the calls that are under way. The unused part becomes free when a call ends."""
    uncertain: int
    """The upper bound of the usage of calls whose result is unknown. It is never billed."""
    left: int | None
    """`limit - used - reserved - uncertain`, at least 0; null without a limit."""


class BudgetState(DocumentedModel):
    """The state of a tenant's monthly limits."""

    month: str
    """In UTC, for example `2026-11`."""
    resets_at: Rfc3339
    """The start of the next month, in UTC."""
    overage: bool
    """Whether runs continue above the limits."""
    requests: RequestBudget
    tokens: TokenBudget

    @classmethod
    def of(cls, budget: Budget, *, now: datetime) -> Self:
        """Return the API representation of the budget of the month of `now`."""
        spent, limits = budget.spent, budget.limits
        uncertain = min(spent.uncertain_tokens, spent.tokens)
        return cls(
            month=month_of(now),
            resets_at=next_month(now),
            overage=limits.overage,
            requests=RequestBudget(
                limit=_limit(limits.requests),
                used=spent.requests,
                reserved=budget.reserved_requests,
                left=_left(limits.requests, budget.requests_left),
            ),
            tokens=TokenBudget(
                limit=_limit(limits.tokens),
                used=spent.tokens - uncertain,
                reserved=budget.reserved_tokens,
                uncertain=uncertain,
                left=_left(limits.tokens, budget.tokens_left),
            ),
        )

    @property
    def limited(self) -> dict[str, tuple[int, int]]:
        """The limit and the remainder of each limited unit."""
        parts = {"tokens": self.tokens, "requests": self.requests}
        return {
            unit: (part.limit, part.left)
            for unit, part in parts.items()
            if part.limit is not None and part.left is not None
        }


class BudgetResponse(ResponseBody):
    """The response with a budget."""

    budget: BudgetState


def _limit(limit: int) -> int | None:
    return None if limit == UNLIMITED else limit


def _left(limit: int, left: int) -> int | None:
    return None if limit == UNLIMITED else max(0, left)
