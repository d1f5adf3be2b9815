"""A tenant's own limits, which override those of its plan field by field."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from shared.plans import LIMITS, UNLIMITED, Plan, Quotas
from shared.schema import DocumentedModel
from shared.tenancy.permissions import Feature

OwnLimits = Mapping[str, int | tuple[str, ...]]
"""A subset of the fields of `Quotas`. Own limits survive a change of plan."""

_Limit = Annotated[int, Field(ge=UNLIMITED, le=10**15)]
_ConcurrentRuns = Literal[-1] | Annotated[int, Field(ge=1, le=1_000)]
"""Unlimited (-1) also means 1,000, because a tenant's executing runs are listed in one item."""
_Feature = Annotated[Feature, Field(strict=False)] | Literal["all"]
_Features = Annotated[list[_Feature], Field(max_length=len(Feature) + 1)]


class LimitsPatch(DocumentedModel):
    """Limits that override those of the plan. Null removes the override, and -1 means unlimited."""

    model_config = ConfigDict(extra="forbid", strict=True)

    max_users: _Limit | None = None
    max_projects: _Limit | None = None
    max_requests_per_month: _Limit | None = None
    """Runs and reported requests per month in UTC."""
    max_tokens_per_month: _Limit | None = None
    """Input and output tokens per month in UTC."""
    max_storage_gb: _Limit | None = None
    """In GB (10^9 bytes)."""
    max_concurrent_runs: _ConcurrentRuns | None = None
    """Runs that execute at the same time; further runs wait. -1 means 1,000."""
    enabled_features: _Features | None = None
    """The features that changes may require; `all` enables all of them."""

    @property
    def sent(self) -> dict[str, int | tuple[str, ...] | None]:
        """The fields that the request contains."""
        sent: dict[str, Any] = self.model_dump(include=self.model_fields_set, mode="json")
        features = sent.get("enabled_features")
        return sent if features is None else {**sent, "enabled_features": tuple(features)}


def limits_of(plan: Plan, own: OwnLimits) -> Quotas:
    """Return the limits of a plan, with own limits in place of the plan's."""
    given: dict[str, Any] = dict(own)
    return replace(LIMITS[plan], **given)


def merge_limits(own: OwnLimits, patch: Mapping[str, int | tuple[str, ...] | None]) -> OwnLimits:
    """Return the own limits after a merge patch. None removes a limit."""
    merged: dict[str, int | tuple[str, ...] | None] = {**own, **patch}
    return {name: value for name, value in merged.items() if value is not None}


def derive_own_limits(plan: Plan, limits: Quotas) -> OwnLimits:
    """Return the limits that differ from the plan's, for a tenant that was created with AWS tools."""
    ours = asdict(LIMITS[plan])
    return {name: value for name, value in asdict(limits).items() if value != ours[name]}
