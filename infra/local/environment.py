"""Environment variables of local processes. The user's own settings for AWS are left out."""

import os
from collections.abc import Mapping

from infra.local.paths import Home

ACCOUNT = "111111111111"
REGION = "us-east-2"
HOST = "127.0.0.1"

_ENGINE_VARIABLES = frozenset(
    {"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}
    | {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
)

ENGINE_THREADS = "512"
"""Each invocation keeps a thread of the engine until it ends. The engine's default of 64 leaves none for the tables
when 32 requests wait for 32 runs."""


def endpoint(port: int) -> str:
    """Return the address of the engine on a port."""
    return f"http://localhost:{port}"


def for_aws_clients(environ: Mapping[str, str], *, port: int) -> dict[str, str]:
    """Return the environment in which AWS programs call the engine and nothing else."""
    inherited = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    return inherited | {
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
    """Return the engine's environment, which every function inherits.

    Args:
        environ: the caller's environment, of which only general variables are taken.
        home: the folders of its state.
        port: the port on 127.0.0.1.
        mark: returned by its health check, to distinguish it from other engines.
    """
    inherited = {name: value for name, value in environ.items() if name in _ENGINE_VARIABLES}
    return inherited | {
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
        "MINISTACK_WORKER_THREADS": ENGINE_THREADS,
        "LOG_LEVEL": environ.get("AINEXUS_ENGINE_LOG_LEVEL", "INFO"),
        **_without_proxy(environ),
    }


def _without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Bypass proxies, which cannot reach an engine on 127.0.0.1."""
    configured = environ.get("NO_PROXY") or environ.get("no_proxy")
    hosts = ",".join(filter(None, (configured, "localhost", HOST)))
    return {"NO_PROXY": hosts, "no_proxy": hosts}
