"""The budget of a tenant's month: the remainder of its limits, and the reservations of open calls.

    reserve   left -= bound           and open the call; only if enough is left and it is not open yet
    settle    left += bound - used    and close the call; only if it is open

A bound is more than a call can use, so the used and the uncertain amounts together never exceed the limit. Usage is
subtracted even where there is no limit, so that a limit that is introduced later starts from the correct remainder.

The same item holds the tenant's slots, one for each executing run: the reservation of a new run takes one, and the
settlement that ends the run frees it, each in the same update. A run keeps its slot between its calls. The slots of a
tenant are held in the item of one month at a time; the first reservation of the next month moves them on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.runs.errors import RequestsUsedUp, TokensUsedUp, TooManyOpenCalls
from services.runs.runs.domain.run import Call, CallId, Run, Status
from shared.meters import Meter, Meters
from shared.plans import UNLIMITED
from shared.tenancy.context import TenantAccess

SHARE_DIVISOR = 8
"""A reservation whose output cap is the default gets at most this fraction (1/8) of the remainder."""
SHORT_RESPONSE_TOKENS = 256
"""Such a reservation still gets this many output tokens, as long as they are left."""
MIN_OUTPUT_TOKENS = 16
"""A call with fewer is not worth sending: OpenAI's Responses API accepts no smaller cap."""
MAX_OPEN_CALLS = 1_000
"""Calls of one tenant that may be open when a client adds one. Each takes some 90 bytes of an item that is written
twice in every call, and an item holds 400 KB."""
MAX_OPEN_CALLS_OF_WORKERS = 2 * MAX_OPEN_CALLS
"""The same limit when a run that is under way continues; there is at most one open call for each executing run."""
MAX_EXECUTING_RUNS = MAX_OPEN_CALLS
"""The maximum number of executing runs of one tenant, regardless of its plan."""
MAX_WAITING_PER_SLOT = 20
"""Runs that may wait for a slot, for each run that may execute."""
SWEEP_GRACE_PERIOD = timedelta(minutes=5)
"""The sweep ignores younger reservations. No function that reserves runs this long without sending the call."""


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """The tenant's monthly limits, from one version of its copy."""

    seq: int
    requests: int
    tokens: int
    """Input and output tokens together; -1 is unlimited, as for requests."""
    overage: bool
    runs: int = MAX_EXECUTING_RUNS
    """The maximum number of executing runs; never unlimited."""

    @classmethod
    def of(cls, access: TenantAccess, *, max_runs: int = MAX_EXECUTING_RUNS) -> "PlanLimits":
        """Return the limits in this copy.

        Args:
            access: the copy of the tenant.
            max_runs: the tenant's share of the environment, in executing runs.
        """
        allowance = access.allowance
        runs, most = allowance.concurrent_runs, min(max_runs, MAX_EXECUTING_RUNS)
        return cls(
            seq=access.seq,
            requests=allowance.requests_per_month,
            tokens=allowance.tokens_per_month,
            overage=allowance.overage,
            runs=most if runs == UNLIMITED else min(runs, most),
        )

    def replaces(self, stored: "PlanLimits") -> bool:
        """Return whether to apply these limits to a month: the plan is newer, or the tenant's share has changed."""
        return stored.seq < self.seq or (stored.seq == self.seq and stored.runs != self.runs)

    @property
    def limits_requests(self) -> bool:
        """Whether the number of requests is limited."""
        return self.requests != UNLIMITED and not self.overage

    @property
    def limits_tokens(self) -> bool:
        """Whether the number of tokens is limited."""
        return self.tokens != UNLIMITED and not self.overage


