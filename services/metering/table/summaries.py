"""Summaries: what was said last of each month, and when it may be said again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.metering.domain.summary import SUMMARISED_EVERY_S, Summary, Threshold
from services.metering.table import SLICE
from shared.events.envelope import Event
from shared.storage.items import Item, Key, Reader
from shared.storage.store import Store, Unchanged
from shared.storage.transaction import Expression, Transaction
from shared.times import from_text, to_text

PAUSE = timedelta(seconds=SUMMARISED_EVERY_S)

_DUE = SLICE.due_key("SUMMARY")
_PREFIX = "SUMMARY#"


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to say the next summary of a month."""

    month: str
    seq: int
    last: Summary
    """What was said before."""
    thresholds: tuple[str, ...]
    """The names of those that were said."""


@dataclass(frozen=True, slots=True)
class Published:
    """The summary of a month as it was published last."""

    month: str
    last: Summary
    thresholds: tuple[str, ...]
    """The names of those that were published."""
    next_at: datetime | None
    """The end of the pause after it."""


def read(store: Store, tenant_id: str, month: str) -> Published | None:
    """Return the last summary of a month, or None if there was none."""
    item = store.get(_key(tenant_id, month))
    if item is None:
        return None
    reader = Reader(item)
    next_at = reader.optional_text("next_at")
    thresholds = reader.texts("thresholds")
    return Published(month, _last_from_item(item), thresholds, from_text(next_at) if next_at else None)


def take_turn(store: Store, tenant_id: str, month: str, *, now: datetime) -> Turn | datetime:
    """The right to say the next summary, and the duty to look again after a pause; during one, when that is over.

    The pause is on record by itself, so that it is looked at even if what was to be said now never is.
    """
    change = Expression(
        "ADD #seq :one SET #next_at = :next_at, #due_pk = :due_pk, #due_sk = :due_sk",
        {
            "one": 1,
            "next_at": to_text(now + PAUSE),
            "due_pk": _DUE,
            "due_sk": f"{to_text(now + PAUSE)}#{tenant_id}#{month}",
        },
    )
    rested = Expression("attribute_not_exists(#next_at) OR #next_at <= :now", {"now": to_text(now)})
    item = store.update_or_see(_key(tenant_id, month), change, when=rested)
    if isinstance(item, Unchanged):
        return from_text(Reader(item.there or {}).text("next_at"))
    return _turn_from_item(month, item)


def say(
    store: Store,
    tenant_id: str,
    turn: Turn,
    summary: Summary,
    *,
    thresholds: Sequence[Threshold],
    events: Sequence[Event[Any]],
) -> None:
    """Say a summary, unless somebody else has the turn by now."""
    transaction = Transaction(tenant_id)
    change = Expression(
        "SET #requests = :requests, #tokens = :tokens, #storage_bytes = :storage_bytes, #thresholds = :thresholds",
        {
            "requests": summary.requests,
            "tokens": summary.tokens,
            "storage_bytes": summary.storage_bytes,
            "thresholds": [*turn.thresholds, *(threshold.name for threshold in thresholds)],
        },
    )
    transaction.update(_key(tenant_id, turn.month), change, when=_same_turn(turn))
    transaction.emit(*events)
    store.try_commit(transaction)


def end_pause(store: Store, tenant_id: str, month: str, *, now: datetime) -> Summary | None:
    """Let whoever counts something next have the turn, if the pause is over; where nobody counts, nothing is due.

    Returns:
        What was said last; None where another pause has begun, which will be looked at after its own end.
    """
    over = Expression(
        "attribute_exists(#seq) AND (attribute_not_exists(#next_at) OR #next_at <= :now)", {"now": to_text(now)}
    )
    item = store.update(_key(tenant_id, month), Expression("REMOVE #next_at, #due_pk, #due_sk"), when=over)
    return _last_from_item(item) if item else None


def month_at(sk: str) -> str:
    """Return the month of a summary's sort key."""
    return sk.removeprefix(_PREFIX)


def _key(tenant_id: str, month: str) -> Key:
    return Key(SLICE.key(tenant_id), f"{_PREFIX}{month}")


def _same_turn(turn: Turn) -> Expression:
    return Expression("#seq = :seq", {"seq": turn.seq})


def _turn_from_item(month: str, item: Item) -> Turn:
    reader = Reader(item)
    return Turn(month, reader.integer("seq"), _last_from_item(item), reader.texts("thresholds"))


def _last_from_item(item: Item) -> Summary:
    reader = Reader(item)
    return Summary(
        reader.optional_integer("requests") or 0,
        reader.optional_integer("tokens") or 0,
        reader.optional_integer("storage_bytes") or 0,
    )
