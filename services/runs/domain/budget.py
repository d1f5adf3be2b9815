"""The budget of a tenant's month: what is left of its limits, and what is held for calls.

    reserve   left -= bound           and the call is open; only if so much is left and it is not open yet
    settle    left += bound - used    and the call is not open any more; only if it is

A bound is more than a call can use, so what was used and what is uncertain never pass the limit. Usage is always
subtracted, also where nothing limits it, so that a limit that comes later starts from the truth.

The same item holds the tenant's slots, one for each run that executes: a reservation from outside takes one, and the
settlement that ends the run frees it, each in the same update. A run keeps its slot between its calls. The slots of a
tenant are held in the item of one month at a time; the first reservation of the next month moves them on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.runs.domain.run import CallId, Run, Status
from services.runs.errors import RequestsUsedUp, TokensUsedUp, TooManyOpenCalls
from shared.meters import Meter, Meters
from shared.plans import UNLIMITED
from shared.tenancy.context import TenantAccess

SHARE = 8
"""A reservation that nobody asked for takes one part in so many of what is left."""
SHORT_ANSWER_TOKENS = 256
"""… but lets this much be answered, as long as there is enough."""
LEAST_ANSWER_TOKENS = 16
"""Fewer are no answer: OpenAI's Responses API takes no smaller cap."""
MOST_OPEN = 1_000
"""Calls of one tenant that may be open when a client adds one. Each takes some 90 bytes of an item that is written
twice in every call, and an item holds 400 KB."""
MOST_OPEN_OF_WORKERS = 2 * MOST_OPEN
"""The same when a run that is under way goes on: at most one for each that a worker has."""
MAX_EXECUTING = MOST_OPEN
"""Runs of one tenant that execute at once, whatever its plan allows."""
WAITING_PER_SLOT = 20
"""Runs that may wait for a slot, for each run that may execute."""
LEFT_ALONE = timedelta(minutes=5)
"""How long an open call is none of the sweep's business. No function that reserves lives so long without sending."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the tenant may use in a month, by one version of its copy."""

    seq: int
    requests: int
    tokens: int
    """Input and output together; -1 is unlimited, as for requests."""
    overage: bool
    runs: int = MAX_EXECUTING
    """That execute at once; never unlimited."""

    @classmethod
    def of(cls, access: TenantAccess) -> "Terms":
        """Those of this copy."""
        allowance = access.allowance
        runs = allowance.concurrent_runs
        return cls(
            seq=access.seq,
            requests=allowance.requests_per_month,
            tokens=allowance.tokens_per_month,
            overage=allowance.overage,
            runs=MAX_EXECUTING if runs == UNLIMITED else min(runs, MAX_EXECUTING),
        )

    @property
    def hold_requests(self) -> bool:
        """Whether the number of requests is limited."""
        return self.requests != UNLIMITED and not self.overage

    @property
    def hold_tokens(self) -> bool:
        """Whether the number of tokens is limited."""
        return self.tokens != UNLIMITED and not self.overage


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call has taken from the budget."""

    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held for one call until it is settled."""

    call: CallId
    tokens: int
    touched_ms: int
    """Since 1970; when it was made, or taken over by a request that was sent again. The sweep gives back nothing that
    was touched since it looked."""
    stored_as: str = field(default="", compare=False)
    """Its key where that is another one: entries of earlier releases."""

    @property
    def requests(self) -> int:
        """A run's one request is held with its first call."""
        return int(self.call.is_first)

    @property
    def name(self) -> str:
        """Its key, fit for an expression: the run's id without the last nine hours of its time.

        A request that is sent again with its Idempotency-Key makes an id with another time and the same random part,
        and finds what its first try has reserved. When the key has expired after a day, the name differs.
        """
        ulid = self.call.run_id.rpartition("_")[2]
        return self.stored_as or f"{ulid[:5]}{ulid[10:]}_{self.call.attempt}_{self.call.number}"


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a tenant, as the item of one month holds them."""

    executing: Mapping[str, int]
    """When each run took its slot, in milliseconds since 1970, by the run's id."""
    limit: int
    """Runs that this month may hold: the plan's limit without the slots that the month before still holds."""
    waiting: int = 0
    """Runs that wait for a slot."""
    waiting_since_ms: int = 0
    """When the number of waiting runs last changed."""
    moved_to: str | None = None
    """The month that holds the tenant's slots now. Here they are only freed."""

    @property
    def is_full(self) -> bool:
        """Whether no further run can execute."""
        return len(self.executing) >= self.limit

    @property
    def has_room(self) -> bool:
        """Whether a new run can execute at once: a slot is free, and no run waits for it already."""
        return not self.is_full and self.waiting <= 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of one month."""

    terms: Terms
    requests_left: int
    tokens_left: int
    open: Mapping[str, Reservation] = field(default_factory=dict[str, Reservation])
    """By their names."""
    slots: Slots | None = None
    """None before the first run of the month."""

    @classmethod
    def fresh(cls, terms: Terms) -> "Budget":
        """Of a month in which nothing was used."""
        return cls(terms, _start(terms.requests), _start(terms.tokens))

    @property
    def spent(self) -> Spent:
        """What was taken from it by calls that have ended, and from outside."""
        held = self.open.values()
        return Spent(
            requests=_start(self.terms.requests) - self.requests_left - sum(one.requests for one in held),
            tokens=_start(self.terms.tokens) - self.tokens_left - sum(one.tokens for one in held),
        )

    def under(self, terms: Terms) -> "Budget":
        """What is left under another plan, in the middle of the month: what was used stays used."""
        slots = self.slots and replace(self.slots, limit=self.slots.limit - self.terms.runs + terms.runs)
        return replace(
            self,
            slots=slots,
            terms=terms,
            requests_left=self.requests_left - _start(self.terms.requests) + _start(terms.requests),
            tokens_left=self.tokens_left - _start(self.terms.tokens) + _start(terms.tokens),
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a call would use at most."""

    input_tokens: int
    output_tokens: int
    asked_for: bool
    """Whether the output cap was asked for, or is the default."""

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    @property
    def least_tokens(self) -> int:
        """Below this there is no use in sending it."""
        return self.input_tokens + min(self.output_tokens, LEAST_ANSWER_TOKENS)

    @property
    def unshared_tokens(self) -> int:
        """So much it may take, however little is left."""
        return self.tokens if self.asked_for else self.input_tokens + min(self.output_tokens, SHORT_ANSWER_TOKENS)


