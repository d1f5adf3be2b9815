"""One synth per session and profile; the tests read plain JSON."""

import os
from dataclasses import replace

import pytest

from infra.tools import IAM_SIMULATE, install_node_tools, node_environment

# Before CDK is imported: it starts Node, and would check every template against rules that have their own test.
os.environ.update({**node_environment(), "CDK_VALIDATION": "false"})

from infra.profile import DEV, LOCAL, PROD, STAGING
from infra.services import SERVICES
from infra.settings import settings_of
from tests.infra.templates import Json, Templates, synthesized

ALL_SETTINGS: Json = {
    "account": "111111111111",
    "cors_origins": ["https://app.example.com"],
    "domain": {
        "name": "api.example.com",
        "certificate_arn": "arn:aws:acm:us-east-2:111111111111:certificate/6f1c",
        "hosted_zone_id": "Z0123456789ABCDEFGHIJ",
    },
    "alerts_email": "oncall@example.com",
    "firewall": True,
    "tags": {"cost-centre": "lab"},
}


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of this machine's mesh."""
    return synthesized(LOCAL, folder=tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of this machine's mesh with the real services."""
    return synthesized(LOCAL, folder=tmp_path_factory.mktemp("mesh"), services=SERVICES)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a development mesh on AWS."""
    return synthesized(DEV, folder=tmp_path_factory.mktemp("dev"))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a development mesh on AWS with the real services."""
    return synthesized(DEV, folder=tmp_path_factory.mktemp("real"), services=SERVICES)


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of the production mesh."""
    return synthesized(PROD, folder=tmp_path_factory.mktemp("prod"))


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a staging mesh whose operator has said all that can be said."""
    settings = settings_of("staging", {"staging": ALL_SETTINGS})
    return synthesized(replace(STAGING, settings=settings), folder=tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="session")
def simulator() -> None:
    """The policy simulator is installed."""
    install_node_tools([IAM_SIMULATE])
