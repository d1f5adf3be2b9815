"""Keys: whose, for how long, and for whom never."""

import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from types_boto3_secretsmanager import SecretsManagerClient

from services.runs.domain.request import Message, ModelRequest, Provider
from services.runs.gateways.keys import ProviderKeys
from shared.errors import DependencyUnavailable
from shared.storage import credentials

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
OWN = "ainexus-test/tenants/demo-org/openai/key"
PLATFORM = "ainexus-test/openai/key"


@dataclass
class World:
    """Secrets, a clock, and the keys that are read of them."""

    secrets: SecretsManagerClient
    now: datetime = NOW
    reads: int = 0

    def __post_init__(self) -> None:
        self.keys = ProviderKeys("test", of_tenant=lambda: self, of_platform=lambda: self, clock=lambda: self.now)

    def get_secret_value(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue, counted."""
        self.reads += 1
        return self.secrets.get_secret_value(**arguments)

    def put(self, name: str, document: object) -> None:
        """Make a secret, or change it."""
        text = document if isinstance(document, str) else json.dumps(document)
        try:
            self.secrets.create_secret(Name=name, SecretString=text)
        except self.secrets.exceptions.ResourceExistsException:
            self.secrets.put_secret_value(SecretId=name, SecretString=text)


@pytest.fixture
def world() -> Generator[World]:
    """No secrets yet."""
    with mock_aws():
        yield World(
            boto3.client(  # pyright: ignore[reportUnknownMemberType]  # stubs for few services
                "secretsmanager",
                region_name="us-east-2",
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )
        )


class TestOf:
    def test_there_is_none(self, world: World) -> None:
        assert world.keys.of("demo-org", "openai") is None

    def test_is_the_platforms(self, world: World) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        assert world.keys.of("demo-org", "openai") == "sk-platform"

    def test_is_the_tenants_before_the_platforms(self, world: World) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        world.put(OWN, {"api_key": "sk-own"})
        assert world.keys.of("demo-org", "openai") == "sk-own"

    def test_is_never_another_tenants(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        assert world.keys.of("demo-org", "openai") == "sk-own"
        assert world.keys.of("demo", "openai") is None
        assert world.keys.of("demo-org2", "openai") is None

    @pytest.mark.parametrize("document", [{}, {"api_key": ""}, {"api_key": None}, {"key": "x"}, [], "not JSON"])
    def test_what_holds_no_key_is_none(self, world: World, document: object) -> None:
        world.put(PLATFORM, document)
        world.put(OWN, document)
        assert world.keys.of("demo-org", "openai") is None

    def test_one_that_is_being_deleted_is_none(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        world.secrets.delete_secret(SecretId=OWN)
        assert world.keys.of("demo-org", "openai") is None

    def test_is_read_once_a_minute(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        for _ in range(3):
            world.keys.of("demo-org", "openai")
        world.now += timedelta(seconds=59)
        world.keys.of("demo-org", "openai")
        assert world.reads == 1

    def test_a_change_is_seen_after_a_minute(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-old"})
        assert world.keys.of("demo-org", "openai") == "sk-old"
        world.put(OWN, {"api_key": "sk-new"})
        assert world.keys.of("demo-org", "openai") == "sk-old"
        world.now += timedelta(seconds=60)
        assert world.keys.of("demo-org", "openai") == "sk-new"

    def test_a_first_key_is_seen_after_a_minute(self, world: World) -> None:
        assert world.keys.of("demo-org", "openai") is None
        world.put(PLATFORM, {"api_key": "sk-platform"})
        world.now += timedelta(seconds=60)
        assert world.keys.of("demo-org", "openai") == "sk-platform"

    def test_is_not_shown(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        world.keys.of("demo-org", "openai")
        assert "sk-own" not in repr(world.keys) + repr(vars(world.keys))


class Failing:
    """Secrets Manager that does not answer, or not with the secret."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_secret_value(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue."""
        raise self._error


class TestSecretsThatCannotBeRead:
    @pytest.mark.parametrize(
        "error",
        [
            ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue"),
            ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "GetSecretValue"),
            EndpointConnectionError(endpoint_url="https://secretsmanager.example"),
        ],
    )
    def test_are_no_reason_to_take_another_key(self, error: Exception) -> None:
        failing = Failing(error)
        keys = ProviderKeys("test", of_tenant=lambda: failing, of_platform=lambda: failing, clock=lambda: NOW)
        with pytest.raises(DependencyUnavailable):
            keys.of("demo-org", "openai")


class Witness:
    """Says for whom it was asked."""

    def __init__(self) -> None:
        self.bound: list[str | None] = []

    def get_secret_value(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue."""
        self.bound.append(credentials._bound_tenant.get())  # pyright: ignore[reportPrivateUsage]  # what clients sign with
        return {"SecretString": "{}"}


class TestOwn:
    def test_is_read_as_the_tenant_and_the_platforms_is_not(self) -> None:
        tenants, platforms = Witness(), Witness()
        keys = ProviderKeys("test", of_tenant=lambda: tenants, of_platform=lambda: platforms, clock=lambda: NOW)
        keys.of("demo-org", "openai")
        assert (tenants.bound, platforms.bound) == (["demo-org"], [None])


class TestForRequest:
    @pytest.mark.parametrize(
        ("provider", "base_url", "key"),
        [
            ("simulated", None, ""),
            ("bedrock", None, ""),
            ("openai", None, "sk-platform"),
            ("openai", "https://api.openai.com/v1", "sk-platform"),
            ("openai", "https://llm.example.org/v1", ""),
            ("anthropic", None, None),
            ("anthropic", "https://api.openai.com", ""),
        ],
    )
    def test_gives_the_platforms_key_to_the_provider_alone(
        self, world: World, provider: Provider, base_url: str | None, key: str | None
    ) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        request = ModelRequest(provider, "m", (Message("user", "Hi"),), 10, base_url=base_url)
        assert world.keys.for_request("demo-org", request) == key

    @pytest.mark.parametrize(
        ("base_url", "key"),
        [
            ("https://llm.example.org/v1", "sk-own"),
            ("https://LLM.example.org:443/v2", "sk-own"),
            ("https://llm.example.org:8443/v1", ""),
            ("http://llm.example.org/v1", ""),
            ("https://llm.example.org.evil.example/v1", ""),
            ("https://llm.example.org@evil.example/v1", ""),
            (None, "sk-platform"),
        ],
    )
    def test_gives_the_tenants_own_key_to_the_server_that_it_is_for(
        self, world: World, base_url: str | None, key: str
    ) -> None:
        world.put(PLATFORM, {"api_key": "sk-platform"})
        world.put(OWN, {"api_key": "sk-own", "base_url": "https://llm.example.org/v1"})
        request = ModelRequest("openai", "m", (Message("user", "Hi"),), 10, base_url=base_url)
        assert world.keys.for_request("demo-org", request) == key

    def test_gives_the_tenants_key_of_the_provider_to_no_other_server(self, world: World) -> None:
        world.put(OWN, {"api_key": "sk-own"})
        elsewhere = ModelRequest("openai", "m", (Message("user", "Hi"),), 10, base_url="https://llm.example.org/v1")
        assert world.keys.for_request("demo-org", elsewhere) == ""
        assert world.keys.for_request("demo-org", replace(elsewhere, base_url=None)) == "sk-own"
