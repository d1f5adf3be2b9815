"""Settings: free JSON that a tenant's own programs keep here. It has no meaning to this service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.tenants.errors import SettingsTooLarge
from shared.freejson import encode

MAX_SETTINGS_BYTES = 16 * 1024
"""Of all settings of a tenant, as compact JSON in UTF-8."""

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """Settings as they were read."""

    values: Settings
    seq: int | None = None
    """The tenant's version that wrote them; None when they have no item of their own."""

    @property
    def in_list(self) -> Settings:
        """The settings as a list shows them; of those from before the limit, which could fill a page, their size."""
        size = len(encode(self.values))
        return {"unreadable": {"bytes": size}} if size > MAX_SETTINGS_BYTES else self.values


def change_settings(settings: Settings, patch: Settings) -> dict[str, Any]:
    """Return the settings after a merge patch (RFC 7396).

    Raises:
        SettingsTooLarge: they would be over the limit. Those that were stored before it existed may only shrink.
    """
    changed = merged_settings(settings, patch)
    size = len(encode(changed))
    if changed != settings and size > MAX_SETTINGS_BYTES and size >= len(encode(settings)):
        raise SettingsTooLarge(size, MAX_SETTINGS_BYTES)
    return changed


def merged_settings(settings: Settings, patch: Settings) -> dict[str, Any]:
    """Merge a patch into settings: null removes a field, an object is merged, anything else replaces."""
    merged = dict(settings)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            there = merged.get(name)
            merged[name] = merged_settings(there if isinstance(there, Mapping) else {}, value)  # pyright: ignore[reportUnknownArgumentType] — any JSON
        else:
            merged[name] = value
    return merged
