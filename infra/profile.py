"""What differs between environments: this one list, and beside it what an operator says (`infra/settings.py`)."""

import json
from dataclasses import dataclass, field, replace

from infra.bundle.target import BundleTarget
from infra.settings import Settings

CORS_ORIGINS = ("http://localhost:3000", "http://localhost:8080")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The settings of one environment; the defaults are production's."""

    environment: str
    retain: bool = True
    """Tables, bucket, users and secrets outlive their stack, and are backed up."""
    log_retention_days: int = 365
    alarms: bool = True
    throttle_burst: int = 5000
    throttle_rate: int = 2000
    """Requests a second, of all callers together."""
    password_sign_in: bool = False
    """Whether a client may send a password; without it there is SRP alone."""
    target: BundleTarget = field(default_factory=BundleTarget)
    """What the bundles are built for."""
    enforce_ssl: bool = True
    api_id: str | None = None
    """A fixed API id, where the engine lets one choose it, so that the URL stays the same: 8 hex digits."""
    max_concurrency: int = 100
    """How many batches of one queue are worked on at once, so that no backlog takes what the API's functions need."""
    reserve_concurrency: bool = True
    """Whether functions that mostly wait are held back; a fresh account has too little concurrency to share it out."""
    snap_start: bool = True
    """Whether functions with routes start from a snapshot; each costs about $2 a month for being kept."""
    visibility_factor: int = 6
    """How many timeouts of its function a message stays hidden; a killed batch waits for that long."""
    providers_without_key: str = "fail"
    allow_private_base_urls: bool = False
    stripe_api_base: str = "https://api.stripe.com"
    settings: Settings = field(default_factory=Settings)
    """What the operator says."""
    preflight_origins: tuple[str, ...] | None = None
    """Whom the gateway's own preflight answers are for; None: the same as the functions' answers."""

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The pages that may call the API."""
        return CORS_ORIGINS if self.settings.cors_origins is None else self.settings.cors_origins

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of every function that come from the profile."""
        return {
            "ENVIRONMENT": self.environment,
            "CORS_ORIGINS": json.dumps(self.cors_origins, separators=(",", ":")),
            "PROVIDERS_WITHOUT_KEY": self.providers_without_key,
            "ALLOW_PRIVATE_BASE_URLS": str(self.allow_private_base_urls).lower(),
            "STRIPE_API_BASE": self.stripe_api_base,
        }


PROD = Profile(environment="prod")
STAGING = replace(PROD, environment="staging", log_retention_days=90, password_sign_in=True, max_concurrency=50)
DEV = replace(
    STAGING,
    environment="dev",
    retain=False,
    log_retention_days=30,
    max_concurrency=10,
    reserve_concurrency=False,
    snap_start=False,
)
LOCAL = replace(
    DEV,
    environment="local",
    log_retention_days=7,
    alarms=False,  # the engine has no metrics that could raise one
    target=BundleTarget(platform=None, python=None),
    enforce_ssl=False,  # the engine speaks plain HTTP
    api_id="a11ab0ca",
    max_concurrency=2,
    visibility_factor=2,
    providers_without_key="simulate",
    allow_private_base_urls=True,
    stripe_api_base="http://localhost:4567",  # the local Stripe; a deployment says where it is in fact
    preflight_origins=("*",),  # the engine cannot choose between two
)

PROFILES = {profile.environment: profile for profile in (LOCAL, DEV, STAGING, PROD)}
