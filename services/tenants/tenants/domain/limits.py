"""A tenant's own limits over those of its plan, key by key."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.plans import LIMITS, UNLIMITED, Limits, Plan
from shared.tenancy.permissions import Feature

OwnLimits = Mapping[str, int | tuple[str, ...]]
"""Some of the fields of `Limits`; they survive a change of plan."""

_Most = Annotated[int, Field(ge=UNLIMITED, le=10**15)]
_AtOnce = Literal[-1] | Annotated[int, Field(ge=1, le=1_000)]
"""Unlimited is 1,000 as well: a tenant's executing runs are listed in one item."""
_Feature = Annotated[Feature, Field(strict=False)] | Literal["all"]
_Features = Annotated[list[_Feature], Field(max_length=len(Feature) + 1)]


class LimitsPatch(BaseModel):
    """Limits over those of the plan, key by key; null takes one away, -1 is unlimited."""

    model_config = ConfigDict(extra="forbid", strict=True)

    max_users: _Most | None = None
    max_projects: _Most | None = None
    max_requests_per_month: _Most | None = None
    max_tokens_per_month: _Most | None = None
    max_storage_gb: _Most | None = None
    max_concurrent_runs: _AtOnce | None = None
    enabled_features: _Features | None = None

    @property
    def sent(self) -> dict[str, int | tuple[str, ...] | None]:
        """What was sent, and nothing of what was not."""
        sent: dict[str, Any] = self.model_dump(include=self.model_fields_set, mode="json")
        features = sent.get("enabled_features")
        return sent if features is None else {**sent, "enabled_features": tuple(features)}


def limits_of(plan: Plan, own: OwnLimits) -> Limits:
    """What a tenant on this plan with these limits of its own may use."""
    given: dict[str, Any] = dict(own)
    return replace(LIMITS[plan], **given)


def merge_limits(own: OwnLimits, patch: Mapping[str, int | tuple[str, ...] | None]) -> OwnLimits:
    """The own limits after a merge patch; None takes one away."""
    merged: dict[str, int | tuple[str, ...] | None] = {**own, **patch}
    return {name: value for name, value in merged.items() if value is not None}


def own_limits_in(plan: Plan, limits: Limits) -> OwnLimits:
    """Where these limits differ from the plan's; for a tenant that was made with AWS tools."""
    ours = asdict(LIMITS[plan])
    return {name: value for name, value in asdict(limits).items() if value != ours[name]}