@dataclass(frozen=True, slots=True)
class Spent:
    """The amounts deducted from the budget."""

    requests: int = 0
    tokens: int = 0
    uncertain_tokens: int = field(default=0, compare=False)
    """The part of `tokens` that calls with an unknown result may have used."""

    @classmethod
    def by_call(cls, ended: Call) -> "Spent":
        """Return the amounts that an ended call used, including its uncertain tokens."""
        uncertain = ended.meters.get(Meter.TOKENS_UNCERTAIN, 0)
        return cls(ended.meters.get(Meter.REQUESTS, 0), ended.spent_tokens, uncertain)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The reservation of one call, until it is settled."""

    call: CallId
    tokens: int
    touched_ms: int
    """Milliseconds since 1970 at which the reservation was made, or taken over by a retried request. The sweep
    releases no reservation that was touched after the sweep read it."""
    stored_name: str = field(default="", compare=False)
    """The stored key if it differs from `name`: entries of earlier releases."""

    @property
    def requests(self) -> int:
        """The one request of the run, reserved with its first call."""
        return int(self.call.is_first)

    @property
    def name(self) -> str:
        """The key of the reservation, usable in an expression: the run's id without the last nine hours of its time.

        A request that is retried with its Idempotency-Key gets a run id with another time and the same random part, so
        it finds the reservation of its first try. Once the key has expired, after a day, the name differs.
        """
        ulid = self.call.run_id.rpartition("_")[2]
        return self.stored_name or f"{ulid[:5]}{ulid[10:]}_{self.call.attempt}_{self.call.number}"


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a tenant, as stored in the item of one month."""

    executing: Mapping[str, int]
    """The time at which each run took its slot, in milliseconds since 1970, by run id."""
    limit: int
    """Runs that may hold a slot of this month: the plan's limit minus the slots that the previous month still holds."""
    waiting: int = 0
    """The number of runs that wait for a slot."""
    waiting_since_ms: int = 0
    """The time of the last change of `waiting`, in milliseconds since 1970."""
    moved_to: str | None = None
    """The month that holds the tenant's slots now; slots of this month are only freed."""

    @property
    def is_full(self) -> bool:
        """Whether no further run can execute."""
        return len(self.executing) >= self.limit

    @property
    def has_free_slot(self) -> bool:
        """Whether a new run can execute at once: a slot is free, and no run waits for one."""
        return not self.is_full and self.waiting <= 0


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of one month."""

    limits: PlanLimits
    requests_left: int
    tokens_left: int
    open: Mapping[str, Reservation] = field(default_factory=dict[str, Reservation])
    """The open reservations by name."""
    slots: Slots | None = None
    """None before the first run of the month."""
    uncertain_tokens: int = 0
    """The part of the spent tokens that calls with an unknown result may have used."""

    @classmethod
    def fresh(cls, limits: PlanLimits) -> "Budget":
        """Return the budget of a month without usage."""
        return cls(limits, _start(limits.requests), _start(limits.tokens))

    @property
    def spent(self) -> Spent:
        """The amounts deducted by ended calls and by usage reported from outside."""
        return Spent(
            requests=_start(self.limits.requests) - self.requests_left - self.reserved_requests,
            tokens=_start(self.limits.tokens) - self.tokens_left - self.reserved_tokens,
            uncertain_tokens=self.uncertain_tokens,
        )

    @property
    def reserved_requests(self) -> int:
        """The requests of runs whose first call is open."""
        return sum(reservation.requests for reservation in self.open.values())

    @property
    def reserved_tokens(self) -> int:
        """The upper bounds of the open calls."""
        return sum(reservation.tokens for reservation in self.open.values())

    def under(self, limits: PlanLimits) -> "Budget":
        """Return the budget under other limits, in the middle of the month; the usage so far stays deducted."""
        slots = self.slots and replace(self.slots, limit=self.slots.limit - self.limits.runs + limits.runs)
        return replace(
            self,
            slots=slots,
            limits=limits,
            requests_left=self.requests_left - _start(self.limits.requests) + _start(limits.requests),
            tokens_left=self.tokens_left - _start(self.limits.tokens) + _start(limits.tokens),
        )


@dataclass(frozen=True, slots=True)
class Freed:
    """The result of a settlement or of a freed slot."""

    period: str
    """The month that holds the tenant's slots."""
    waiting: bool = False
    """Whether any run of the tenant waits for a slot."""


@dataclass(frozen=True, slots=True)
class NoSlot:
    """The refusal of a slot or of a place to wait, with the month that refused it; None if it has no budget."""

    month: Budget | None

    @property
    def slots(self) -> Slots | None:
        """Return the slots of that month; None if it holds none."""
        return self.month.slots if self.month else None


@dataclass(frozen=True, slots=True)
class Denied:
    """A refused reservation, with the budget that refused it; None if the month has no budget yet."""

    budget: Budget | None