@dataclass(frozen=True, slots=True)
class Share:
    """What is to be reserved, and on which condition."""

    tokens: int
    if_left_tokens: int
    """So much must still be left at that moment."""


def whole(wish: Wish) -> Share:
    """All of it, if enough is left; nothing has to be read for that."""
    return _share(wish, wish.tokens)


def part(budget: Budget, wish: Wish, *, call: CallId, most_open: int, tries: int, now: datetime) -> Share:
    """As much of it as there is when this was left a moment ago.

    Each time that others were faster less is taken, so that many at once do not stand in each other's way.

    Args:
        budget: as it was seen.
        wish: what the call would use at most.
        call: that it is for.
        most_open: so many calls may be open.
        tries: how often this was tried, from 1.
        now: the time.

    Raises:
        RequestsUsedUp, TokensUsedUp: not even the input fits into what is left.
        TooManyOpenCalls: so many calls of the tenant are under way.
    """
    if len(budget.open) >= most_open:
        raise TooManyOpenCalls
    if budget.terms.hold_requests and call.is_first and budget.requests_left < 1:
        raise RequestsUsedUp(next_month(now))
    if not budget.terms.hold_tokens:
        return whole(wish)
    if budget.tokens_left < wish.least_tokens:
        raise TokensUsedUp(next_month(now))
    shared = max(budget.tokens_left // (SHARE * tries), wish.unshared_tokens)
    return _share(wish, min(wish.tokens, shared, budget.tokens_left))


def spent_by(run: Run | None, call: CallId) -> Spent | None:
    """What a call has taken, by what its run says; None while it may still be sent, or is under way.

    Args:
        run: None when there is none: its POST went no further.
        call: that is open in the budget.
    """
    ended = run.ended_call(call) if run else None
    if ended:
        return Spent(ended.meters.get(Meter.REQUESTS, 0), ended.spent_tokens)
    if run is None or run.status.final:
        return Spent()
    may_be_written_yet = run.status is Status.RUNNING and run.attempt == call.attempt
    return None if may_be_written_yet or run.open_call_id == call else Spent()


def spent_outside(meters: Meters) -> Spent:
    """What usage that was reported from outside takes."""
    counts = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
    return Spent(meters.get(Meter.REQUESTS, 0), sum(meters.get(meter, 0) for meter in counts))


def month_of(now: datetime) -> str:
    """The month, in UTC, as `2026-11`."""
    return f"{now.astimezone(UTC):%Y-%m}"


def next_month(now: datetime) -> datetime:
    """When the next month begins, and the limits renew."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def period_before(period: str) -> str:
    """The month before this one."""
    return month_of(_first_day(period) - timedelta(days=1))


def period_after(period: str) -> str:
    """The month after this one."""
    return month_of(next_month(_first_day(period)))


def _first_day(period: str) -> datetime:
    return datetime.fromisoformat(f"{period}-01T00:00:00+00:00")


def _start(limit: int) -> int:
    """What a month begins with; without a limit it is counted down from nothing."""
    return 0 if limit == UNLIMITED else limit


def _share(wish: Wish, tokens: int) -> Share:
    return Share(tokens, tokens if tokens <= wish.unshared_tokens else SHARE * tokens)
