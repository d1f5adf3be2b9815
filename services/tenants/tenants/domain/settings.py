"""Settings: free JSON that a tenant's own programs store here. This service interprets `lint_gate` only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from services.tenants.errors import LintGateInvalid, SettingsTooLarge
from shared.freejson import encode

MAX_SETTINGS_BYTES = 16 * 1024
"""The limit of all settings of a tenant together, as compact JSON in UTF-8."""

Settings = Mapping[str, Any]
LintGate = Literal["off", "warn", "block"]
LINT_GATE = "lint_gate"
"""The setting of what happens to a version of an agent or prompt with lint errors that is to go live."""


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """Settings as they are stored."""

    values: Settings
    seq: int | None = None
    """The version of the tenant that wrote them. None if they have no item of their own."""

    @property
    def in_list(self) -> Settings:
        """The settings for a list of tenants, or only their size if they exceed the limit.

        Settings from before the limit existed could fill a whole page.
        """
        size = len(encode(self.values))
        return {"unreadable": {"bytes": size}} if size > MAX_SETTINGS_BYTES else self.values


def change_settings(settings: Settings, patch: Settings) -> dict[str, Any]:
    """Return the settings after a merge patch (RFC 7396).

    Raises:
        SettingsTooLarge: the settings would exceed the limit. Larger ones from before the limit existed may shrink.
    """
    changed = merged_settings(settings, patch)
    size = len(encode(changed))
    if changed != settings and size > MAX_SETTINGS_BYTES and size >= len(encode(settings)):
        raise SettingsTooLarge(size, MAX_SETTINGS_BYTES)
    return changed


def merged_settings(settings: Settings, patch: Settings) -> dict[str, Any]:
    """Return settings with a patch merged: null removes a field, an object is merged, any other value replaces."""
    merged = dict(settings)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            existing = merged.get(name)
            merged[name] = merged_settings(existing if isinstance(existing, Mapping) else {}, value)  # pyright: ignore[reportUnknownArgumentType] — any JSON
        else:
            merged[name] = value
    return merged


def lint_gate_of(settings: Settings) -> LintGate:
    """Return the gate in settings; `warn` if they have none.

    Raises:
        LintGateInvalid: the setting has another value.
    """
    gate = settings.get(LINT_GATE, "warn")
    if gate not in get_args(LintGate):
        raise LintGateInvalid
    return cast("LintGate", gate)