@dataclass(frozen=True, slots=True)
class ReservationRequest:
    """The request to reserve the usage bound of a call."""

    input_tokens: int
    output_tokens: int
    has_explicit_cap: bool
    """Whether the client or the config requested the output cap; false if it is the default."""
    is_whole: bool = False
    """Whether the output cap must not be clamped."""

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def min_tokens(self) -> int:
        """The number of tokens below which the call is not worth sending."""
        return self.tokens if self.is_whole else self.input_tokens + min(self.output_tokens, MIN_OUTPUT_TOKENS)

    @property
    def unshared_tokens(self) -> int:
        """The number of tokens that the call may reserve regardless of its share of the remainder."""
        return (
            self.tokens if self.has_explicit_cap else self.input_tokens + min(self.output_tokens, SHORT_RESPONSE_TOKENS)
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens to reserve, and the condition."""

    tokens: int
    min_left_tokens: int
    """The tokens that must be left when the reservation is written."""


def full_grant(request: ReservationRequest) -> Grant:
    """Return a reservation of all requested tokens; no budget needs to be read for it."""
    return _grant(request, request.tokens)


def partial_grant(
    budget: Budget, request: ReservationRequest, *, call: CallId, max_open: int, tries: int, now: datetime
) -> Grant:
    """Return a reservation of as many tokens as the budget allowed when it was read.

    The share shrinks with each failed try, so that concurrent reservations do not block each other.

    Args:
        budget: the budget as it was read.
        request: the usage bound of the call.
        call: the id of the call.
        max_open: the maximum number of open calls.
        tries: the number of this try, from 1.
        now: the time.

    Raises:
        RequestsUsedUp, TokensUsedUp: not even the input fits into the remainder.
        TooManyOpenCalls: the tenant has the maximum number of open calls.
    """
    if len(budget.open) >= max_open:
        raise TooManyOpenCalls
    if budget.limits.limits_requests and call.is_first and budget.requests_left < 1:
        raise RequestsUsedUp(next_month(now), limit=budget.limits.requests)
    if not budget.limits.limits_tokens:
        return full_grant(request)
    if budget.tokens_left < request.min_tokens:
        raise TokensUsedUp(
            next_month(now), limit=budget.limits.tokens, needed=request.min_tokens, left=max(0, budget.tokens_left)
        )
    shared = max(budget.tokens_left // (SHARE_DIVISOR * tries), request.unshared_tokens)
    return _grant(request, min(request.tokens, shared, budget.tokens_left))


def spent_by(run: Run | None, call: CallId) -> Spent | None:
    """Return the amounts that a call used according to its run; None if it is under way or may still be sent.

    Args:
        run: None if the run does not exist: its POST failed after the reservation.
        call: the id of the call that is open in the budget.
    """
    if run is None:
        return Spent()
    ended = run.ended_call(call)
    if ended:
        return Spent.by_call(ended)
    return None if _may_still_be_sent(run, call) else Spent()


def _may_still_be_sent(run: Run, call: CallId) -> bool:
    """Return whether a call that has not ended is open, or may be recorded yet by the worker that has the run."""
    if run.status.final:
        return False
    is_of_current_attempt = run.status is Status.RUNNING and run.attempt == call.attempt
    return is_of_current_attempt or run.open_call_id == call


def spent_outside(meters: Meters) -> Spent:
    """Return the amounts to deduct for usage that was reported from outside."""
    counts = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
    tokens = sum(meters.get(meter, 0) for meter in counts)
    return Spent(meters.get(Meter.REQUESTS, 0), tokens, meters.get(Meter.TOKENS_UNCERTAIN, 0))


def month_of(now: datetime) -> str:
    """Return the UTC month as `2026-11`."""
    return f"{now.astimezone(UTC):%Y-%m}"


def next_month(now: datetime) -> datetime:
    """Return the start of the next UTC month, when the limits renew."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def period_before(period: str) -> str:
    """Return the previous month."""
    return month_of(_first_day(period) - timedelta(days=1))


def period_after(period: str) -> str:
    """Return the next month."""
    return month_of(next_month(_first_day(period)))


def _first_day(period: str) -> datetime:
    return datetime.fromisoformat(f"{period}-01T00:00:00+00:00")


def _start(limit: int) -> int:
    """Return the remainder at the start of a month; unlimited usage is counted down from 0."""
    return 0 if limit == UNLIMITED else limit


def _grant(request: ReservationRequest, tokens: int) -> Grant:
    return Grant(tokens, tokens if tokens <= request.unshared_tokens else SHARE_DIVISOR * tokens)
