"""Clients of the engine, for any settings of the user for AWS."""

import pytest

from infra.local.clients import engine_clients

_USERS = {
    "AWS_PROFILE": "work",
    "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL_SQS": "https://elsewhere.example",
    "AWS_ACCESS_KEY_ID": "AKIA",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_CONFIG_FILE": "/nowhere",
}


class TestEngineClients:
    def test_connect_to_the_engine_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in _USERS.items():
            monkeypatch.setenv(name, value)
        clients = engine_clients(4700)
        assert clients.sqs.meta.endpoint_url == "http://localhost:4700"
        assert clients.sqs.meta.region_name == "us-east-2"
        assert clients.region == "us-east-2"
