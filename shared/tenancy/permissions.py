"""Roles and features. Each role includes the less powerful ones."""

from enum import StrEnum


class Role(StrEnum):
    """The roles, from the most to the least powerful."""

    PLATFORM_ADMIN = "platform_admin"
    TENANT_ADMIN = "tenant_admin"
    DEVELOPER = "developer"
    ANALYST = "analyst"
    OBSERVER = "observer"

    def includes(self, min_role: "Role") -> bool:
        """Return whether this role has the permissions of `min_role`."""
        order = list(Role)
        return order.index(self) <= order.index(min_role)


class Feature(StrEnum):
    """The features that a plan can enable."""

    AGENTS = "agents"
    EXPERIMENTS = "experiments"
    LINTING = "linting"
    DEBUGGING = "debugging"
    MONITORING = "monitoring"


ALL_FEATURES = "all"
"""The entry that represents every feature in the list of a plan or a token."""


def effective_features(granted: tuple[str, ...] | None, enabled: tuple[str, ...]) -> frozenset[Feature]:
    """Return the features of a caller: those that both its token and its tenant's plan allow.

    Args:
        granted: the features in the token; None (no claim) means all.
        enabled: the features in the tenant's limits.
    """
    return _expand(enabled) & (frozenset(Feature) if granted is None else _expand(granted))


def _expand(names: tuple[str, ...]) -> frozenset[Feature]:
    if ALL_FEATURES in names:
        return frozenset(Feature)
    known = {feature.value for feature in Feature}
    return frozenset(Feature(name) for name in names if name in known)
