"""The differences between environments. The operator's own settings are in `infra/settings.py`."""

import json
from dataclasses import dataclass, field, replace

from infra.bundle.target import BundleTarget
from infra.settings import Settings

CORS_ORIGINS = ("http://localhost:3000", "http://localhost:8080")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The settings of one environment. The defaults are those of production."""

    environment: str
    retain: bool = True
    """Tables, bucket, users and secrets outlive their stack and are backed up."""
    log_retention_days: int = 365
    alarms: bool = True
    throttle_burst: int = 5000
    throttle_rate: int = 2000
    """Requests per second of all callers together."""
    password_sign_in: bool = False
    """Whether a client may send a password. Otherwise only SRP is possible."""
    target: BundleTarget = field(default_factory=BundleTarget)
    """The target of the bundles."""
    enforce_ssl: bool = True
    api_id: str | None = None
    """A fixed API id for the engine, so that the URL stays the same: 8 hex digits."""
    max_concurrency: int = 100
    """Concurrent batches per queue, so that no backlog takes the concurrency that the API's functions need."""
    worker_concurrency: int = 500
    """Concurrent batches of the functions that call models, whose batches can take minutes."""
    reserve_concurrency: bool = True
    """Whether functions that mostly wait have limited concurrency. A new account has too little to divide it."""
    snap_start: bool = True
    """Whether functions with routes start from a snapshot, which costs about $2 per function and month."""
    visibility_factor: int = 6
    """The visibility timeout of a message in timeouts of its function. A killed batch waits that long."""
    providers_without_key: str = "fail"
    allow_private_base_urls: bool = False
    stripe_api_base: str = "https://api.stripe.com"
    settings: Settings = field(default_factory=Settings)
    """The operator's settings."""
    preflight_origins: tuple[str, ...] | None = None
    """The origin of the gateway's own preflight responses; None: the origins of the functions' responses."""

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The pages that may call the API."""
        return CORS_ORIGINS if self.settings.cors_origins is None else self.settings.cors_origins

    @property
    def max_runs_per_tenant(self) -> int:
        """Runs of one tenant that execute at once: half of the workers, each of which may have one (decision 32)."""
        return max(1, self.worker_concurrency // 2)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of every function that depend on the profile."""
        return {
            "ENVIRONMENT": self.environment,
            "CORS_ORIGINS": json.dumps(self.cors_origins, separators=(",", ":")),
            "PROVIDERS_WITHOUT_KEY": self.providers_without_key,
            "ALLOW_PRIVATE_BASE_URLS": str(self.allow_private_base_urls).lower(),
            "STRIPE_API_BASE": self.stripe_api_base,
            "MAX_RUNS_PER_TENANT": str(self.max_runs_per_tenant),
        }


PROD = Profile(environment="prod")
STAGING = replace(
    PROD,
    environment="staging",
    log_retention_days=90,
    password_sign_in=True,
    max_concurrency=50,
    worker_concurrency=100,
)
DEV = replace(
    STAGING,
    environment="dev",
    retain=False,
    log_retention_days=30,
    max_concurrency=10,
    worker_concurrency=20,
    reserve_concurrency=False,
    snap_start=False,
)
LOCAL = replace(
    DEV,
    environment="local",
    log_retention_days=7,
    alarms=False,  # the engine has no metrics
    target=BundleTarget(platform=None, python=None),
    enforce_ssl=False,  # the engine speaks plain HTTP
    api_id="a11ab0ca",
    max_concurrency=2,
    worker_concurrency=10,
    visibility_factor=2,
    providers_without_key="simulate",
    allow_private_base_urls=True,
    stripe_api_base="http://localhost:4567",  # the local Stripe; a deployment sets its actual address
    preflight_origins=("*",),  # the engine supports only one
)

PROFILES = {profile.environment: profile for profile in (LOCAL, DEV, STAGING, PROD)}
