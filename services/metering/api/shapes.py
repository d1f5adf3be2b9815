"""What the answers, and the ranges that are asked for, have in common."""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.meters import Meter, Meters

_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)


def _first_day(text: object) -> object:
    """A month stands for its first day."""
    return f"{text}-01" if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}", text) else text


def _midnight(text: object) -> object:
    """A day stands for its start in UTC."""
    return f"{text}T00:00:00Z" if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text


Day = Annotated[date, BeforeValidator(_first_day), Field(ge=_FIRST_DAY, le=_LAST_DAY)]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_midnight),
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2999, 12, 31, tzinfo=UTC)),
]


class DaysQuery(BaseModel):
    """Which days, in UTC, half-open; a month such as `2026-11` stands for its first day."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[Day | None, Field(alias="from")] = None
    end: Annotated[Day | None, Field(alias="to")] = None


class Usage(BaseModel):
    """How much was used."""

    meters: dict[Meter, int]
    cost_nano_usd: int | None
    """The provider's list price as far as it is known; null when it is known of nothing in this row."""


def all_meters(meters: Meters) -> dict[Meter, int]:
    """Every meter, those that were not used with 0."""
    return {meter: meters.get(meter, 0) for meter in Meter}
