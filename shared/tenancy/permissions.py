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


RESOURCES = (
    *("agents", "analytics", "audit", "billing", "budget", "datasets", "experiments", "lint", "projects", "prompts"),
    *("provider-keys", "runs", "tenant", "usage", "users"),
)
"""The parts of the API that a scope names: the part of the path that follows the tenant, or `tenant` for its own path.

API keys themselves are missing: no API key can read or change API keys.
"""
SCOPES = frozenset(f"{resource}:{access}" for resource in RESOURCES for access in ("read", "write"))
"""The scopes that an API key can have, such as `runs:write`."""
_TENANT_PATH = "/v1/tenants/{tenant_id}"


def scope_of(method: str, path: str) -> str:
    """Return the scope that an API key needs for a route, such as `runs:read`.

    Args:
        method: the method.
        path: the path with its `{names}`.
    """
    resource = path.removeprefix(_TENANT_PATH).strip("/").partition("/")[0] or "tenant"
    return f"{resource}:{'read' if method == 'GET' else 'write'}"


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
