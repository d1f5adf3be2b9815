"""What an operator says of an environment: the context `environments` of cdk.json, one object for each.

Everything is optional. An environment that says nothing is deployed as `infra/profile.py` has it.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

CONTEXT = "environments"

Account = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/*]+$")]
Host = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+\.)+[a-z]+$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]
CertificateArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate/.+$")]


class InvalidSettings(ValueError):
    """The settings of an environment cannot be read; the text says where."""


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domain(_Said):
    """A domain name of one's own for the API."""

    name: Host
    certificate_arn: CertificateArn
    """A certificate for that name, in the region of the mesh."""
    hosted_zone_id: str | None = None
    """The zone that gets the record; None: whoever keeps the zone makes it."""


class Settings(_Said):
    """What is said of one environment."""

    account: Account | None = None
    """The only account that it may be deployed to; None: whatever the credentials are for."""
    cors_origins: tuple[Origin, ...] | None = None
    """The pages that may call the API; None: the product's defaults."""
    domain: Domain | None = None
    alerts_email: Email | None = None
    """Who is told of alarms; the address must be confirmed once."""
    firewall: bool = False
    """Whether a web ACL stands before the API; about $8 a month and $0.60 per million requests."""
    tags: Mapping[str, str] = Field(default_factory=dict)
    """On everything, besides the mesh's own; for the allocation of costs."""


def settings_of(environment: str, environments: Mapping[str, Any] | None) -> Settings:
    """What the context says of an environment.

    Raises:
        InvalidSettings: something in it is unknown or malformed.
    """
    try:
        return Settings.model_validate((environments or {}).get(environment, {}))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        msg = f"cdk.json, context {CONTEXT}.{environment}: {wrong}"
        raise InvalidSettings(msg) from None
