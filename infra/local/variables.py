"""The file `.env.local`: the functions' variables, for other programs that use the local mesh."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.environment import ACCOUNT, REGION

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

SHARED = (
    "ENVIRONMENT",
    "ENTITIES_TABLE_NAME",
    "USAGE_TABLE_NAME",
    "TENANTS_TABLE_NAME",
    "ARTIFACTS_BUCKET_NAME",
    "EVENT_BUS_NAME",
    "USER_POOL_ID",
    "USER_POOL_CLIENT_ID",
    "CORS_ORIGINS",
    "PROVIDERS_WITHOUT_KEY",
    "ALLOW_PRIVATE_BASE_URLS",
    "STRIPE_API_BASE",
)
"""Variables that mean the same in every function."""


def variables_of(client: "LambdaClient", functions: list[str]) -> dict[str, str]:
    """Return the shared variables, read from the functions that have them."""
    found: dict[str, str] = {}
    for name in functions:
        configured = client.get_function_configuration(FunctionName=name).get("Environment", {})
        found |= configured.get("Variables", {})
    return {name: found[name] for name in SHARED if name in found}


def write(path: Path, *, variables: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Write the file."""
    lines = {
        "AWS_ENDPOINT_URL": outputs["EngineEndpoint"],
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        **variables,
        "API_ENDPOINT": outputs["ApiEndpoint"],
    }
    text = "".join(f"{name}={_quoted(value)}\n" for name, value in lines.items())
    path.write_text(f"# Written by `ainexus up`; changes are lost.\n{text}")


def _quoted(value: str) -> str:
    return f"'{value}'" if set(value) & set(' "[]{}*?&;|<>()$') else value
