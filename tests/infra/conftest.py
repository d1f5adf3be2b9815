"""Fixtures of templates, synthesized once per session and profile. The tests read plain JSON."""

import os
from dataclasses import replace

import pytest

from infra.tools import IAM_SIMULATE, install_node_tools, node_environment

# Set before CDK is imported: it starts Node, and would check every template against rules that have their own test.
os.environ.update({**node_environment(), "CDK_VALIDATION": "false"})

from infra.profile import DEV, LOCAL, PROD, STAGING
from infra.services import SERVICES
from infra.settings import settings_of
from tests.infra.templates import Json, Templates, synthesize

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
    "tags": {"cost-center": "lab"},
}


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return the templates of this machine's mesh."""
    return synthesize(LOCAL, folder=tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return the templates of this machine's mesh with the real services."""
    return synthesize(LOCAL, folder=tmp_path_factory.mktemp("mesh"), services=SERVICES)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return the templates of a development mesh on AWS."""
    return synthesize(DEV, folder=tmp_path_factory.mktemp("dev"))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return the templates of a development mesh on AWS with the real services."""
    return synthesize(DEV, folder=tmp_path_factory.mktemp("real"), services=SERVICES)


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return the templates of the production mesh."""
    return synthesize(PROD, folder=tmp_path_factory.mktemp("prod"))


@pytest.fixture(scope="session")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return the templates of a staging mesh with every setting of an operator."""
    settings = settings_of("staging", {"staging": ALL_SETTINGS})
    return synthesize(replace(STAGING, settings=settings), folder=tmp_path_factory.mktemp("configured"))


@pytest.fixture(scope="session")
def simulator() -> None:
    """Install the policy simulator."""
    install_node_tools([IAM_SIMULATE])
