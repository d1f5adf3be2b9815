"""The operator's settings of an environment: the context `environments` of cdk.json, one object for each.

Every setting is optional. The defaults are in `infra/profile.py`.
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
    """The settings of an environment are invalid. The text names the field."""


class _AlreadyPublished(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Domain(_AlreadyPublished):
    """A custom domain name of the API."""

    name: Host
    certificate_arn: CertificateArn
    """A certificate of that name, in the region of the mesh."""
    hosted_zone_id: str | None = None
    """The hosted zone of the record; None: the operator creates the record elsewhere."""


class Settings(_AlreadyPublished):
    """The settings of one environment."""

    account: Account | None = None
    """The only account of its deployments; None: the account of the credentials."""
    cors_origins: tuple[Origin, ...] | None = None
    """The pages that may call the API; None: the product's defaults."""
    domain: Domain | None = None
    alerts_email: Email | None = None
    """The email address that alarms notify. It must be confirmed once."""
    firewall: bool = False
    """Whether the API has a web ACL, for about $8 a month and $0.60 per million requests."""
    tags: Mapping[str, str] = Field(default_factory=dict)
    """Tags of all resources besides the mesh's own, for cost allocation."""


def settings_of(environment: str, environments: Mapping[str, Any] | None) -> Settings:
    """Return the settings of an environment from the context.

    Raises:
        InvalidSettings: something in it is unknown or malformed.
    """
    try:
        return Settings.model_validate((environments or {}).get(environment, {}))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        msg = f"cdk.json, context {CONTEXT}.{environment}: {wrong}"
        raise InvalidSettings(msg) from None
