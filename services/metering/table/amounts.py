"""Amounts and dimensions as attributes, and back."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from services.metering.domain.hours import Revision
from services.metering.domain.usage import Amounts, Dimensions
from shared.meters import Meter
from shared.storage.items import Item, Reader, Value
from shared.storage.transaction import Expression

_HOUR = "%Y-%m-%dT%H"


def add(amounts: Amounts, *, fixed: Item | None = None, more: Mapping[str, int] | None = None) -> Expression:
    """Make the update that adds these amounts to a counter.

    Args:
        amounts: what is added.
        fixed: attributes that are the same in each such update.
        more: further numbers that are added.
    """
    added: dict[str, Value] = {
        **(more or {}),
        "events": amounts.events,
        "unpriced_events": amounts.unpriced,
        "cost_nano_usd": amounts.priced_nano_usd,
        **amounts.meters,
    }
    added = {name: amount for name, amount in added.items() if amount}
    parts: list[str] = []
    if added:
        parts.append("ADD " + ", ".join(f"#{name} :{name}" for name in added))
    if fixed:
        parts.append("SET " + ", ".join(f"#{name} = :{name}" for name in fixed))
    return Expression(" ".join(parts), {**added, **(fixed or {})})


def amounts_from_item(item: Item) -> Amounts:
    """The amounts of a counter."""
    reader = Reader(item)
    return Amounts(
        reader.optional_integer("events") or 0,
        reader.optional_integer("unpriced_events") or 0,
        reader.optional_integer("cost_nano_usd") or 0,
        meters_from_item(item),
    )


def meters_from_item(item: Item) -> dict[Meter, int]:
    """The meters of an item; those that are 0 are left out."""
    reader = Reader(item)
    return {meter: amount for meter in Meter if (amount := reader.optional_integer(meter))}


def dimensions_to_item(dimensions: Dimensions) -> dict[str, Value]:
    """Dimensions as attributes; the names are those that operators know."""
    return {
        "agentId": dimensions.agent_id,
        "model": dimensions.model,
        "provider": dimensions.provider,
        "projectId": dimensions.project_id,
    }


def dimensions_from_item(item: Item) -> Dimensions:
    """The dimensions of an item."""
    reader = Reader(item)
    return Dimensions(
        agent_id=reader.optional_text("agentId"),
        model=reader.optional_text("model"),
        provider=reader.optional_text("provider"),
        project_id=reader.optional_text("projectId"),
    )


@lru_cache(maxsize=1_024)
def place_of_dimensions(dimensions: Dimensions) -> str:
    """Where a row of these dimensions stands; hashed, because a model's name may be long and hold any character."""
    values = json.dumps(list(dimensions_to_item(dimensions).values()))
    return hashlib.sha256(values.encode()).hexdigest()[:32]


def hour_to_text(hour: datetime) -> str:
    """`2026-11-22T23`."""
    return f"{hour:{_HOUR}}"


def hour_from_text(text: str) -> datetime:
    """The hour that `hour_to_text` wrote."""
    return datetime.strptime(text, _HOUR).replace(tzinfo=UTC)


def revision_to_text(revision: Revision) -> str:
    """Its number as part of a key; the numbers sort."""
    return f"{revision.number:04}"
