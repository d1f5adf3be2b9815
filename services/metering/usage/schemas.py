"""Requests and responses of daily and monthly usage, and the fields that other endpoints share."""

import re
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from services.metering.counters.schemas import MeterAmounts
from services.metering.usage.domain import GroupBy
from shared.http.responses import ListResponse
from shared.schema import DocumentedModel

_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)


def _day(text: object) -> object:
    """Expand a month to its first day, and refuse times, which would be cut to days in silence."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", text):
        msg = "must be a date such as 2026-11-22, or a month such as 2026-11; days are in UTC"
        raise ValueError(msg)
    return text if len(text) > len("2026-11") else f"{text}-01"


Day = Annotated[date, BeforeValidator(_day), Field(ge=_FIRST_DAY, le=_LAST_DAY)]


class DaysQuery(DocumentedModel):
    """A half-open range of days in UTC. A month such as `2026-11` means its first day."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[Day | None, Field(alias="from")] = None
    """The first day."""
    end: Annotated[Day | None, Field(alias="to")] = None
    """The day after the last day."""


class UsageAmounts(DocumentedModel):
    """The used amount of each meter, and the cost."""

    meters: MeterAmounts
    cost_nano_usd: int | None
    """The cost by the config's `price`, otherwise by the provider's list price. Usage without a known price is not
    included; null if no price is known."""
    unpriced_requests: int
    """Requests to models that are not included in `cost_nano_usd`, because the price of the model is unknown."""
    unpriced_tokens: int
    """Input and output tokens that are not included in `cost_nano_usd`. Tokens that the tenant reports have no
    price."""


class UsageQuery(DaysQuery):
    """A range of days, the dimension to group by, and the page."""

    group_by: GroupBy | None = None
    """One row per value of this dimension; by default, one row for all usage."""
    limit: Annotated[int | None, Field(ge=1, le=1000)] = None
    """The maximum number of rows on a page. By default, a page has all rows."""
    next_token: str | None = None
    nextToken: str | None = None  # noqa: N815 — the same, in the spelling of responses

    @property
    def token(self) -> str | None:
        """The token, from either parameter."""
        return self.next_token or self.nextToken


def _is_absent(value: str | None) -> bool:
    return value == _ABSENT


_ABSENT = ""


Group = Annotated[str | None, Field(exclude_if=_is_absent)]
"""The group of a row. Absent unless the request groups by this dimension, null if the usage has no such group."""


class GroupedUsage(UsageAmounts):
    """Usage of all groups, or of one."""

    agent_id: Group = _ABSENT
    model: Group = _ABSENT
    provider: Group = _ABSENT
    project_id: Group = _ABSENT


class DailyUsage(GroupedUsage):
    """The usage of a day."""

    date: date
    """The day, in UTC."""


class MonthlyUsage(GroupedUsage):
    """The usage of a month."""

    month: str
    """The month in UTC, for example `2026-11`. At the edge of the range, it includes only the requested days."""


class DailyUsageResponse(ListResponse):
    """Usage by day, newest first. Days without usage are omitted."""

    daily: list[DailyUsage]


class MonthlyUsageResponse(ListResponse):
    """Usage by month, newest first. Months without usage are omitted."""

    monthly: list[MonthlyUsage]
