"""The environment variables of what runs here; those that the user has for the real AWS stay out of it."""

import os
from collections.abc import Mapping

from infra.local.paths import Home

ACCOUNT = "111111111111"
REGION = "us-east-2"
HOST = "127.0.0.1"

_ENGINE_KEEPS = frozenset(
    {"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}
    | {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
)


def endpoint(port: int) -> str:
    """Where the engine of a port answers."""
    return f"http://localhost:{port}"


def for_aws_clients(environ: Mapping[str, str], *, port: int) -> dict[str, str]:
    """The environment in which AWS programs speak to the engine, and to nothing else."""
    kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ENDPOINT_URL": endpoint(port),
        # The engine takes a key of twelve digits as the account.
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **_without_proxy(environ),
    }


def for_engine(environ: Mapping[str, str], *, home: Home, port: int, mark: str) -> dict[str, str]:
    """The engine's environment, which every function inherits.

    Args:
        environ: of the caller; only what a program needs anywhere is taken.
        home: where it keeps its state.
        port: where it listens.
        mark: what its health answer carries, so that it can be told from another engine.
    """
    kept = {name: value for name, value in environ.items() if name in _ENGINE_KEEPS}
    return kept | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_EDITION": mark,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home.engine_state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home.objects),
        "TMPDIR": str(home.scratch),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_WARM_TTL_SECONDS": environ.get("AINEXUS_WARM_S", "300"),
        "LOG_LEVEL": environ.get("AINEXUS_ENGINE_LOG_LEVEL", "INFO"),
        **_without_proxy(environ),
    }


def _without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """A proxy would not find an engine that listens on this machine alone."""
    said = environ.get("NO_PROXY") or environ.get("no_proxy")
    hosts = ",".join(filter(None, (said, "localhost", HOST)))
    return {"NO_PROXY": hosts, "no_proxy": hosts}
