"""Roles and features: each role includes the ones below it."""

from enum import StrEnum


class Role(StrEnum):
    """The roles, from the most to the least powerful."""

    PLATFORM_ADMIN = "platform_admin"
    TENANT_ADMIN = "tenant_admin"
    DEVELOPER = "developer"
    ANALYST = "analyst"
    OBSERVER = "observer"

    def includes(self, least: "Role") -> bool:
        """Whether this role may do what `least` may do."""
        order = list(Role)
        return order.index(self) <= order.index(least)


class Feature(StrEnum):
    """What a plan can enable."""

    AGENTS = "agents"
    EXPERIMENTS = "experiments"
    LINTING = "linting"
    DEBUGGING = "debugging"
    MONITORING = "monitoring"


ALL_FEATURES = "all"
"""In a plan's or a token's list it stands for every feature."""


def effective_features(granted: tuple[str, ...] | None, enabled: tuple[str, ...]) -> frozenset[Feature]:
    """The features a caller has: the token's, of those that the tenant's plan enables.

    Args:
        granted: from the token; None (no claim) means all.
        enabled: from the tenant's limits.
    """
    return _expand(enabled) & (frozenset(Feature) if granted is None else _expand(granted))


def _expand(names: tuple[str, ...]) -> frozenset[Feature]:
    if ALL_FEATURES in names:
        return frozenset(Feature)
    known = {feature.value for feature in Feature}
    return frozenset(Feature(name) for name in names if name in known)
