"""The settings that every stack is created from."""

from dataclasses import dataclass

from infra.bundle.asset import Bundles
from infra.names import Names
from infra.profile import Profile
from shared.declaration import Service


@dataclass(frozen=True, slots=True)
class Mesh:
    """One mesh: its services, its names, and the settings of its environment."""

    names: Names
    profile: Profile
    services: tuple[Service, ...]
    bundles: Bundles
    openapi: bytes
    """The OpenAPI document that the API serves."""
